// Requests that wait for their answers: each has a key and is settled exactly once, and their number is bounded.

/** A request that waits for its answer. */
export class RequestInFlight<Request, Answer> {
  readonly request: Request;
  readonly answered: Promise<Answer>;
  private readonly resolve: (answer: Answer) => void;
  private readonly reject: (error: unknown) => void;
  private readonly close: () => boolean;

  /** `close` returns whether the request was still in flight. */
  constructor(request: Request, close: () => boolean) {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.request = request;
    this.answered = promise;
    this.resolve = resolve;
    this.reject = reject;
    this.close = close;
  }

  /** Resolves the answer. Returns false, and does nothing, where the request was settled before. */
  answer(answer: Answer): boolean {
    const isFirst = this.close();
    if (isFirst) this.resolve(answer);
    return isFirst;
  }

  /** Rejects the answer. Returns false, and does nothing, where the request was settled before. */
  fail(error: unknown): boolean {
    const isFirst = this.close();
    if (isFirst) this.reject(error);
    return isFirst;
  }
}

export interface InFlightLimit {
  readonly most: number;
  /** Makes the error for a request beyond the limit. */
  readonly full: () => Error;
}

/** Requests may be settled while its iterator is in use. */
export class RequestsInFlight<Key, Request, Answer> {
  private readonly limit: InFlightLimit | undefined;
  private readonly open = new Map<Key, RequestInFlight<Request, Answer>>();

  constructor(limit?: InFlightLimit) {
    this.limit = limit;
  }

  get size(): number {
    return this.open.size;
  }

  /** Puts a request in flight under a key that no other one in flight has. Throws `full` at the limit. */
  begin(key: Key, request: Request): RequestInFlight<Request, Answer> {
    if (this.limit && this.open.size >= this.limit.most) throw this.limit.full();
    const begun: RequestInFlight<Request, Answer> = new RequestInFlight<Request, Answer>(
      request,
      () => this.open.get(key) === begun && this.open.delete(key),
    );
    this.open.set(key, begun);
    return begun;
  }

  get(key: Key): RequestInFlight<Request, Answer> | undefined {
    return this.open.get(key);
  }

  [Symbol.iterator](): Iterator<[Key, RequestInFlight<Request, Answer>]> {
    return this.open[Symbol.iterator]();
  }
}
