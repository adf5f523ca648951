// The version of the program, from its package.
import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export const VERSION = version;

/** The name and version that the gateway gives to servers and clients. */
export const IDENTITY = Object.freeze({ name: 'mcp-gateway', version });
