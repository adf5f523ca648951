// A Decision: what policy says about a call, which rule says it, and how an operator is told.

/** Whether a call may go on; `rule` names what decided, `reason` explains it to an operator. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule: string;
  readonly reason: string;
  /** Where the rule is configured, as `file:line:column`; absent where nothing is. */
  readonly source?: string;
}

/** A decision in words for an operator: the rule, what it says, and where it stands. */
export function explainDecision({ rule, reason, source }: Decision): string {
  return `${rule}: ${reason}${source === undefined ? '' : ` (${source})`}`;
}
