// The gateway as downstream adapters and commands see it: start, calls, configurations, status, stop.
import {
  type Call,
  type CallerFacts,
  type Endpoint,
  type Era,
  type McpCall,
  type Target,
  type Peer,
  serverOf,
  type Transport,
} from '../core/call.ts';
import { CallContext } from '../core/call-context.ts';
import type { GatewayError } from '../core/errors.ts';
import { isObject, type JsonObject, messageHeap } from '../core/json.ts';
import { type LogLevel, withoutProtocolMeta } from '../protocol/mcp/vocabulary.ts';
import type { StateDirectory } from '../storage/state-directory.ts';
import type { Logger } from '../telemetry/logger.ts';
import { audiencesOf, type InstanceCaller } from '../upstream/mcp/instances/affinity.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import type { ChangeListener } from './changes.ts';
import { composeParts, type GatewayOptions, type Parts } from './compose.ts';
import { Configurations } from './configurations.ts';
import { deliver, type Sink } from './pipeline.ts';
import { type Declaration, declare, unknownServer } from './offer.ts';
import { OperatorView, type ToolExplanation } from './operator-view.ts';
import { Refusals, type Refused } from './event-log.ts';
import { closeStorage, openStorage } from './storage.ts';
import type { Snapshot } from './snapshots.ts';
import { randomHex, RandomIds, traceFrom } from '../telemetry/trace.ts';

/** What `/readyz` answers. */
export interface Health {
  readonly ready: boolean;
  readonly config: string;
  readonly audit: { readonly writable: boolean; readonly error?: string };
  /** Why the last edit of the configuration is not in force. */
  readonly reloadError?: string;
}

export class Gateway {
  readonly identity: Peer;
  readonly logger: Logger;
  readonly configurations: Configurations;
  private readonly parts: Parts;
  private readonly refusals: Refusals;
  private readonly operator: OperatorView;
  private readonly ids = new RandomIds();

  /** Takes the state directory, opens the audit log and composes the parts. Starts nothing. Throws StateError. */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const storage = openStorage(options);
    try {
      const parts = composeParts(options, storage);
      const { version } = options.identity;
      await parts.events.commit('gateway_started', { version, config: options.config.hash });
      return new Gateway(options, parts);
    } catch (error) {
      closeStorage(storage);
      throw error;
    }
  }

  private constructor({ identity, logger }: GatewayOptions, parts: Parts) {
    this.identity = identity;
    this.logger = logger;
    this.parts = parts;
    this.operator = new OperatorView(parts);
    this.refusals = new Refusals((event, detail) => this.record(event, detail));
    this.configurations = new Configurations(parts);
  }

  /** Begins to connect to the servers, and returns at once. */
  start(): void {
    const { upstreams, confined } = this.parts;
    upstreams.start();
    void confined
      .logContainment()
      .catch((error: unknown) => this.logger.error({ err: error }, 'servers cannot be contained'));
  }

  get snapshot(): Snapshot {
    return this.parts.snapshots.current;
  }

  get stateDirectory(): StateDirectory {
    return this.parts.storage.directory;
  }

  /** Whether processes of servers may run: true once a configuration had a server over stdio. */
  get startsProcesses(): boolean {
    return this.parts.upstreams.startsProcesses;
  }

  /** Runs an MCP request as `deliver` runs a call. */
  call<Last>(request: CallRequest, sink: Sink<Last>): Promise<Last> {
    return this.deliver(buildCall(request, this.ids.hex), sink);
  }

  /** Runs a call of any kind through the pipeline. Resolves with what the sink returns for its last frame. */
  deliver<Last>(call: Call, sink: Sink<Last>): Promise<Last> {
    const { snapshots, handle, inFlight, shutdown } = this.parts;
    const ctx = new CallContext(snapshots.rulesFor(call));
    return inFlight.track(deliver(call, { ctx, handle, ending: shutdown.ending, sink }));
  }

  /** What an endpoint declares to a client of a revision. Throws `not_found` where there is no such server. */
  declare(endpoint: Endpoint, revision: string): Declaration {
    const server = serverOf(endpoint);
    const declared = declare(this.parts.upstreams, server, revision);
    if (!declared) throw unknownServer(server);
    return declared;
  }

  /**
   * Finds out whether the server of an endpoint speaks an era, so that `declare` names what it declares there. Resolves when that is known, or
   * took too long; undefined if there is nothing to find out.
   */
  prepare(endpoint: Endpoint, era: Era): Promise<void> | undefined {
    return this.parts.upstreams.get(serverOf(endpoint) ?? '')?.prepare(era);
  }

  /** Notifies a listener of changes to the lists of this caller. Returns how to unsubscribe. */
  onListsChanged(listener: ChangeListener, caller: InstanceCaller): () => void {
    return this.parts.changes.subscribe(listener, audiencesOf(caller));
  }

  /** Asks the servers for log lines of this level, for one session. */
  wantLogLevel(level: LogLevel, caller: InstanceCaller): void {
    for (const upstream of this.parts.upstreams.all()) upstream.wantLogLevel(level, caller);
  }

  /** Ends the subscriptions of a session or listener. */
  unsubscribe(holder: string, resources: Iterable<Target>): void {
    for (const target of resources) this.parts.upstreams.unfollow(target, holder);
  }

  servers(): ServerStatus[] {
    return this.operator.servers();
  }

  /** Why a tool can be called or not, for the operator. Callers get the same answer for a denied tool as for an unknown one. */
  explainTool(name: string): ToolExplanation {
    return this.operator.explainTool(name);
  }

  /** Resolves when the first connection to each server was made, failed, or took longer than lists wait for it. */
  async met(): Promise<void> {
    await Promise.all(this.parts.upstreams.all().flatMap((upstream) => upstream.firstConnection() ?? []));
  }

  /** Resolves when the first connection to each server was made or failed. */
  async attempted(): Promise<void> {
    await Promise.all(this.parts.upstreams.all().map((upstream) => upstream.attempted));
  }

  health(): Health {
    const { storage, shutdown } = this.parts;
    const { writable, error } = storage.audit.health();
    const { refusal } = this.configurations;
    return {
      ready: writable && !shutdown.stopping.aborted,
      config: this.snapshot.config.hash,
      audit: { writable, ...(error !== undefined && { error }) },
      ...(refusal !== undefined && { reloadError: refusal }),
    };
  }

  /** Records an event. Where the audit log cannot be written, the program's log and `/readyz` say so. */
  record(event: string, detail: JsonObject): void {
    this.parts.events.record(event, detail);
  }

  /** Records that a request was refused before it became a call. */
  refused(error: GatewayError, who: Refused): void {
    this.refusals.add(error, who);
  }

  /** Takes no new calls. Resolves when the calls in flight have ended or were cut short. */
  drain(): Promise<void> {
    return this.parts.shutdown.drain(this.parts);
  }

  /** Stops the servers, closes the audit log and releases the state directory. */
  async stop(): Promise<void> {
    const { storage, events, changes, confined, upstreams, inFlight } = this.parts;
    await this.drain();
    await upstreams.stop();
    changes.close();
    if (inFlight.size > 0)
      this.logger.error({ calls: inFlight.size }, 'calls were not settled when the gateway stopped');
    await events.attempt('gateway_stopped');
    await confined.close();
    closeStorage(storage);
  }
}

/** What a front knows of a caller before it reads a message. */
export interface Caller extends Omit<CallerFacts, 'client'> {
  readonly transport: Transport;
}

/** Facts about one message that only the front knows. */
export interface MessageFacts {
  readonly bytes: number;
  readonly traceparent?: unknown;
  readonly tracestate?: unknown;
  readonly paramHeaders?: Readonly<Record<string, string>> | undefined;
}

/** What an endpoint knows of a call. `params` are as the client sent them, with the protocol keys in `_meta`. */
export interface CallRequest extends Pick<
  McpCall,
  'method' | 'params' | 'era' | 'revision' | 'client' | 'session' | 'exchange'
> {
  readonly caller: Caller;
  readonly facts: MessageFacts;
}

/** Builds the frozen Call, member by member: to spread the request takes several times as long. */
export function buildCall(request: CallRequest, hex = randomHex): McpCall {
  const { params, method, exchange, caller, facts, era } = request;
  const meta = isObject(params._meta) ? params._meta : undefined;
  return Object.freeze<McpCall>({
    id: hex(12),
    kind: 'mcp',
    action: method,
    method,
    args: params.arguments,
    params: withoutProtocolMeta(params),
    principal: caller.principal,
    endpoint: caller.endpoint,
    client: request.client,
    address: caller.address,
    era,
    revision: request.revision,
    via: { era, transport: caller.transport },
    session: request.session,
    paramHeaders: facts.paramHeaders,
    exchange,
    signal: exchange.signal,
    trace: traceFrom(facts.traceparent ?? meta?.traceparent, facts.tracestate ?? meta?.tracestate, hex),
    startedAt: performance.now(),
    bytes: facts.bytes,
    heldBytes: messageHeap(facts.bytes, params),
  });
}
