// The ways in which a server does harm, and how calls of it end.

/** What is done: a mode of `evil-stdio.ts`, or one of `faulty-http.ts`. */
export type Harm =
  { readonly stdio: string; readonly bytes?: number } | { readonly http: string; readonly always?: true };

export interface HarmCase {
  readonly title: string;
  readonly harm: Harm;
  /** What its own callers get: an error code of `core/errors.ts`, a text, or nothing before they leave. */
  readonly ends: RegExp;
}

const DOWN = /^-3301[01]$/;
const SILENT = /^-33012$/;
const GARBAGE = /^-33013$/;
const LARGE = /^-3301[014]$/;
const WELL = /^(no harm|-3301[01])$/;

const STDIO: Readonly<Record<string, RegExp>> = {
  // from one call to the next it is not known whether it is still there
  'start-exits': WELL,
  'start-hangs': WELL,
  'start-flaps': WELL,
  'start-exits-on-call': DOWN,
  'list-hangs': WELL,
  'start-html': WELL,
  'start-banner': WELL,
  'start-version': WELL,
  'call-hangs': SILENT,
  'call-crashes': DOWN,
  'call-killed': DOWN,
  'call-progresses': /^left$/,
  'call-garbage': DOWN,
  'call-utf8': /^\ufffd+$/,
  'call-foreign': /^not yours$/,
  'call-twice': /^again$/,
  'call-both': GARBAGE,
  'call-types': GARBAGE,
  'call-huge': LARGE,
  'call-asks': SILENT,
  'flood-stderr': WELL,
  'flood-line': /^(-3301[014]|no harm)$/, // an answer may stand between two lines
  'flood-bytes': WELL,
  'flood-noise': WELL,
  'flood-log': WELL,
  'flood-progress': WELL,
  'flood-list-changed': WELL,
  'flood-updated': WELL,
  'flood-cancelled': WELL,
  'flood-answers': WELL,
  'flood-pings': WELL,
  'flood-questions': WELL,
  'list-100000': WELL,
  'list-endless': WELL,
  'list-inventing': /^(no harm|-32602)$/,
  'list-names': /^(no harm|-32602)$/,
  'list-schemas': /^(no harm|-32602)$/,
  'list-descriptions': WELL,
};

const HTTP: Readonly<Record<string, RegExp>> = {
  redirect: /^-33015$/,
  'reset-at-once': DOWN,
  'hang-headers': SILENT,
  'hang-body': SILENT,
  'hang-stream': SILENT,
  'drip-comments': SILENT,
  'drip-progress': /^left$/,
  'pour-comments': SILENT,
  'pour-events': GARBAGE,
  'pour-log': SILENT,
  'pour-foreign': SILENT,
  'huge-sse': LARGE,
  'huge-sse-chunks': /^-3301[24]$/,
  'huge-comments': LARGE,
  'huge-lines': LARGE,
  'huge-body': LARGE,
  'huge-chunks': /^-3301[24]$/,
  'huge-refusal': LARGE,
  'status-503': /^-33010$/,
  'status-401': /^-33015$/,
  html: GARBAGE,
  'not-json': GARBAGE,
  huge: LARGE,
  reset: DOWN,
  'wrong-id': DOWN,
  'sse-garbage': GARBAGE,
};

const ALWAYS: Readonly<Record<string, RegExp>> = {
  'hang-headers': SILENT,
  'reset-at-once': DOWN,
  'pour-events': GARBAGE,
};

/** Everything there is. */
export const HARMS: readonly HarmCase[] = [
  ...Object.entries(STDIO).map(([stdio, ends]) => ({ title: `${stdio} over stdio`, harm: { stdio }, ends })),
  ...Object.entries(HTTP).map(([http, ends]) => ({ title: `${http} over HTTP`, harm: { http }, ends })),
  ...Object.entries(ALWAYS).map(([http, ends]) => ({
    title: `${http} at every request over HTTP`,
    harm: { http, always: true as const },
    ends,
  })),
];

const SOME = new Set([
  ...['start-exits', 'start-flaps', 'start-html', 'start-version', 'call-crashes', 'call-garbage', 'call-twice'],
  ...[
    'call-huge',
    'call-progresses',
    'flood-stderr',
    'flood-line',
    'flood-noise',
    'flood-list-changed',
    'flood-updated',
  ],
  ...['flood-answers', 'flood-questions', 'list-100000', 'list-inventing', 'list-names', 'list-schemas'],
  ...[
    'redirect',
    'hang-body',
    'pour-comments',
    'pour-log',
    'huge-sse',
    'huge-sse-chunks',
    'huge-comments',
    'huge-chunks',
    'reset',
  ],
]);

/** One of every sort, for every check. */
export const SOME_HARMS = HARMS.filter(({ harm }) => SOME.has('stdio' in harm ? harm.stdio : harm.http));
