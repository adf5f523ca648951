// The gateway: owns every long-lived object, and hands each call to the pipeline of the snapshot in force.
import { Cancellation } from '../core/cancellation.ts';
import { eventOf } from '../audit/record.ts';
import type { Catalog, View } from '../catalog/catalog.ts';
import { SeenUris } from '../catalog/seen-uris.ts';
import type { Config } from '../config/config.ts';
import { isSameConfig, shownDifferently } from '../config/diff.ts';
import { OFFER_KINDS, type Peer } from '../core/call.ts';
import { GatewayError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Reply } from '../core/reply.ts';
import { InFlightMemory } from '../quota/in-flight-memory.ts';
import { CallLedger } from '../quota/count.ts';
import type { LogLevel } from '../protocol/mcp/meta.ts';
import { CALL_METHODS } from '../protocol/mcp/methods.ts';
import type { StateDirectory } from '../storage/state-directory.ts';
import type { Logger } from '../telemetry/logger.ts';
import { Deadlines } from '../upstream/mcp/wire/deadlines.ts';
import { EraStore } from '../upstream/mcp/connect/era-store.ts';
import { type CallerFacts, ownerKeys } from '../upstream/mcp/instances/affinity.ts';
import { TraitStore } from '../upstream/mcp/instances/trait-store.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { RetryRounds } from './bridge/retry-rounds.ts';
import { ParkedCalls } from './bridge/parked-calls.ts';
import { Tasks } from './tasks/tasks.ts';
import { RequestStates } from './bridge/request-state.ts';
import { Catalogs } from './catalogs.ts';
import { buildCall, type CallRequest, type Known } from './call-request.ts';
import { type ChangeListener, Changes } from './changes.ts';
import { ConfinedServers } from './confined-servers.ts';
import { InFlight } from '../core/in-flight.ts';
import { Heartbeats } from './heartbeats.ts';
import { declareAll, declareOne, type Declaration, isDeclared } from './offer.ts';
import { explainTool, offeredStatus, type ToolExplanation } from './operator-view.ts';
import { compileSnapshot, type Snapshot } from './snapshot.ts';
import { closeStorage, openStorage, type Storage } from './storage.ts';
import { Upstreams } from './upstreams.ts';
import type { Watcher } from './watcher.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Our name and version, towards servers and clients alike. */
  readonly identity: Peer;
  readonly watcher?: Watcher | undefined;
}

/** What `/readyz` tells. */
export interface Health {
  readonly ready: boolean;
  readonly config: string;
  readonly audit: { readonly writable: boolean; readonly error?: string };
  /** Why the last edit of the configuration is not in force. */
  readonly reloadError?: string;
}

/** How long calls in flight may take to finish when the gateway stops. */
const STOP_DRAIN_MS = 10_000;

/** How long servers may take to hear that nobody wants their tasks any more, and calls that are cut short to end with an error. */
const TASKS_DRAIN_MS = 2_000;
const LAST_ANSWERS_MS = 1_000;

export class Gateway {
  readonly identity: Peer;
  readonly changes = new Changes();
  readonly logger: Logger;
  private readonly watcher: Watcher | undefined;
  private readonly storage: Storage;
  private readonly upstreams: Upstreams;
  private readonly confined: ConfinedServers;
  private readonly seen = new SeenUris();
  private readonly states: RequestStates;
  private readonly parked: ParkedCalls;
  private readonly tasks: Tasks;
  private readonly ledger = new CallLedger();
  private readonly room = new InFlightMemory();
  private readonly continuations: RetryRounds;
  private readonly inFlight = new InFlight();
  private readonly heartbeats = new Heartbeats();
  private readonly stopping = new Cancellation();
  private readonly ending = new Cancellation();
  private drained: Promise<void> | undefined;
  /** Where URIs and task ids lead, under the policy in force. */
  private readonly known: Known;
  private readonly catalogs: Catalogs;
  private reloadError: string | undefined;
  snapshot: Snapshot;

  /** Takes the state directory and opens the log. Throws StateError; nothing is started yet. */
  static async open(options: GatewayOptions): Promise<Gateway> {
    const storage = openStorage(options.stateDirectory, options.logger);
    try {
      const gateway = new Gateway(options, storage);
      const { version } = options.identity;
      await storage.audit.append(eventOf('gateway_started', { version, config: options.config.hash }));
      return gateway;
    } catch (error) {
      closeStorage(storage);
      throw error;
    }
  }

  private constructor(options: GatewayOptions, storage: Storage) {
    this.identity = options.identity;
    this.logger = options.logger;
    this.watcher = options.watcher;
    this.storage = storage;
    const store = storage.catalog;
    this.states = new RequestStates(storage.keyring);
    this.continuations = new RetryRounds(this.states);
    this.parked = new ParkedCalls({
      states: this.states,
      mayAsk: (server) => this.upstreams.get(server)?.mayAsk ?? false,
      stopping: this.stopping.signal,
    });
    this.tasks = new Tasks({
      keyring: storage.keyring,
      stopping: this.stopping.signal,
      record: (event, detail) => this.record(event, detail),
    });
    this.known = {
      seen: this.seen,
      tasks: this.tasks.ids,
      permits: (target) => this.snapshot.policy.decide(target).allowed,
      pendingDiscovery: (named, scope) => {
        const { policy } = this.snapshot;
        const found = this.upstreams.pendingDiscovery(named, scope);
        return found.find((target) => policy.decideAnew(target).allowed) ?? found[0];
      },
    };
    const { config, logger } = options;
    this.confined = new ConfinedServers({ config, logger, stateDirectory: storage.directory.path });
    this.upstreams = new Upstreams({
      client: options.identity,
      deadlines: new Deadlines(),
      eras: new EraStore(storage.state),
      traits: new TraitStore(storage.state),
      catalog: store,
      maxMessageBytes: options.config.limits.upstreamMessage,
      maxItems: options.config.limits.items,
      env: options.env,
      containment: this.confined.containment,
      events: this,
      offers: {
        offerChanged: (key, stored) => this.catalogs.offerChanged(key, stored),
        ownerOfferChanged: (server, owner, kinds) => this.catalogs.ownerOfferChanged(server, owner, kinds),
      },
      tasks: this.tasks.records,
      states: options.watcher,
      policy: {
        mayNotify: (server, uri) => this.known.permits({ kind: 'resource', server, exposed: uri, original: uri }),
      },
    });
    this.upstreams.apply(options.config);
    this.catalogs = new Catalogs({ upstreams: this.upstreams, store, changes: this.changes });
    this.snapshot = this.compile(options.config);
  }

  /** Begins to connect to the servers; returns at once. */
  start(): void {
    this.upstreams.start();
    void this.confined
      .logContainment()
      .catch((error: unknown) => this.logger.error({ err: error }, 'servers cannot be contained'));
  }

  /** Whether processes of servers may run: once there was a server over stdio, some may be there still. */
  get startsProcesses(): boolean {
    return this.upstreams.startsProcesses;
  }

  get stateDirectory(): StateDirectory {
    return this.storage.directory;
  }

  /** Puts a new configuration in force; calls in flight end under the one that they began with. */
  async apply(config: Config): Promise<void> {
    const before = this.snapshot;
    await this.confined.hide(config);
    if (isSameConfig(before.config, config)) {
      if (this.reloadError !== undefined) this.notifyReloaded([]);
      return;
    }
    const next = this.compile(config);
    await this.storage.audit.append(eventOf('config_reloaded', { before: before.config.hash, config: config.hash }));
    const { touched } = this.upstreams.apply(config);
    this.catalogs.rebuild();
    this.snapshot = next;
    this.upstreams.start();
    const others = new Set([...touched, ...shownDifferently(before.config, config)]);
    this.notifyReloaded([...others]);
    for (const name of others) this.changes.listsChanged(name, OFFER_KINDS);
  }

  private notifyReloaded(touched: readonly string[]): void {
    const again = this.reloadError !== undefined;
    this.reloadError = undefined;
    this.logger.info({ touched }, again ? 'the configuration is in force again' : 'the configuration was reloaded');
    this.watcher?.reloaded({ touched, again });
  }

  /** Hides from the servers what lies there to be read as the next configuration, before anybody reads it. */
  hideEdit(): Promise<void> {
    return this.confined.hide();
  }

  /** Remembers that an edit was refused, for `/readyz`. */
  refuseReload(reason: string): void {
    this.reloadError = reason;
    this.record('config_refused', { reason });
  }

  /** Runs a call through the pipeline. Throws GatewayError. */
  async call(request: CallRequest): Promise<Reply> {
    if (this.stopping.signal.aborted)
      throw new GatewayError('shutting_down', 'The gateway is stopping; try again when it is back.');
    const held = this.room.enter(request);
    try {
      return await this.handle(request);
    } finally {
      this.room.leave(request.principal.id, held);
    }
  }

  private async handle(request: CallRequest): Promise<Reply> {
    const { scope } = request;
    const view = this.view(scope, request);
    if (scope !== undefined) await this.requireDeclared(scope, request);
    let call = buildCall(request, view, this.known);
    const unmet = call.requested !== undefined && !call.target ? this.upstreams.upToDate(scope) : undefined;
    if (unmet) {
      // a name that nobody offers yet may be that of a server which is just being met
      await unmet;
      call = buildCall(request, this.view(scope, request), this.known);
    }
    return this.heartbeats.during(call.exchange, this.inFlight.track(this.snapshot.handle(call)));
  }

  /** What an endpoint shows. Throws `not_found` where there is no such server. */
  private view(scope: string | undefined, caller: CallerFacts): View {
    const { all, server } = this.catalogs.of(caller);
    const view = scope === undefined ? all : server(scope);
    if (!view) throw new GatewayError('not_found', `There is no server named "${scope ?? ''}" here.`);
    return view;
  }

  /**
   * What an endpoint declares to a client of a revision; undefined where there is no such server. Wakes nobody. A server that was never seen
   * may declare anything: a client that is told of nothing would never ask.
   */
  declare(scope: string | undefined, revision: string): Declaration | undefined {
    if (scope === undefined) return declareAll(this.upstreams.sources(), revision);
    const source = this.upstreams.usableSource(scope);
    return (
      source &&
      (this.upstreams.get(scope)?.seen === false ? declareAll([source], revision) : declareOne(source, revision))
    );
  }

  /** The catalog in force: for header checks, and for the cursors of lists. */
  get offer(): Catalog {
    return this.catalogs.all;
  }

  /** The server that a URI leads to, for this caller. */
  serverOfUri(uri: string, caller: CallerFacts & { scope?: string }): string | undefined {
    const { permits } = this.known;
    return this.view(caller.scope, caller).findUri(uri, {
      seen: (seen) => this.seen.serverOf(caller.principal.id, seen),
      permits,
    })?.server;
  }

  /** Tells a listener of changes, as far as they concern this caller. Returns the way to stop listening. */
  onListsChanged(listener: ChangeListener, caller: CallerFacts): () => void {
    return this.changes.subscribe(listener, ownerKeys(caller));
  }

  /** A session wants log lines of this level from the servers. */
  wantLogLevel(level: LogLevel, caller: CallerFacts): void {
    for (const upstream of this.upstreams.all()) upstream.wantLogLevel(level, caller);
  }

  /** Lets go of everything that a session or listener followed. */
  unfollow(holder: string, followed: Iterable<{ readonly server: string; readonly uri: string }>): void {
    for (const { server, uri } of followed) this.upstreams.get(server)?.followed.unfollow(uri, holder);
  }

  servers(): ServerStatus[] {
    const { policy } = this.snapshot;
    return this.upstreams.all().map((upstream) => {
      const { config: server, seen } = upstream;
      return upstream.status(offeredStatus({ catalog: this.catalogs.all, policy, server, seen }));
    });
  }

  /** Tells the operator why a tool can be called or not; callers are told of what is denied that it is unknown. */
  explainTool(name: string): ToolExplanation {
    const unmet = this.known.pendingDiscovery({ kind: 'tool', requested: name }, undefined);
    return explainTool(name, { catalog: this.catalogs.all, policy: this.snapshot.policy, unmet });
  }

  /** Resolves when every server has been tried once, or has had the time that others wait for it. */
  async met(): Promise<void> {
    await Promise.all(this.upstreams.all().flatMap((upstream) => upstream.firstConnection() ?? []));
  }

  /** Resolves when every server has been tried once. */
  async attempted(): Promise<void> {
    await Promise.all(this.upstreams.all().map((upstream) => upstream.attempted));
  }

  health(): Health {
    const { writable, error } = this.storage.audit.health();
    return {
      ready: writable && !this.stopping.signal.aborted,
      config: this.snapshot.config.hash,
      audit: { writable, ...(error !== undefined && { error }) },
      ...(this.reloadError !== undefined && { reloadError: this.reloadError }),
    };
  }

  /** Writes an event into the log; that it could not be written shows in the program's log and in `/readyz`. */
  record(event: string, detail: JsonObject): void {
    this.logger.info(detail, event);
    this.watcher?.event(event, detail);
    this.storage.audit
      .append(eventOf(event, detail))
      .catch((error: unknown) => this.logger.error({ err: error, event }, 'an event is missing from the audit log'));
  }

  /**
   * Takes no new calls; resolves when those in flight have ended. Standing calls end at once; whatever does not end within 10 s is cancelled at
   * its server and ends with `gateway_closed`.
   */
  drain(): Promise<void> {
    return (this.drained ??= this.endCalls());
  }

  private async endCalls(): Promise<void> {
    const { inFlight, tasks, upstreams } = this;
    this.stopping.abort();
    upstreams.quiesce();
    // what ends after the state directory is lost cannot be recorded, so it is not waited for
    if (this.stateDirectory.isHeld()) await inFlight.settled(STOP_DRAIN_MS);
    this.ending.abort();
    // what a server works on for nobody has to be cancelled while it can be told
    await tasks.records.leaving.settled(TASKS_DRAIN_MS);
    if (inFlight.size === 0) return;
    await upstreams.stop();
    await inFlight.settled(LAST_ANSWERS_MS);
  }

  /** Ends everything: the servers, the log, the ownership of the state directory. */
  async stop(): Promise<void> {
    await this.drain();
    await this.upstreams.stop();
    this.changes.close();
    await this.storage.audit
      .append(eventOf('gateway_stopped'))
      .catch((error: unknown) => this.logger.error({ err: error }, 'the stop is missing from the audit log'));
    await this.confined.close();
    closeStorage(this.storage);
  }

  private compile(config: Config): Snapshot {
    return compileSnapshot(config, {
      catalog: (caller) => this.catalogs.of(caller),
      upstream: (name) => this.upstreams.get(name),
      seen: this.seen,
      states: this.states,
      parked: this.parked,
      tasks: this.tasks,
      changes: this.changes,
      allowedAtDelivery: this.known.permits,
      upToDate: (scope) => this.upstreams.upToDate(scope),
      perCallerLists: () => this.catalogs.vary,
      stopping: this.stopping.signal,
      ending: this.ending.signal,
      logger: this.logger,
      ledger: this.ledger,
      room: this.room,
      goesOn: (call) => this.continuations.has(call),
      audit: this.storage.audit,
      watcher: this.watcher,
    });
  }

  /** An undeclared method of a single server is -32601; what a server never seen declares is waited for (wire.md, What the gateway offers). */
  private async requireDeclared(scope: string, { method, revision }: CallRequest): Promise<void> {
    const capability = CALL_METHODS.get(method)?.capability;
    if (capability === undefined) return;
    const upstream = this.upstreams.get(scope);
    if (upstream?.seen === false) await this.upstreams.firstConnections(scope);
    if (upstream?.seen === false) {
      // whether what the call names may be used is decided first
      if (upstream.isPendingDiscovery && CALL_METHODS.get(method)?.names) return;
      // one that never answered may declare anything; it is not there, which is another answer
      throw upstream.unavailable();
    }
    if (!isDeclared(this.declare(scope, revision), capability))
      throw new GatewayError('method_not_found', `The server "${scope}" does not declare ${capability}.`);
  }
}
