// The bounds of the client's side: connections, requests, sessions, streams.
import { bounds, HOUR, MIB, MINUTE, SECOND } from './bound.ts';

const CONNECTIONS = bounds({
  idleConnections: {
    value: 10_000,
    unit: 'connections',
    scope: 'listener',
    help: 'Connections without a request in flight, of all addresses together. One more closes the idle connection that was unused for longest.',
  },
  idleConnectionsOfAddress: {
    value: 1_000,
    unit: 'connections',
    scope: 'listener',
    help: 'Connections without a request in flight of one address, unless it is loopback or a trusted proxy. One more closes the idle connection of that address that was unused for longest.',
  },
  keepAliveTime: {
    value: 65 * SECOND,
    unit: 'ms',
    scope: 'connection',
    help: 'A connection without a request for that long is closed.',
  },
  bindAttempts: {
    value: 10,
    unit: 'attempts',
    scope: 'gateway',
    help: 'With `--port 0` the gateway looks for a port that is free on every address. After that many ports it gives up.',
  },
  shutdownFlushTime: {
    value: SECOND,
    unit: 'ms',
    scope: 'gateway',
    help: 'At shutdown clients have that long to read the answers that were written. Then their connections are closed.',
  },
  shutdownIdleCheck: {
    value: 20,
    unit: 'ms',
    scope: 'gateway',
    help: 'During shutdown the gateway closes connections that have become idle, at this interval.',
  },
  shutdownAnswerTime: {
    value: SECOND,
    unit: 'ms',
    scope: 'gateway',
    help: 'At shutdown requests over HTTP that have ended have that long to write their answers. Then sessions end.',
  },
  stdioAnswerTime: {
    value: 15 * SECOND,
    unit: 'ms',
    scope: 'connection',
    help: 'When the input of a stdio client ends, the gateway cancels its calls and waits that long for their end.',
  },
  rememberedClients: {
    value: 64,
    unit: 'entries',
    scope: 'gateway',
    help: 'Client processes on loopback that the gateway remembers, so that it looks at them first. One more replaces the oldest.',
  },
  processLookUps: {
    value: 5,
    unit: 'attempts',
    scope: 'connection',
    error: 'forbidden_process',
    help: 'Rounds in which the gateway looks for the process behind a loopback connection, each for the processes that were started during the round before. If the last round does not settle it, the connection is refused.',
  },
  processDepth: {
    value: 10_000,
    unit: 'levels',
    scope: 'connection',
    error: 'forbidden_process',
    help: 'Parents that the gateway follows from the process behind a loopback connection. If none of them settles it, the connection is refused.',
  },
  processSlice: {
    value: 1,
    unit: 'ms',
    scope: 'gateway',
    help: 'While the gateway reads `/proc`, it yields to other work after that long.',
  },
});

const REQUESTS = bounds({
  requestHead: {
    value: 16 * 1024,
    unit: 'bytes',
    scope: 'message',
    help: 'The request line and the headers of an HTTP request. A longer head gets the status 431.',
  },
  requestHeadTime: {
    value: 5 * SECOND,
    unit: 'ms',
    scope: 'message',
    help: 'A client has that long to send the head of a request. A slower one gets the status 408.',
  },
  requestTime: {
    value: 12 * SECOND,
    unit: 'ms',
    scope: 'message',
    help: 'A client has that long to send a whole request. A slower one gets the status 408.',
  },
  requestTimeCheck: {
    value: SECOND,
    unit: 'ms',
    scope: 'listener',
    help: 'The gateway looks for requests that take too long at this interval.',
  },
  discardedBody: {
    value: 64 * MIB,
    unit: 'bytes',
    scope: 'message',
    help: 'What the client of a refused request may still send, so that it can read why. Then its connection is closed.',
  },
  mcpHeaders: {
    value: 256,
    unit: 'entries',
    scope: 'message',
    error: 'header_mismatch',
    help: 'Headers that may stand only once: `Mcp-*` and a few standard ones.',
  },
  checkedHeads: {
    value: 256,
    unit: 'entries',
    scope: 'gateway',
    help: 'Values of `Host` and `Origin` that the gateway remembers as allowed. It checks further values at every request.',
  },
  preflightHeaders: {
    value: 32,
    unit: 'entries',
    scope: 'message',
    help: 'Headers `Mcp-Param-*` that one CORS preflight is granted. The gateway leaves out the others.',
  },
  preflightAge: {
    value: 10 * MINUTE,
    unit: 'ms',
    scope: 'message',
    help: 'A browser may reuse the answer to a CORS preflight for that long.',
  },
  serverPathName: {
    value: 128 * 9,
    unit: 'characters',
    scope: 'message',
    error: 'not_found',
    help: 'The name of a server in a path: 128 characters, each percent-encoded.',
  },
  quotedHeader: {
    value: 128,
    unit: 'characters',
    scope: 'message',
    help: 'Characters of a `Host` or `Origin` that an error message repeats.',
  },
  quotedName: {
    value: 64,
    unit: 'characters',
    scope: 'message',
    help: 'Characters of a method or protocol version that an error message repeats.',
  },
  batchMessages: {
    value: 100,
    unit: 'messages',
    scope: 'message',
    error: 'invalid_request',
    help: 'Messages of one batch (2025-03-26).',
  },
  batchAnswers: {
    value: 64 * MIB,
    unit: 'characters',
    scope: 'message',
    error: 'answer_too_large',
    help: 'The answers to one batch together. An answer that does not fit is replaced by the error; the first always fits.',
  },
});

const SESSIONS = bounds({
  sessionIdleTime: {
    value: HOUR,
    unit: 'ms',
    scope: 'session',
    error: 'session_unknown',
    help: 'A legacy session over HTTP without a request, call or stream for that long ends.',
  },
  sessionSweep: {
    value: MINUTE,
    unit: 'ms',
    scope: 'gateway',
    help: 'The gateway looks for idle sessions at this interval.',
  },
  sessionRequests: {
    value: 1_000,
    unit: 'requests',
    scope: 'session',
    error: 'overloaded',
    help: 'Requests of one session, or of one stdio client, without an answer.',
  },
  sessionQuestions: {
    value: 100,
    unit: 'questions',
    scope: 'session',
    error: 'overloaded',
    help: 'Questions of servers that the client of a session has not answered.',
  },
  questionAge: {
    value: 10 * MINUTE,
    unit: 'ms',
    scope: 'session',
    error: 'question_unanswered',
    help: 'The client of a session has that long to answer a question. Then the gateway withdraws it and refuses it to the server.',
  },
  sessionStreams: {
    value: 8,
    unit: 'streams',
    scope: 'session',
    help: 'Standing event streams of one session. One more closes a stream that nobody reads, else the oldest.',
  },
  sessionSubscriptions: {
    value: 1_000,
    unit: 'entries',
    scope: 'session',
    error: 'overloaded',
    help: 'Resources that one session is subscribed to.',
  },
});

const STREAMS = bounds({
  legacyStreamDelay: {
    value: SECOND,
    unit: 'ms',
    scope: 'call',
    help: 'A call of a legacy client that is silent for that long becomes an event stream, so that the client sees that the call runs.',
  },
  modernStreamDelay: {
    value: 5 * SECOND,
    unit: 'ms',
    scope: 'call',
    help: 'A call of a modern client that is silent for that long becomes an event stream. It is longer than for legacy clients because an event stream cannot carry the HTTP status of the answer.',
  },
  streamHeartbeat: {
    value: 15 * SECOND,
    unit: 'ms',
    scope: 'connection',
    help: 'On an event stream that is silent for that long the gateway sends a comment.',
  },
  progressHeartbeat: {
    value: 25 * SECOND,
    unit: 'ms',
    scope: 'call',
    help: 'For a call that asked for progress and is silent for that long, the gateway sends a progress notification of its own. The strictest clients give up after a minute.',
  },
  callStreamAge: {
    value: 10 * MINUTE,
    unit: 'ms',
    scope: 'connection',
    help: 'A connection carries the event stream of a call for that long. Then it is closed, and the client polls (2025-11-25).',
  },
  pollDelay: {
    value: SECOND,
    unit: 'ms',
    scope: 'connection',
    help: 'What the gateway sends as `retry`: the client waits that long before it connects again (2025-11-25).',
  },
  replayEvents: {
    value: 1_000,
    unit: 'entries',
    scope: 'session',
    help: 'Events that a session keeps for clients that reconnect. The oldest go first.',
  },
  replayBytes: {
    value: 4 * MIB,
    unit: 'bytes',
    scope: 'session',
    help: 'Size of the events that a session keeps for clients that reconnect. The oldest go first.',
  },
  replayMemory: {
    value: 256 * MIB,
    unit: 'bytes',
    scope: 'gateway',
    help: 'Size of the events that all sessions keep for clients that reconnect. The oldest of all go first.',
  },
  slowReaderBuffer: {
    value: 16 * MIB,
    unit: 'bytes',
    scope: 'connection',
    help: 'What may wait on an event stream whose client has read nothing for `slowReaderTime`. One more message closes the connection.',
  },
  slowStdioBuffer: {
    value: 64 * MIB,
    unit: 'bytes',
    scope: 'connection',
    help: 'What may wait for a stdio client that has read nothing for `slowReaderTime`. One more message closes the connection.',
  },
  slowReaderTime: {
    value: SECOND,
    unit: 'ms',
    scope: 'connection',
    help: 'A client that reads nothing for that long, while more than the buffer allows waits for it, is cut off.',
  },
  stalledReaderTime: {
    value: MINUTE,
    unit: 'ms',
    scope: 'connection',
    help: 'A client that reads nothing of what waits for it for that long is cut off.',
  },
  writeMemory: {
    value: 256 * MIB,
    unit: 'bytes',
    scope: 'gateway',
    help: 'What may wait for all clients together. Beyond that, those that have been behind for longest are cut off.',
  },
  writePiece: {
    value: 256 * 1024,
    unit: 'characters',
    scope: 'connection',
    help: 'A longer message is written in pieces of this size, so that the gateway sees whether the client reads.',
  },
  writtenPieces: {
    value: 1_000,
    unit: 'entries',
    scope: 'connection',
    help: 'Pieces that are written and still have a place in the queue. One more releases their places.',
  },
});

export const DOWNSTREAM = { ...CONNECTIONS, ...REQUESTS, ...SESSIONS, ...STREAMS };
