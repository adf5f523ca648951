// A configured server as every part of its upstream sees it: its entry, its recent errors, and the way to record events.
import type { ServerConfig } from '../../config/config.ts';
import { BOUNDS } from '../../core/bounds/bounds.ts';
import { detailOf, reasonOf } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import type { UpstreamContext, UpstreamEvent } from './context.ts';
import { Redaction } from './redaction.ts';

export class ConfiguredServer {
  /** The entry in force. An edit that needs no restart replaces it, so parts read it at each use. */
  config: ServerConfig;
  readonly name: string;
  readonly context: UpstreamContext;
  readonly errors = new RecentErrors();
  /** The last messages that are not MCP, and what else the operator wants to know of its protocol. */
  readonly diagnostics: string[] = [];
  /** Whether its processes may be pinged: some servers exit on a request that they do not know. */
  answersPings = true;
  readonly redaction: Redaction;

  constructor(config: ServerConfig, context: UpstreamContext) {
    this.config = config;
    this.name = config.name;
    this.context = context;
    this.redaction = new Redaction(config.secrets);
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

  /** Adds a line to the diagnostics. */
  diagnose(text: string): void {
    // secrets are removed before the text is cut to its length, since half a secret would not be found
    this.diagnostics.push(
      this.clean(text.slice(0, 2 * BOUNDS.protocolDiagnosticText)).slice(0, BOUNDS.protocolDiagnosticText),
    );
    if (this.diagnostics.length > BOUNDS.protocolDiagnostics) this.diagnostics.shift();
  }

  /** Removes secrets and terminal escapes from what the server says. */
  clean(text: string): string {
    return this.redaction.text(text);
  }

  /** Adds a failure to the recent errors. */
  recordError(error: unknown): void {
    const detail = detailOf(error);
    this.errors.record(this.clean(reasonOf(error)), detail && this.clean(detail));
  }
}

export interface RecentError {
  /** What callers may read. */
  readonly message: string;
  /** For the operator alone; from the last time. */
  readonly detail?: string | undefined;
  /** UTC ms, the last time. */
  readonly at: number;
  /** How often it came in a row. */
  readonly times: number;
}

/** A bounded list, the oldest first; an error that repeats is one entry. */
export class RecentErrors {
  all: readonly RecentError[] = [];

  get last(): RecentError | undefined {
    return this.all.at(-1);
  }

  record(text: string, detail?: string): void {
    const message = text.slice(0, BOUNDS.recentErrorText);
    const { last } = this;
    const repeated = last?.message === message;
    const before = repeated ? this.all.slice(0, -1) : this.all;
    this.all = [
      ...before,
      {
        message,
        detail: detail?.slice(0, BOUNDS.recentErrorText),
        at: Date.now(),
        times: repeated ? last.times + 1 : 1,
      },
    ].slice(-BOUNDS.recentErrors);
  }
}
