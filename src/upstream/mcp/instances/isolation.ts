// Decides who shares the instances of a server: as configured, or as the server's behaviour requires.
import type { ServerConfig } from '../../../config/config.ts';
import type { Era } from '../../../core/call.ts';
import type { ClientSession } from '../../../core/exchange.ts';
import type { ConfiguredServer } from '../configured-server.ts';
import { type IsolationStatus, utc } from '../status.ts';
import { type InstanceCaller, type Owner, ownerOf, type Sharing } from './affinity.ts';
import type { LearnedTrait, Trait } from '../learned-store.ts';
import type { SpokenEra } from '../spoken-era.ts';

/** What a handshake found. */
interface Found {
  readonly transport: ServerConfig['transport'];
  readonly era: Era;
  /** Whether the server assigned a session id. */
  readonly stateful?: boolean;
}

export class Isolation {
  private readonly server: ConfiguredServer;
  private readonly spoken: SpokenEra;
  /** The transport in use, which may differ from the configured one. */
  private transport: ServerConfig['transport'];
  /** The era whose traits are loaded. */
  private era: Era | undefined;
  private learned: ReadonlyMap<Trait, LearnedTrait>;
  /** The owner of each session's calls: a session belongs to one caller, who declares its capabilities once. */
  private readonly owners = {
    session: new WeakMap<ClientSession, Owner>(),
    principal: new WeakMap<ClientSession, Owner>(),
  };

  constructor(server: ConfiguredServer, spoken: SpokenEra) {
    this.server = server;
    this.spoken = spoken;
    this.era = spoken.known;
    this.transport = server.config.transport;
    this.learned = this.remembered();
  }

  connected({ transport, era, stateful = false }: Found): void {
    this.transport = transport;
    if (era !== this.era) {
      this.era = era;
      this.learned = this.remembered();
    }
    if (stateful && era === 'legacy') this.learn('stateful', 'it assigned a session id');
  }

  /** Who shares an instance, with `auto` resolved. A modern server has no sessions and names the call that each request belongs to, so it is shared whatever was learned. */
  get sharing(): Sharing {
    const { isolation } = this.server.config;
    if (isolation !== 'auto') return isolation;
    return this.learned.size === 0 || this.era === 'modern' ? 'shared' : 'session';
  }

  /** The owner of the instance that a call runs on; undefined where everybody shares one. */
  ownerOf(caller: InstanceCaller): Owner | undefined {
    const { sharing } = this;
    if (sharing === 'shared') return undefined;
    const { session } = caller;
    const known = session && this.owners[sharing].get(session);
    if (known) return known;
    const owner = ownerOf(sharing, caller);
    if (session) this.owners[sharing].set(session, owner);
    return owner;
  }

  /** Whether the server was seen to send requests to its callers. */
  get mayAsk(): boolean {
    return this.learned.has('asks');
  }

  /** Whether the server sends requests and its transport does not show for which call. Over Streamable HTTP the stream shows it. */
  get asksAnonymously(): boolean {
    return this.transport !== 'streamable-http' && this.era !== 'modern' && this.mayAsk;
  }

  /** Whether owners wait for starts of processes, and so need one that is prewarmed. */
  get startsOnDemand(): boolean {
    return this.transport === 'stdio' && this.asksAnonymously && this.sharing !== 'shared';
  }

  /** Stores a trait of the server, and records it the first time. */
  learn(trait: Trait, why: string): void {
    if (this.learned.has(trait)) return;
    const learned = { trait, why, learnedAt: Date.now() };
    this.learned = new Map([...this.learned, [trait, learned]]);
    this.server.context.learned.rememberTrait(this.spoken.key, learned);
    this.server.record('server_isolated', { trait, why });
  }

  private remembered(): ReadonlyMap<Trait, LearnedTrait> {
    const { learned } = this.server.context;
    return new Map(this.spoken.keys.flatMap((key) => learned.traits(key).map((known) => [known.trait, known])));
  }

  status(): IsolationStatus {
    return {
      configured: this.server.config.isolation,
      sharing: this.sharing,
      learned: [...this.learned.values()].map(({ trait, why, learnedAt }) => ({
        trait,
        why,
        learnedAt: utc(learnedAt),
      })),
    };
  }
}
