// The policy, compiled once for each configuration: one `decide` decides on calls and on entries of lists, and one stage asks it.
import { BoundedMap } from '../core/bounded-map.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Call, CallerFacts } from '../core/call.ts';
import type { CallContext, Stage } from '../core/call-context.ts';
import type { ListReply, OfferedList } from '../core/reply.ts';
import {
  type Decidable,
  type Decision,
  explainDecision,
  type PolicyQuestion,
  type PolicyView,
} from '../core/decision.ts';
import type { GatewayError } from '../core/errors.ts';
import { compilePatterns, findUnmatched } from './patterns.ts';

export interface NamePatterns {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** The patterns that decide on targets of some kinds at one server. */
export interface PatternRules {
  readonly server: string;
  readonly kinds: readonly string[];
  readonly patterns: NamePatterns;
  /** The name of the patterns in decisions, for example `mcpServers.NAME.tools`. */
  readonly name: string;
  /** Where in the configuration a list or a pattern stands, as `file:line:column`. `path` is for example `allow` or `deny.0`. */
  placeOf?(path: string): string | undefined;
}

/** The entry of an MCP server in the configuration. */
export interface PolicyEntry {
  readonly name: string;
  readonly tools: NamePatterns;
  readonly prompts: NamePatterns;
  readonly resources: NamePatterns;
  /** The places of the patterns, as `file:line:column`, by their path in the entry: `tools.deny.0`, `tools.allow`. */
  readonly places?: Readonly<Record<string, string>>;
}

export interface Policy {
  /** What a caller may do. Callers that no rule distinguishes share one view, and with it the filtered lists. */
  viewFor(facts: CallerFacts): PolicyView;
}

/** The kinds of targets that each setting of an MCP server decides on. */
const SETTINGS = [
  ['tools', ['tool']],
  ['prompts', ['prompt']],
  ['resources', ['resource', 'resourceTemplate']],
] as const;

const ALLOWED: Decision = Object.freeze({ allowed: true, rule: 'default', reason: 'no rule denies it' });

/** The decision on a call without a target, such as a list. */
const UNTARGETED: Decision = Object.freeze({
  allowed: true,
  rule: 'default',
  reason: 'the list shows what may be used',
});

/** The decision on an action that only ends what its caller has; its answer does not reveal whether the target exists. */
const RELEASED: Decision = Object.freeze({
  allowed: true,
  rule: 'default',
  reason: 'what is followed may always be let go',
});

/** The decision on a name that no server offers. */
export const UNKNOWN: Decision = Object.freeze({
  allowed: false,
  rule: 'unknown',
  reason: 'nothing of this name is offered',
});

/** Whether patterns allow everything, which is the default. */
export function isUnrestricted({ allow, deny }: NamePatterns): boolean {
  return deny.length === 0 && allow.includes('*');
}

type Decide = (name: string) => Decision;

/** The decisions by one setting of a server. */
interface Rules {
  /** Keeps its decisions. */
  readonly decide: Decide;
  /** Keeps nothing. */
  readonly decideAnew: Decide;
}

/** The rules for what an MCP server offers. */
export function rulesOfServer({ name: server, places = {}, ...patterns }: PolicyEntry): PatternRules[] {
  return SETTINGS.map(([setting, kinds]) => ({
    server,
    kinds,
    patterns: patterns[setting],
    name: `mcpServers.${server}.${setting}`,
    placeOf: (path) => places[`${setting}.${path}`],
  }));
}

export interface CompileOptions {
  /** The actions that only end what their caller has: every caller may do them to every target. */
  readonly releases?: ReadonlySet<string>;
  readonly compile?: typeof compilePatterns;
}

/** Compiles `allow` and `deny` patterns. A deny pattern wins; a name without an allow pattern is denied, and so is a target without rules. */
export function compilePolicy(
  all: readonly PatternRules[],
  { releases = new Set(), compile = compilePatterns }: CompileOptions = {},
): Policy {
  const byKind = new Map<string, Map<string, Rules>>();
  for (const rules of all) {
    const compiled = compileRules(rules, compile);
    for (const kind of rules.kinds)
      byKind.set(kind, (byKind.get(kind) ?? new Map<string, Rules>()).set(rules.server, compiled));
  }
  // no pattern reads a fact of the caller, so all callers share one view
  const view = new CompiledView(byKind, releases);
  return { viewFor: (_facts) => view };
}

class CompiledView implements PolicyView {
  /** By kind of target, then by server. */
  private readonly rules: ReadonlyMap<string, ReadonlyMap<string, Rules>>;
  private readonly releases: ReadonlySet<string>;
  /** The filtered lists by list, for as long as the list exists. */
  private readonly lists = new WeakMap<OfferedList, OfferedList>();

  constructor(rules: CompiledView['rules'], releases: ReadonlySet<string>) {
    this.rules = rules;
    this.releases = releases;
  }

  decide({ action, target, requested }: PolicyQuestion): Decision {
    if (this.releases.has(action)) return RELEASED;
    if (target) return this.decideOn(target);
    return requested === undefined ? UNTARGETED : UNKNOWN;
  }

  permits(target: Decidable): boolean {
    return this.decideOn(target).allowed;
  }

  visible(list: OfferedList): OfferedList {
    let visible = this.lists.get(list);
    if (!visible) this.lists.set(list, (visible = list.filter((entry) => this.permits(entry))));
    return visible;
  }

  /**
   * Decides once on what a server offers, and then looks the decision up. It keeps no decision on a name whose server has not answered yet,
   * since callers can invent such names without end.
   */
  private decideOn({ kind, server, original, pendingDiscovery }: Decidable): Decision {
    const rules = this.rules.get(kind)?.get(server);
    if (!rules) return UNKNOWN;
    return pendingDiscovery ? rules.decideAnew(original) : rules.decide(original);
  }
}

/**
 * Warns of patterns that match nothing that the server offers, since they may be misspelt. It does not check patterns of resources, which
 * also apply to URIs that no list has.
 */
export function unmatchedPatterns(server: PolicyEntry, offered: ReadonlyMap<'tool' | 'prompt', Set<string>>): string[] {
  return [...offered].flatMap(([kind, names]) => {
    const setting = `${kind}s` as const;
    return (['allow', 'deny'] as const).flatMap((list) => {
      const patterns = server[setting][list];
      // `*` is the default, also for a server that offers nothing of this kind
      const unmatched = findUnmatched(patterns, names).filter((index) => patterns[index] !== '*');
      return unmatched.map((index) => {
        const source = server.places?.[`${setting}.${list}.${index}`];
        const where = source === undefined ? '' : ` (${source})`;
        return `${setting}.${list} pattern ${JSON.stringify(patterns[index])} matches no ${kind} of this server${where}`;
      });
    });
  });
}

/** Makes one decision for each pattern in advance, so that a call only has to find the pattern. */
function compileRules({ patterns, name, placeOf }: PatternRules, compile: typeof compilePatterns): Rules {
  if (isUnrestricted(patterns)) return { decide: () => ALLOWED, decideAnew: () => ALLOWED };
  const decision = (
    list: 'allow' | 'deny',
    { path, ...rest }: Pick<Decision, 'allowed' | 'reason'> & { path: string },
  ) => {
    const source = placeOf?.(path);
    return Object.freeze<Decision>({
      allowed: rest.allowed,
      rule: `${name}.${list}`,
      reason: rest.reason,
      ...(source !== undefined && { source }),
    });
  };
  const denials = patterns.deny.map((pattern, index) =>
    decision('deny', { allowed: false, reason: `the pattern "${pattern}" denies it`, path: `deny.${index}` }),
  );
  const permissions = patterns.allow.map((pattern, index) =>
    decision('allow', { allowed: true, reason: `the pattern "${pattern}" allows it`, path: `allow.${index}` }),
  );
  const unlisted = decision('allow', { allowed: false, reason: 'no pattern of the list allows it', path: 'allow' });
  const denied = compile(patterns.deny);
  const allowed = compile(patterns.allow);
  const decideAnew: Decide = (name) => denials[denied(name) ?? -1] ?? permissions[allowed(name) ?? -1] ?? unlisted;
  return { decide: keepDecisions(decideAnew), decideAnew };
}

/** Wraps `decide`: keeps its decisions by name, within `keptDecisions` and `keptDecisionName`. */
export function keepDecisions(decide: (name: string) => Decision): (name: string) => Decision {
  const kept = new BoundedMap<string, Decision>({ most: BOUNDS.keptDecisions });
  return (name) => {
    const known = kept.get(name);
    if (known) return known;
    const decision = decide(name);
    if (name.length <= BOUNDS.keptDecisionName) kept.set(name, decision);
    return decision;
  };
}

/**
 * Returns the stage that makes the one decision on a call, which its record has. It refuses with the answer to an unknown name (wire.md,
 * Refusals), so that the caller does not learn that the target exists; only the detail of the error, for the operator, has the decision.
 * It filters lists by the same decisions.
 */
export function authorizeStage(unknown: (call: Call, ctx: CallContext, detail?: string) => GatewayError): Stage {
  return (call, ctx, next) => {
    const decision = ctx.rules.policy.decide({ action: call.action, target: ctx.target, requested: ctx.requested });
    ctx.decision = decision;
    if (!decision.allowed)
      return Promise.reject(unknown(call, ctx, decision === UNKNOWN ? undefined : explainDecision(decision)));
    const answering = next(call, ctx);
    // only a call without a target can be answered with a list
    return ctx.target ? answering : answering.then((reply) => (reply.kind === 'list' ? visible(reply, ctx) : reply));
  };
}

function visible(reply: ListReply, { rules }: CallContext): ListReply {
  const list = rules.policy.visible(reply.list);
  return list === reply.list ? reply : { ...reply, list };
}
