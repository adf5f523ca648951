// A Decision: what policy says about a call, and which rule says it.

/** Whether a call may go on; `rule` names what decided, `reason` explains it to an operator. */
export interface Decision {
  readonly allowed: boolean;
  readonly rule: string;
  readonly reason: string;
  /** Where the rule is configured, as `file:line:column`; absent where nothing is. */
  readonly source?: string;
}
