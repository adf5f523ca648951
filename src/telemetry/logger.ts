// The log of the program: JSON lines of pino, or text for people, on stderr; stdout belongs to data.
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

export type LogLevelName = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** A line of the log, for a function that shows it. */
export interface LogLine {
  readonly level: string;
  readonly msg?: string;
  readonly err?: { readonly message?: string };
}

/** `json` for programs, `text` for people, or a function that gets each line. */
export type LogForm = 'json' | 'text' | ((line: LogLine) => void);

const REDACTED_PATHS = ['authorization', 'headers.authorization', 'token', 'env', '*.token', '*.authorization'];

/** Opens the log. pino-pretty writes the text, and is loaded only for it. */
export async function openLogger(level: LogLevelName, form: LogForm): Promise<Logger> {
  const options = {
    level,
    base: null,
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (form === 'json') return pino(options, pino.destination({ dest: 2, sync: true }));
  if (form !== 'text') return pino(options, { write: (line: string) => form(JSON.parse(line) as LogLine) });
  const { default: pretty } = await import('pino-pretty');
  const stream = pretty({
    destination: 2,
    sync: true,
    colorize: process.stderr.isTTY,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname',
  });
  return pino(options, stream);
}
