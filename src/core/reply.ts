// A Reply: what came of a Call; and the lists in it, which keep their pages and their JSON.
import type { Era, OfferKind, Transport } from './call.ts';
import type { JsonObject, JsonValue } from './json.ts';

/** One thing that is offered: the server's own definition under the name that callers see. */
export interface Offered {
  readonly kind: OfferKind;
  readonly server: string;
  readonly exposed: string;
  readonly original: string;
  /** The definition with the exposed name put in; everything else as the server sent it. */
  readonly definition: JsonObject;
  /** The definition of a tool as legacy clients get it; absent where that is the same. */
  readonly legacy?: JsonObject;
}

/** The error object of JSON-RPC. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** Where a reply comes from, for the record. */
export interface Origin {
  readonly server: string;
  readonly instance: string;
  readonly era: Era;
  readonly transport: Transport;
  /** Size of the server's message in bytes. */
  readonly bytes: number;
}

export interface ResultReply {
  readonly kind: 'result';
  readonly result: JsonObject;
  readonly origin?: Origin;
}

/** A server's own error, not a failure of the gateway: those are thrown. */
export interface ErrorReply {
  readonly kind: 'error';
  readonly error: RpcError;
  readonly origin?: Origin;
}

/** Entries of the catalog. */
export interface ListReply {
  readonly kind: 'list';
  readonly of: OfferKind;
  readonly list: OfferedList;
  readonly nextCursor?: string;
  /** Whether only this caller may keep the list; shared caches must not. */
  readonly isPrivate: boolean;
  readonly origin?: undefined;
}

/** Why the gateway ends a stream before its source does. */
export type EndReason = 'shutdown' | 'cancelled';

/** Frames that come one after another. */
export interface StreamReply {
  readonly kind: 'stream';
  readonly origin?: Origin;
  /** Sends every frame but the last, and resolves with the last frame, which the caller gets once the call is settled. */
  pipe(send: (frame: JsonValue) => void | Promise<void>): Promise<FinalReply>;
  /** Makes `pipe` resolve soon, with a last frame that ends the stream well-formed in its dialect. The caller of `end` records the reason. */
  end(reason: EndReason): void;
}

/** What the last frame of a call says. */
export type FinalReply = ResultReply | ErrorReply | ListReply;

export type Reply = FinalReply | StreamReply;

export class OfferedList {
  readonly entries: readonly Offered[];
  private split: readonly OfferedList[] | undefined;
  private readonly written = new Map<string, Buffer>();

  constructor(entries: readonly Offered[]) {
    this.entries = entries;
  }

  /** The list of the entries to keep; this list where it keeps all. */
  filter(keep: (entry: Offered) => boolean): OfferedList {
    const kept = this.entries.filter(keep);
    return kept.length === this.entries.length ? this : new OfferedList(kept);
  }

  /** The list in pages of so many entries. Every call must give the same number. */
  pages(size: number): readonly OfferedList[] {
    if (this.entries.length <= size) return [this];
    return (this.split ??= Array.from(
      { length: Math.ceil(this.entries.length / size) },
      (_, index) => new OfferedList(this.entries.slice(index * size, (index + 1) * size)),
    ));
  }

  /** The bytes of the entries in one form. It calls `write` once for each form. */
  bytes(form: string, write: (entries: readonly Offered[]) => string): Buffer {
    let bytes = this.written.get(form);
    if (!bytes) this.written.set(form, (bytes = Buffer.from(write(this.entries))));
    return bytes;
  }
}
