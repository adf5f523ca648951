// The bounds of the command line and the relay.
import { bounds, MIB, SECOND } from './bound.ts';

// prettier-ignore
export const CLI = bounds({
  processEndTime: { value: 20 * SECOND, unit: 'ms', scope: 'command', help: 'A process has that long to end after SIGINT or SIGTERM; then it exits where it stands. A command waits as long for an owner that starts or stops.' },
  ownerRetryPause: { value: 50, unit: 'ms', scope: 'command', help: 'The pause of a command or relay before it tries again to reach the owner of the state directory, or to become it.' },
  ownerProbeTime: { value: 3 * SECOND, unit: 'ms', scope: 'command', help: 'The owner of a state directory has that long to answer a command. Then the command tries the lock.' },
  relayLine: { value: 256 * MIB, unit: 'bytes', scope: 'connection', error: 'body_too_large', help: 'One message of a client or an owner in a relay. A longer one of an owner closes the connection to it.' },
  relayKept: { value: MIB, unit: 'characters', scope: 'connection', help: 'What a relay reads from its client while it has no owner. The rest waits in the pipe.' },
  relayRequests: { value: 10_000, unit: 'requests', scope: 'connection', error: 'overloaded', help: 'Requests of the client of a relay without an answer.' },
  relayQuestions: { value: 1_000, unit: 'questions', scope: 'connection', error: 'overloaded', help: 'Questions of the owner that the client of a relay has not answered.' },
  relayRepeat: { value: 64 * 1024, unit: 'characters', scope: 'message', help: 'A relay sends `initialize`, `ping` and `server/discover` up to this length again to the next owner. A longer one gets an error.' },
  argumentDepth: { value: 64, unit: 'levels', scope: 'command', help: 'Nesting of `--args` of `tools call`. The command refuses deeper arguments.' },
  auditRows: { value: 100, unit: 'records', scope: 'command', help: 'Rows that `audit query` shows without `--limit`.' },
  auditRowLimit: { value: 1_000_000_000, unit: 'records', scope: 'command', help: 'The largest `--limit` of `audit query`.' },
  commandRedraw: { value: 500, unit: 'ms', scope: 'command', help: 'A command that starts the servers itself shows their progress at this interval.' },
  screenRedraw: { value: SECOND, unit: 'ms', scope: 'gateway', help: 'On a terminal `serve` shows the progress of the start at this interval.' },
  screenStartTime: { value: 10 * SECOND, unit: 'ms', scope: 'gateway', help: 'On a terminal `serve` waits that long for the servers. Then it shows the state of all, and lists those that failed.' },
  screenFailures: { value: 3, unit: 'lines', scope: 'gateway', help: 'Lines about failed servers and warnings that `serve` shows after the start. It counts the rest.' },
  screenCalls: { value: 20, unit: 'lines', scope: 'gateway', help: 'Calls of one second that `serve` shows one by one. It counts the rest.' },
  screenMessage: { value: 12, unit: 'lines', scope: 'message', help: 'Lines of a log message that `serve` shows, after the first.' },
  screenReason: { value: 1_000, unit: 'characters', scope: 'call', help: 'Characters of an error in which `serve` looks for the cause.' },
  screenEarly: { value: 2, unit: 'lines', scope: 'gateway', help: 'Log messages from before the start that `serve` shows, beside those about the configuration, which it counts.' },
});
