// How the instances of one server are shared: as configured, or as its behaviour has taught.
import { type ServerConfig } from '../../config/config.ts';
import { type Sharing } from './affinity.ts';
import { type IsolationStatus } from './status.ts';
import { type LearnedTrait, type Trait, type TraitStore } from './trait-store.ts';

export class Isolation {
  configured: ServerConfig['isolation'];
  private readonly server: string;
  private readonly digest: string;
  private readonly store: TraitStore;
  /** The transport in use, which may turn out to be another than the configured one. */
  transport: ServerConfig['transport'];
  private readonly learned = new Map<Trait, LearnedTrait>();

  constructor({ name, digest, isolation, transport }: ServerConfig, store: TraitStore) {
    this.server = name;
    this.digest = digest;
    this.configured = isolation;
    this.transport = transport;
    this.store = store;
    for (const known of store.recall(name, digest)) this.learned.set(known.trait, known);
  }

  /** What is shared by whom, `auto` decided. */
  get sharing(): Sharing {
    if (this.configured !== 'auto') return this.configured;
    return this.learned.size === 0 ? 'shared' : 'session';
  }

  /**
   * The server asks, and its transport does not say for which call: an instance runs one call at a time. Over Streamable HTTP the
   * stream says it.
   */
  get asksAnonymously(): boolean {
    return this.transport !== 'streamable-http' && this.learned.has('asks');
  }

  /** Remembers how the server behaves; returns whether that was news. */
  learn(trait: Trait, why: string): boolean {
    if (this.learned.has(trait)) return false;
    const learned = { trait, why, learnedAt: Date.now() };
    this.learned.set(trait, learned);
    this.store.learn(this.server, this.digest, learned);
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
