// A Decision: what policy says about a call, which rule says it, and how an operator is told.
import type { OfferKind, Target } from './call.ts';
import type { OfferedList } from './offered-list.ts';

/** Whether a call may go on; `rule` names what decided, `reason` explains it to an operator. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule: string;
  readonly reason: string;
  /** Where the rule is configured, as `file:line:column`; absent where nothing is. */
  readonly source?: string;
}

/** What stands in the record of a call that was refused before policy was asked. */
export const UNDECIDED: Decision = Object.freeze({
  allowed: false,
  rule: 'none',
  reason: 'the call was refused before policy was asked',
});

/** What is decided on: its exposed name plays no part. */
export type Decidable = Pick<Target, 'kind' | 'server' | 'original' | 'pendingDiscovery'>;

/** The action by which a thing is used: who may not take it is not shown the thing either. */
export const ACTIONS: Readonly<Record<OfferKind, string>> = {
  tool: 'tools/call',
  prompt: 'prompts/get',
  resource: 'resources/read',
  resourceTemplate: 'resources/read',
};

/** What a call asks of policy. */
export interface PolicyQuestion {
  /** What the caller wants to do. */
  readonly action: string;
  readonly target?: Decidable | undefined;
  /** What the caller named. Without a target nothing of that name is offered. */
  readonly requested?: string | undefined;
}

/** What one caller may do, under one configuration. */
export interface PolicyView {
  decide(question: PolicyQuestion): Decision;
  /** Whether the caller may use what is offered: so it is listed, and so the caller may hear of it. */
  permits(target: Decidable): boolean;
  /** What the caller may see of a list: the same one again for the same list. */
  visible(list: OfferedList): OfferedList;
}

/** A decision in words for an operator: the rule, what it says, and where it stands. */
export function explainDecision({ rule, reason, source }: Decision): string {
  return `${rule}: ${reason}${source === undefined ? '' : ` (${source})`}`;
}
