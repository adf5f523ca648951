// The last messages of a server that are not MCP or are for no caller, kept for the operator beside its stderr.

/** Most lines that are kept. */
const MOST = 20;
/** Most characters of one that are kept. */
const LONGEST = 1_000;

export class ProtocolDiagnostics {
  private readonly clean: (text: string) => string;
  private readonly kept: string[] = [];

  /** `clean` removes secrets from a line. */
  constructor(clean: (text: string) => string) {
    this.clean = clean;
  }

  get lines(): readonly string[] {
    return this.kept;
  }

  record(what: string): void {
    // cleaned before it is cut to length, since a secret that is cut in two is not found
    this.kept.push(this.clean(what.slice(0, 2 * LONGEST)).slice(0, LONGEST));
    if (this.kept.length > MOST) this.kept.shift();
  }
}
