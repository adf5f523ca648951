// A configured server as every part of its upstream sees it: its entry, its recent errors, and the way to record events.
import type { ServerConfig } from '../../config/config.ts';
import { detailOf, reasonOf } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { UpstreamContext, UpstreamEvent } from './context.ts';
import { ProtocolDiagnostics } from './instances/protocol-diagnostics.ts';
import { RecentErrors } from './instances/recent-errors.ts';
import { textCleaner } from './redaction.ts';

export class ConfiguredServer {
  /** The entry in force. An edit that needs no restart replaces it, so parts read it at each use. */
  config: ServerConfig;
  readonly name: string;
  readonly context: UpstreamContext;
  readonly errors = new RecentErrors();
  readonly diagnostics: ProtocolDiagnostics;
  /** Whether its processes may be pinged: some servers exit on a request that they do not know. */
  answersPings = true;
  /** Removes secrets and terminal escapes from what the server says. */
  readonly clean: (text: string) => string;

  constructor(config: ServerConfig, context: UpstreamContext) {
    this.config = config;
    this.name = config.name;
    this.context = context;
    this.clean = textCleaner(config.secrets);
    this.diagnostics = new ProtocolDiagnostics(this.clean);
  }

  /** Whether the entry is enabled and free of mistakes. */
  get isUsable(): boolean {
    return !this.config.disabled && this.config.problem === undefined;
  }

  nextInstanceId(): string {
    return this.context.instanceIds.next(this.name);
  }

  /** Writes an event about this server into the audit log. */
  record(event: UpstreamEvent, detail: JsonObject): void {
    this.context.events.record(event, { server: this.name, ...detail });
  }

  /** Adds a failure to the recent errors. */
  recordError(error: unknown): void {
    const detail = detailOf(error);
    this.errors.record(this.clean(reasonOf(error)), detail && this.clean(detail));
  }
}
