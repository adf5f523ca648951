// The last messages of a server that are not MCP or are for no caller, kept for the operator beside its stderr.
import { BOUNDS } from '../../../core/bounds/bounds.ts';

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

  record(text: string): void {
    // secrets are removed before the text is cut to its length, since half a secret would not be found
    this.kept.push(
      this.clean(text.slice(0, 2 * BOUNDS.protocolDiagnosticText)).slice(0, BOUNDS.protocolDiagnosticText),
    );
    if (this.kept.length > BOUNDS.protocolDiagnostics) this.kept.shift();
  }
}
