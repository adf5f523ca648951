// A temporary folder with configuration files for one test.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Config, ServerConfig } from '../../src/config/config.ts';
import { loadConfig, type LoadResult } from '../../src/config/load.ts';
import type { Problem } from '../../src/config/problems.ts';

/** Writes files (a string as it is, anything else as JSON) into a new folder that goes away with the test. */
export function workspace(files: Record<string, unknown> = {}) {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'gateway-config-')));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = (name: string) => join(directory, name);
  const write = (name: string, content: unknown) => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(
      path(name),
      typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content),
    );
  };
  for (const [name, content] of Object.entries(files)) write(name, content);
  const load = (env: NodeJS.ProcessEnv = {}): LoadResult => loadConfig(path('mcp-gateway.json'), env);
  return { directory, path, write, load };
}

/** The configuration of a result that must be good. */
export function valid(result: LoadResult): Config {
  if (!result.ok) throw new Error(result.problems.map((problem) => problem.message).join('\n'));
  return result.config;
}

/** Every problem of a result, good or bad. */
export function problemsOf(result: LoadResult): readonly Problem[] {
  return result.ok ? result.warnings : result.problems;
}

/** Problems as `path: message`. */
export function told(result: LoadResult): string[] {
  return problemsOf(result).map((problem) => `${problem.path}: ${problem.message}`);
}

/** Loads one server's entry from a main file and returns it. */
export function loadEntry(entry: unknown, env: NodeJS.ProcessEnv = {}): ServerConfig {
  const { load } = workspace({ 'mcp-gateway.json': { mcpServers: { one: entry } } });
  return valid(load(env)).servers[0]!;
}
