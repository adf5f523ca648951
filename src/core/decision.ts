// A Decision of policy on a call: whether it is allowed, by which rule, and its text for an operator.
import type { OfferKind, Target } from './call.ts';
import type { OfferedList } from './reply.ts';

/** Whether a call is allowed; `rule` names the rule that decided, `reason` explains it to an operator. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule: string;
  readonly reason: string;
  /** The place of the rule in the configuration, as `file:line:column`; absent for a rule that is not configured. */
  readonly source?: string;
}

/** The decision in the record of a call that was refused before policy decided. */
export const UNDECIDED: Decision = Object.freeze({
  allowed: false,
  rule: 'none',
  reason: 'the call was refused before policy was asked',
});

/** The part of a target that policy reads: not its exposed name. */
export type Decidable = Pick<Target, 'kind' | 'server' | 'original' | 'pendingDiscovery'>;

/** The action that uses each kind of thing. A caller who may not use a thing does not see it in lists either. */
export const ACTIONS: Readonly<Record<OfferKind, string>> = {
  tool: 'tools/call',
  prompt: 'prompts/get',
  resource: 'resources/read',
  resourceTemplate: 'resources/read',
};

/** The question of a call to policy. */
export interface PolicyQuestion {
  readonly action: string;
  readonly target?: Decidable | undefined;
  /** The requested name or URI. Without a target, no server offers it. */
  readonly requested?: string | undefined;
}

/** What one caller may do, under one configuration. */
export interface PolicyView {
  decide(question: PolicyQuestion): Decision;
  /** Whether the caller may use a target, see it in lists and get notifications about it. */
  permits(target: Decidable): boolean;
  /** The part of a list that the caller may see; the same object again for the same list. */
  visible(list: OfferedList): OfferedList;
}

/** The text of a decision for an operator: the rule, its reason, and its place. */
export function explainDecision({ rule, reason, source }: Decision): string {
  return `${rule}: ${reason}${source === undefined ? '' : ` (${source})`}`;
}
