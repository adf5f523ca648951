// A Reply: the answer to a Call.
import type { Era, OfferKind, Transport } from './call.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { OfferedList } from './offered-list.ts';

/** One offered thing: the server's own definition under the name that callers see. */
export interface Offered {
  readonly kind: OfferKind;
  readonly server: string;
  readonly exposed: string;
  readonly original: string;
  /** The definition with the exposed name; everything else as the server sent it. */
  readonly definition: JsonObject;
}

/** The error object of JSON-RPC. */
export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

/** The instance that a reply comes from, for the record. */
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

/** A server's own error. The gateway throws its own errors. */
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
  /** Whether the list is private to its caller, whatever the configuration says. */
  readonly isPrivate: boolean;
  readonly origin?: undefined;
}

/** Why the gateway ends a stream before its source does. */
export type EndReason = 'quota' | 'shutdown' | 'cancelled';

/** A reply of several frames. */
export interface StreamReply {
  readonly kind: 'stream';
  readonly origin?: Origin;
  /** Sends every frame but the last, and resolves with the last, which the caller gets after the call is settled. */
  pipe(send: (frame: JsonValue) => void | Promise<void>): Promise<FinalReply>;
  /** Ends the stream soon, with a valid end in its dialect. */
  end(reason: EndReason): void;
}

/** The last frame of a call. */
export type FinalReply = ResultReply | ErrorReply | ListReply;

export type Reply = FinalReply | StreamReply;
