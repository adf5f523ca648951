// What a server said that is for nobody, or is not MCP: kept beside its stderr for whoever looks for what is wrong with it.

/** Most lines that are kept. */
const MOST = 20;
/** Most characters of one that are kept. */
const LONGEST = 1_000;

/** The last lines, without secrets. */
export class ProtocolDiagnostics {
  private readonly clean: (text: string) => string;
  private readonly kept: string[] = [];

  /** `clean` takes secrets out of a line. */
  constructor(clean: (text: string) => string) {
    this.clean = clean;
  }

  get lines(): readonly string[] {
    return this.kept;
  }

  record(what: string): void {
    // a secret that is cut in two would not be found
    this.kept.push(this.clean(what.slice(0, 2 * LONGEST)).slice(0, LONGEST));
    if (this.kept.length > MOST) this.kept.shift();
  }
}
