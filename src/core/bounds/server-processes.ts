// The bounds of server processes: their pipes, their end, their containment.
import { bounds, KIB, MIB, SECOND } from './bound.ts';

export const SERVER_PROCESSES = bounds({
  serverInput: {
    value: 64 * MIB,
    unit: 'bytes',
    scope: 'instance',
    error: 'overloaded',
    help: 'What waits in front of a process that does not read its input. The gateway refuses one more message.',
  },
  serverStop: {
    value: 2 * SECOND,
    unit: 'ms',
    scope: 'instance',
    help: 'How long a process may take to end after its input or output is closed. Then the gateway kills its tree.',
  },
  heldPipes: {
    value: SECOND,
    unit: 'ms',
    scope: 'instance',
    help: 'How long the pipes of a process that has ended may stay open, held by a child that escaped. Then the gateway closes them.',
  },
  readTurn: {
    value: 64 * KIB,
    unit: 'bytes',
    scope: 'server',
    help: 'What the gateway reads of one pipe of a process, or of one server over HTTP, in one go. Then it serves everybody else first.',
  },
  stderrTail: {
    value: 64 * KIB,
    unit: 'bytes',
    scope: 'instance',
    help: 'What is kept of stderr. Older bytes are overwritten.',
  },
  stderrTailLines: {
    value: 200,
    unit: 'lines',
    scope: 'instance',
    help: 'Lines of stderr that are shown, the last ones.',
  },
  stderrChunks: {
    value: 256,
    unit: 'entries',
    scope: 'instance',
    help: 'Chunks of stderr whose beginnings are known, so that what a process said of a probe can be left out. The oldest are forgotten.',
  },
  exitCause: {
    value: 500,
    unit: 'characters',
    scope: 'instance',
    help: 'What is shown of the line of stderr that says why a process ended. The rest is cut off.',
  },
  exitCauseMessage: {
    value: 30,
    unit: 'lines',
    scope: 'instance',
    help: 'Lines above a stack trace that are searched for the beginning of its error message.',
  },
  exitCauseTraceback: {
    value: 12,
    unit: 'lines',
    scope: 'instance',
    help: 'Lines that may follow the exception below a Python traceback. With more of them the exception is not taken for the cause of the exit.',
  },
  containmentTrial: {
    value: 5 * SECOND,
    unit: 'ms',
    scope: 'gateway',
    help: 'How long a trial run in a containment may take. Then the gateway tries the next weaker containment.',
  },
  namespaceOpening: {
    value: 5 * SECOND,
    unit: 'ms',
    scope: 'instance',
    help: 'How long a new namespace may take to answer. Then the start of the server has failed.',
  },
  namespaceClosing: {
    value: SECOND,
    unit: 'ms',
    scope: 'instance',
    help: 'How long a namespace may take to end after the gateway closed it. Then the gateway kills the process that holds it.',
  },
  stoppedProcessWake: {
    value: 10,
    unit: 'ms',
    scope: 'instance',
    help: 'How often the gateway wakes a stopped server process while its namespace ends.',
  },
  fileHiding: {
    value: 10 * SECOND,
    unit: 'ms',
    scope: 'gateway',
    help: 'How long the gateway takes to hide new or replaced files from running servers. Then it starts all of these again.',
  },
  coverFiles: {
    value: 8 * MIB,
    unit: 'bytes',
    scope: 'gateway',
    help: 'The size of the file system that covers hidden files, and of the one with the table of mounts. Where the table does not fit, files are not hidden, and the log says so.',
  },
});
