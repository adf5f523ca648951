// The policy, compiled once for each configuration: one `decide` decides on calls and on entries of lists.
import type { Call, CallerFacts, OfferKind } from '../core/call.ts';
import {
  type Decidable,
  type Decision,
  explainDecision,
  type PolicyQuestion,
  type PolicyView,
} from '../core/decision.ts';
import type { OfferedList } from '../core/offered-list.ts';
import { compilePatterns, findUnmatched } from './patterns.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { BoundedMap } from '../core/bounded-map.ts';
import type { CallContext } from '../core/call-context.ts';
import { excerpt, GatewayError, unknownTask } from '../core/errors.ts';
import type { ListReply } from '../core/reply.ts';
import type { Stage } from '../core/stage.ts';

export interface NamePatterns {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

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

type Setting = 'tools' | 'prompts' | 'resources';

const SETTING: Readonly<Record<OfferKind, Setting>> = {
  tool: 'tools',
  prompt: 'prompts',
  resource: 'resources',
  resourceTemplate: 'resources',
};

const ALLOWED: Decision = Object.freeze({ allowed: true, rule: 'default', reason: 'no rule denies it' });

/** The decision on a call without a target, such as a list. */
const UNTARGETED: Decision = Object.freeze({
  allowed: true,
  rule: 'default',
  reason: 'the list shows what may be used',
});

/** The decision on a call that only ends a subscription of its caller; its answer does not reveal whether the target exists. */
const UNSUBSCRIBED: Decision = Object.freeze({
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

/** Compiles the `allow` and `deny` patterns of every server. A deny pattern wins; a name without an allow pattern is denied. */
export function compilePolicy(servers: readonly PolicyEntry[], compile = compilePatterns): Policy {
  // no pattern reads a fact of the caller, so all callers share one view
  const view = new CompiledView(new Map(servers.map((server) => [server.name, compileServer(server, compile)])));
  return { viewFor: (_facts) => view };
}

class CompiledView implements PolicyView {
  private readonly rules: ReadonlyMap<string, Readonly<Record<Setting, Rules>>>;
  /** The filtered lists by list, for as long as the list exists. */
  private readonly lists = new WeakMap<OfferedList, OfferedList>();

  constructor(rules: ReadonlyMap<string, Readonly<Record<Setting, Rules>>>) {
    this.rules = rules;
  }

  decide({ action, target, requested }: PolicyQuestion): Decision {
    if (action === 'resources/unsubscribe') return UNSUBSCRIBED;
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
    const rules = this.rules.get(server)?.[SETTING[kind]];
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
    const setting = SETTING[kind];
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

type Compile = typeof compilePatterns;

function compileServer(server: PolicyEntry, compile: Compile): Readonly<Record<Setting, Rules>> {
  return {
    tools: compileNames(server, 'tools', compile),
    prompts: compileNames(server, 'prompts', compile),
    resources: compileNames(server, 'resources', compile),
  };
}

/** Makes one decision for each pattern in advance, so that a call only has to find the pattern. */
function compileNames(
  { name: server, places = {}, ...settings }: PolicyEntry,
  setting: Setting,
  compile: Compile,
): Rules {
  const { allow, deny } = settings[setting];
  if (isUnrestricted(settings[setting])) return { decide: () => ALLOWED, decideAnew: () => ALLOWED };
  const at = (place: string) => (places[place] === undefined ? {} : { source: places[place] });
  const rule = (list: 'allow' | 'deny') => `mcpServers.${server}.${setting}.${list}`;
  const decisions = (list: 'allow' | 'deny', reason: (pattern: string) => string): readonly Decision[] =>
    settings[setting][list].map((pattern, index) =>
      Object.freeze({
        allowed: list === 'allow',
        rule: rule(list),
        reason: reason(pattern),
        ...at(`${setting}.${list}.${index}`),
      }),
    );
  const denials = decisions('deny', (pattern) => `the pattern "${pattern}" denies it`);
  const permissions = decisions('allow', (pattern) => `the pattern "${pattern}" allows it`);
  const unlisted: Decision = Object.freeze({
    allowed: false,
    rule: rule('allow'),
    reason: 'no pattern of the list allows it',
    ...at(`${setting}.allow`),
  });
  const denied = compile(deny);
  const allowed = compile(allow);
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
 * Makes the one decision on a call, which its record has. It refuses with the answer to an unknown name (wire.md, Refusals), so that the
 * caller does not learn that the target exists. It filters lists by the same decisions.
 */
export const authorizeStage: Stage = (call, ctx, next) => {
  const { policy } = ctx.rules;
  const decision = policy.decide({ action: call.action, target: ctx.target, requested: ctx.requested });
  ctx.decision = decision;
  if (!decision.allowed) return Promise.reject(refusal(call, ctx));
  const answering = next(call, ctx);
  // only a call without a target can be answered with a list
  return ctx.target ? answering : answering.then((reply) => (reply.kind === 'list' ? visible(reply, ctx) : reply));
};

function visible(reply: ListReply, { rules }: CallContext): ListReply {
  const list = rules.policy.visible(reply.list);
  return list === reply.list ? reply : { ...reply, list };
}

/** The error says that no such target exists; only its detail, for the operator, has the decision. */
function refusal({ action }: Call, { requested = '', decision, task }: CallContext): GatewayError {
  const name = excerpt(requested);
  const detail = !decision || decision === UNKNOWN ? undefined : explainDecision(decision);
  if (action.startsWith('resources/'))
    return new GatewayError('resource_not_found', `Resource not found: ${name}`, { data: { uri: name }, detail });
  if (task) return unknownTask({ detail });
  if (action === 'prompts/get') return new GatewayError('unknown_target', `Unknown prompt: ${name}`, { detail });
  if (action === 'tools/call') return new GatewayError('unknown_target', `Unknown tool: ${name}`, { detail });
  return new GatewayError('unknown_target', `Nothing of this name is offered: ${name}`, { detail });
}
