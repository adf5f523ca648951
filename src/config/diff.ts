// What differs between two configurations: which servers the gateway must start, stop or restart.
import type { Config, ServerConfig } from './config.ts';

/** Servers by what differs; all but `removed` come from the later configuration. */
export interface ServerDiff {
  readonly added: readonly ServerConfig[];
  readonly removed: readonly ServerConfig[];
  readonly changed: readonly ServerConfig[];
}

/** Compares name and digest: a server that differs only in what needs no restart, such as name patterns, is not changed. */
export function diffServers(before: readonly ServerConfig[], after: readonly ServerConfig[]): ServerDiff {
  const digests = new Map(before.map((server) => [server.name, server.digest]));
  const names = new Set(after.map((server) => server.name));
  return {
    added: after.filter((server) => !digests.has(server.name)),
    removed: before.filter((server) => !names.has(server.name)),
    changed: after.filter((server) => digests.has(server.name) && digests.get(server.name) !== server.digest),
  };
}

/** Whether a reload has nothing to do: the same text, and references that resolve to the same values. */
export function isSameConfig(before: Config, after: Config): boolean {
  const digests = (config: Config) => config.servers.map(({ digest }) => digest).join();
  return before.hash === after.hash && digests(before) === digests(after);
}

/** The servers whose alias or name patterns differ, so that callers see other names or other things of them. */
export function shownDifferently(before: Config, after: Config): string[] {
  const shown = ({ alias, tools, prompts, resources }: ServerConfig) =>
    JSON.stringify([alias, tools, prompts, resources]);
  const earlier = new Map(before.servers.map((server) => [server.name, shown(server)]));
  return after.servers.filter((server) => earlier.get(server.name) !== shown(server)).map(({ name }) => name);
}
