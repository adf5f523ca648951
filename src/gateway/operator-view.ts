// What the operator sees of the offers and callers do not: denied tools with the pattern that denies them, and patterns that match nothing.
import type { View } from '../catalog/view.ts';
import { ALL_SERVERS, type CallerFacts, OFFER_KINDS, type OfferKind } from '../core/call.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import { ACTIONS, type Decision, explainDecision, type PolicyView } from '../core/decision.ts';
import { LOCAL } from '../core/principal.ts';
import { unmatchedPatterns } from '../policy/policy.ts';
import type { OfferedStatus, ServerStatus } from '../upstream/mcp/status.ts';
import type { Upstream } from '../upstream/mcp/upstream.ts';
import type { Parts } from './compose.ts';

/** The caller whose view the operator sees: the local principal at the endpoint of all servers. */
const LOCAL_CALLER: CallerFacts = { principal: LOCAL, endpoint: ALL_SERVERS };

/** Why a tool can be called or not. */
export interface ToolExplanation {
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  readonly server?: string;
  readonly original?: string;
  readonly decision?: Decision;
}

export class OperatorView {
  private readonly parts: Pick<Parts, 'snapshots' | 'upstreams'>;
  /** The status of a server's view, with the policy that it was computed under: both are immutable. */
  private readonly known = new WeakMap<View, { readonly policy: PolicyView; readonly status: OfferedStatus }>();

  constructor(parts: Pick<Parts, 'snapshots' | 'upstreams'>) {
    this.parts = parts;
  }

  /** The state of every server, and what callers can use of its offer. */
  servers(): ServerStatus[] {
    const { snapshots, upstreams } = this.parts;
    const { policy } = snapshots.rulesFor(LOCAL_CALLER);
    return upstreams.all().map((upstream) => upstream.status(this.offered(upstream, policy)));
  }

  /** Why a tool can be called or not. `name` is the one at the endpoint of all servers. */
  explainTool(name: string): ToolExplanation {
    const { snapshots, upstreams } = this.parts;
    const { policy } = snapshots.rulesFor(LOCAL_CALLER);
    const target =
      snapshots.current.catalogs.all.all.find('tool', name) ??
      upstreams.pendingDiscovery({ kind: 'tool', requested: name }, policy);
    if (!target) return { verdict: 'unknown' };
    const { server, original } = target;
    const decision = policy.decide({ action: ACTIONS.tool, target });
    return { verdict: decision.allowed ? 'allowed' : 'denied', server, original, decision };
  }

  /** What callers can use of a server, what policy denies them, and warnings. */
  private offered({ config: server, seen }: Upstream, policy: PolicyView): OfferedStatus {
    const catalog = this.parts.snapshots.current.catalogs.all;
    const view = catalog.server(server.name);
    if (!view) return { tools: 0, prompts: 0, resources: 0, resourceTemplates: 0, warnings: [], denied: [] };
    const before = this.known.get(view);
    if (before?.policy === policy) return before.status;
    const names = (kind: 'tool' | 'prompt') =>
      [kind, new Set(view.lists[kind].entries.map(({ original }) => original))] as const;
    const unmatched = seen ? unmatchedPatterns(server, new Map([names('tool'), names('prompt')])) : [];
    const warnings = [...(catalog.warnings.get(server.name) ?? []), ...unmatched.slice(0, BOUNDS.statusEntries)];
    const status = { ...usable(view, policy), warnings };
    this.known.set(view, { policy, status });
    return status;
  }
}

/** How many entries of a view callers can use, and which ones policy denies them. */
function usable({ lists }: View, policy: PolicyView): Omit<OfferedStatus, 'warnings'> {
  const count = (kind: OfferKind) => policy.visible(lists[kind]).entries.length;
  const denied = OFFER_KINDS.flatMap((kind) => lists[kind].entries)
    .map((entry) => ({
      kind: entry.kind,
      name: entry.original,
      decision: policy.decide({ action: ACTIONS[entry.kind], target: entry }),
    }))
    .filter(({ decision }) => !decision.allowed)
    .slice(0, BOUNDS.statusEntries)
    .map(({ kind, name, decision }) => ({ kind, name, why: explainDecision(decision) }));
  return {
    tools: count('tool'),
    prompts: count('prompt'),
    resources: count('resource'),
    resourceTemplates: count('resourceTemplate'),
    denied,
  };
}
