// The program's log: pino JSON lines on stderr, pretty on a terminal; stdout belongs to data.
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

export type LogLevelName = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

const REDACTED_PATHS = ['authorization', 'headers.authorization', 'token', 'env', '*.token', '*.authorization'];

/** Opens the log. Lines for a person are made by pino-pretty, which is loaded only for a terminal. */
export async function openLogger(level: LogLevelName, terminal: boolean): Promise<Logger> {
  const options = {
    level,
    base: null,
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!terminal) return pino(options, pino.destination({ dest: 2, sync: true }));
  const { default: pretty } = await import('pino-pretty');
  const stream = pretty({
    destination: 2,
    sync: true,
    colorize: true,
    translateTime: 'SYS:HH:MM:ss',
    ignore: 'pid,hostname',
  });
  return pino(options, stream);
}
