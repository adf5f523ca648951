// A Reply: what came of a Call.
import type { Era, OfferKind, Transport } from './call.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { OfferedList } from './offered-list.ts';

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
