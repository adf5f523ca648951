// How the instances of one server are shared: as configured, or as its behaviour has taught.
import type { ServerConfig } from '../../../config/config.ts';
import type { Era } from '../../../core/call.ts';
import type { Sharing } from './affinity.ts';
import type { IsolationStatus } from '../status.ts';
import type { LearnedTrait, Trait, TraitStore } from './trait-store.ts';

export class Isolation {
  configured: ServerConfig['isolation'];
  private readonly server: string;
  private readonly digest: string;
  private readonly store: TraitStore;
  /** What is in use: the transport may turn out to be another than the configured one; the era is not known at first. */
  private transport: ServerConfig['transport'];
  private era: Era | undefined;
  private readonly learned = new Map<Trait, LearnedTrait>();

  constructor({ name, digest, isolation, transport }: ServerConfig, store: TraitStore) {
    this.server = name;
    this.digest = digest;
    this.configured = isolation;
    this.transport = transport;
    this.store = store;
    for (const known of store.recall(name, digest)) this.learned.set(known.trait, known);
  }

  /** Notes what a handshake found. */
  connected({ transport, era }: { transport: ServerConfig['transport']; era: Era }): void {
    this.transport = transport;
    this.era = era;
  }

  /**
   * What is shared by whom, `auto` decided. A modern server has no sessions and says with each question whose it is, whatever it was
   * like before.
   */
  get sharing(): Sharing {
    if (this.configured !== 'auto') return this.configured;
    return this.learned.size === 0 || this.era === 'modern' ? 'shared' : 'session';
  }

  /** It was seen to put questions to its callers. */
  get mayAsk(): boolean {
    return this.learned.has('asks');
  }

  /**
   * The server asks, and its transport does not say for which call: an instance runs one call at a time. Over Streamable HTTP the
   * stream says it.
   */
  get asksAnonymously(): boolean {
    return this.transport !== 'streamable-http' && this.era !== 'modern' && this.mayAsk;
  }

  /** Whether each owner waits for a process to be started, unless one has been started before. */
  get startsOnDemand(): boolean {
    return this.transport === 'stdio' && this.asksAnonymously && this.sharing !== 'shared';
  }

  /** Remembers how the server behaves; returns whether that was news. */
  remember(trait: Trait, why: string): boolean {
    if (this.learned.has(trait)) return false;
    const learned = { trait, why, learnedAt: Date.now() };
    this.learned.set(trait, learned);
    this.store.remember(this.server, this.digest, learned);
    return true;
  }

  status(): IsolationStatus {
    return {
      configured: this.configured,
      sharing: this.sharing,
      learned: [...this.learned.values()].map(({ trait, why, learnedAt }) => ({
        trait,
        why,
        learnedAt: new Date(learnedAt).toISOString(),
      })),
    };
  }
}
