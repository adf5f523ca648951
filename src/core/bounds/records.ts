// The bounds of the audit log: its files, its records, and what reads them.
import { bounds, MIB, SECOND } from './bound.ts';

// prettier-ignore
export const RECORDS = bounds({
  auditSegment: { value: 16 * MIB, unit: 'bytes', scope: 'gateway', help: 'Size after which a segment of the audit log is followed by the next.' },
  auditBatch: { value: MIB, unit: 'characters', scope: 'gateway', help: 'Records that wait for the end of the turn of the event loop, to be committed together. At the bound the log commits them at once.' },
  auditRetry: { value: SECOND, unit: 'ms', scope: 'gateway', help: 'Pause before the log tries to write again after it could not. Until it succeeds, the gateway is not ready and refuses calls.' },
  auditCheck: { value: 10, unit: 'ms', scope: 'gateway', help: 'Interval between two checks, before a batch is written, that the open segment is the file at its path and that this process still owns the state directory.' },
  auditLine: { value: 32 * MIB, unit: 'bytes', scope: 'record', help: 'Line that the log reads: the list of 100,000 calls in flight takes 4 MiB, every other record much less. A file with a longer line is damaged.' },
  auditOpenCalls: { value: 100_000, unit: 'requests', scope: 'gateway', help: 'Calls without an outcome that the log follows. One more makes it forget the oldest, which stays in flight in the log unless its outcome follows.' },
  auditQueryOutcomes: { value: 100_000, unit: 'records', scope: 'command', help: 'Outcomes that a query holds until it finds their intents. Beyond it, a call is shown as in flight.' },
  auditImportBatch: { value: 64, unit: 'records', scope: 'command', help: 'Records of the database of an earlier version that are imported before the size of the segment is checked.' },
  recordName: { value: 1_024, unit: 'characters', scope: 'record', help: 'Method, name, URI or server in a record. A longer one is cut off.' },
  recordPeer: { value: 128, unit: 'characters', scope: 'record', help: 'Name and version of the client, address, error code, instance and name of an event in a record. A longer one is cut off.' },
  eventDetail: { value: 16_384, unit: 'characters', scope: 'record', help: 'Detail of an event in the audit log. A longer one is left out, and the record says so.' },
  shapeKeys: { value: 64, unit: 'entries', scope: 'record', help: 'Keys of one object in the recorded shape of arguments. The shape counts the rest.' },
  shapeAllKeys: { value: 256, unit: 'entries', scope: 'record', help: 'Keys of all objects together in the recorded shape of arguments. The shape counts the rest, object by object.' },
  shapeKey: { value: 64, unit: 'characters', scope: 'record', help: 'Length of a key in the recorded shape of arguments. A longer one is cut off.' },
  shapeDepth: { value: 6, unit: 'levels', scope: 'record', help: 'Nesting in the recorded shape of arguments. The shape only says `object` or the length of an array for what is deeper.' },
});
