// The writer thread: takes batches as text, answers each once it is committed or has failed.
import { parentPort, workerData } from 'node:worker_threads';
import { reasonOf } from '../core/errors.ts';
import { StateError } from '../storage/state-error.ts';
import { monotonicNow, type FromWriter, type ToWriter } from './writer-messages.ts';
import { AuditWriter } from './writer.ts';

const { file, deadline } = workerData as { file: string; deadline: number };

function post(message: FromWriter): void {
  parentPort?.postMessage(message);
}

function open(): AuditWriter | undefined {
  try {
    return new AuditWriter(file);
  } catch (thrown) {
    if (thrown instanceof StateError) post({ refused: thrown.message, reason: thrown.reason });
    else post({ refused: `Cannot open the audit log ${file}: ${reasonOf(thrown)}`, reason: 'unusable' });
    return undefined;
  }
}

/** A batch is text: the time when it was sent, and the records, one a line. */
function take(writer: AuditWriter, batch: string): string | null {
  const [sent, ...lines] = batch.split('\n');
  const givenUpAt = Number(sent) + deadline;
  if (monotonicNow() > givenUpAt) return 'it waited too long';
  try {
    writer.write(lines);
  } catch (thrown) {
    return reasonOf(thrown);
  }
  if (monotonicNow() > givenUpAt) writer.abandon(lines);
  return null;
}

const writer = open();
if (writer) {
  parentPort?.on('message', (message: ToWriter) => {
    if (message !== null) {
      post(take(writer, message));
      return;
    }
    writer.close();
    parentPort?.close();
  });
  post(null);
}
