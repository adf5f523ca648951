// What the operator is told of the offer and callers are not: what is denied, by which pattern, and which patterns match nothing.
import type { Catalog, View } from '../catalog/catalog.ts';
import type { ServerConfig } from '../config/config.ts';
import { OFFER_KINDS, type OfferKind, type Target } from '../core/call.ts';
import { type Decision, explainDecision } from '../core/decision.ts';
import { type Policy, unmatchedPatterns } from '../policy/policy.ts';
import type { OfferedStatus } from '../upstream/mcp/status.ts';

/** Most denied things, and patterns that match nothing, that are told of one server. */
const MAX_TOLD = 200;

export interface OfferedParts {
  readonly catalog: Catalog;
  readonly policy: Policy;
  readonly server: ServerConfig;
  /** Whether it is known what the server offers. */
  readonly seen: boolean;
}

/** What was found of a server's view under a policy; neither changes, so it is found once. */
interface Found {
  readonly policy: Policy;
  readonly status: OfferedStatus;
}

const found = new WeakMap<View, Found>();

/** What callers get of a server, what they do not get of it, and what is worth a warning. */
export function offeredStatus(parts: OfferedParts): OfferedStatus {
  const { catalog, policy, server } = parts;
  const view = catalog.server(server.name);
  if (!view) return { tools: 0, prompts: 0, resources: 0, resourceTemplates: 0, warnings: [], denied: [] };
  const before = found.get(view);
  if (before?.policy === policy) return before.status;
  const status = statusOf(view, parts);
  found.set(view, { policy, status });
  return status;
}

function statusOf({ lists }: View, { catalog, policy, server, seen }: OfferedParts): OfferedStatus {
  const count = (kind: OfferKind) => lists[kind].filter((entry) => policy.decide(entry).allowed).length;
  const denied = OFFER_KINDS.flatMap((kind) => lists[kind])
    .map((entry) => ({ kind: entry.kind, name: entry.original, decision: policy.decide(entry) }))
    .filter(({ decision }) => !decision.allowed)
    .slice(0, MAX_TOLD)
    .map(({ kind, name, decision }) => ({ kind, name, why: explainDecision(decision) }));
  const names = (kind: 'tool' | 'prompt') => [kind, new Set(lists[kind].map(({ original }) => original))] as const;
  const unmatched = seen ? unmatchedPatterns(server, new Map([names('tool'), names('prompt')])) : [];
  return {
    tools: count('tool'),
    prompts: count('prompt'),
    resources: count('resource'),
    resourceTemplates: count('resourceTemplate'),
    warnings: [...(catalog.warnings.get(server.name) ?? []), ...unmatched.slice(0, MAX_TOLD)],
    denied,
  };
}

/** Why a tool can be called or not. */
export interface ToolExplanation {
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  readonly server?: string;
  readonly original?: string;
  readonly decision?: Decision;
}

/** Explains the name of a tool as everybody's endpoint has it. `unmet` is where it would lead, if its server has never answered. */
export function explainTool(
  name: string,
  { catalog, policy, unmet }: { catalog: Catalog; policy: Policy; unmet: Target | undefined },
): ToolExplanation {
  const target = catalog.all.find('tool', name);
  const decision = target ? policy.decide(target) : unmet && policy.decideAnew(unmet);
  const { server, original } = target ?? unmet ?? {};
  if (!decision || server === undefined || original === undefined) return { verdict: 'unknown' };
  return { verdict: decision.allowed ? 'allowed' : 'denied', server, original, decision };
}
