// What callers may do: compiled once per configuration, asked by one `decide` for calls and lists alike.
import type { OfferKind, Target } from '../core/call.ts';
import type { Decision } from '../core/decision.ts';
import { compilePatterns } from './patterns.ts';

export interface NamePatterns {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

export interface PolicyEntry {
  readonly name: string;
  readonly tools: NamePatterns;
  readonly prompts: NamePatterns;
  readonly resources: NamePatterns;
}

export interface Policy {
  /** Decides on one thing that is offered; its answer is the same for the list and for the call. */
  decide(target: Pick<Target, 'kind' | 'server' | 'original'>): Decision;
}

const SETTING: Readonly<Record<OfferKind, 'tools' | 'prompts' | 'resources'>> = {
  tool: 'tools',
  prompt: 'prompts',
  resource: 'resources',
  resourceTemplate: 'resources',
};

const ALLOWED: Decision = Object.freeze({ allowed: true, rule: 'default', reason: 'no rule denies it' });

/** The decision on a call that has no single target, such as a list. */
export const UNTARGETED: Decision = Object.freeze({
  allowed: true,
  rule: 'default',
  reason: 'the list shows what may be used',
});

/** The decision on a call that only ends what its caller began; it tells nothing of what there is. */
export const LETTING_GO: Decision = Object.freeze({
  allowed: true,
  rule: 'default',
  reason: 'what is followed may always be let go',
});

/** The decision on a name that nobody offers. */
export const UNKNOWN: Decision = Object.freeze({
  allowed: false,
  rule: 'unknown',
  reason: 'nothing of this name is offered',
});

/** Whether patterns let everything through, which is what no patterns mean. */
export function isUnrestricted({ allow, deny }: NamePatterns): boolean {
  return deny.length === 0 && allow.includes('*');
}

/** Compiles the `allow` and `deny` patterns of every server. Deny wins; what no allow pattern names is denied. */
export function compilePolicy(servers: readonly PolicyEntry[]): Policy {
  const rules = new Map(servers.map((server) => [server.name, compileServer(server)]));
  return {
    decide: (target) => rules.get(target.server)?.(SETTING[target.kind], target.original) ?? UNKNOWN,
  };
}

function compileServer(server: PolicyEntry) {
  const settings = {
    tools: compileNames(server.name, 'tools', server.tools),
    prompts: compileNames(server.name, 'prompts', server.prompts),
    resources: compileNames(server.name, 'resources', server.resources),
  };
  return (setting: keyof typeof settings, original: string) => settings[setting](original);
}

function compileNames(server: string, setting: string, patterns: NamePatterns): (name: string) => Decision {
  if (isUnrestricted(patterns)) return () => ALLOWED;
  const denied = compilePatterns(patterns.deny);
  const allowed = compilePatterns(patterns.allow);
  const path = `mcpServers.${server}.${setting}`;
  return (name) => {
    const deniedBy = denied(name);
    if (deniedBy !== undefined)
      return { allowed: false, rule: `${path}.deny`, reason: `the pattern "${deniedBy}" denies it` };
    const allowedBy = allowed(name);
    if (allowedBy === undefined)
      return { allowed: false, rule: `${path}.allow`, reason: 'no pattern of the list allows it' };
    return { allowed: true, rule: `${path}.allow`, reason: `the pattern "${allowedBy}" allows it` };
  };
}
