// The notifications that a client got, to be waited for one by one.
import type { JsonObject } from '../../../src/core/json.ts';

export interface Notice {
  readonly method: string;
  readonly params: JsonObject;
}

/** What a feature waits for at most; far above what anything takes, also on a machine that does ten other things. */
export const PATIENCE_MS = 25_000;

/** For a whole feature, which may wait for its turn behind those of other cells: so that a cell which hangs fails alone, not those behind it. */
const WHOLE_MS = 5 * PATIENCE_MS;

/** Resolves or rejects as the promise does, and rejects when that takes too long. */
export function bounded<T>(promise: Promise<T>, what: string): Promise<T> {
  return within(PATIENCE_MS, promise, what);
}

/** As `bounded`, for a whole feature: each of its steps has a bound of its own. */
export function unhurried<T>(promise: Promise<T>, what: string): Promise<T> {
  return within(WHOLE_MS, promise, what);
}

async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Keeps notifications until they are taken. */
export class Heard {
  private readonly kept: Notice[] = [];
  private news = Promise.withResolvers<undefined>();

  add(notice: Notice): void {
    this.kept.push(notice);
    this.news.resolve(undefined);
    this.news = Promise.withResolvers();
  }

  /** Takes the first kept or coming notification of this method that passes; throws when it does not come in time. */
  async next(method: string, passes: (params: JsonObject) => boolean = () => true): Promise<JsonObject> {
    return await bounded(this.find(method, passes), method);
  }

  /** Those of a method that were not taken so far. */
  left(method: string): JsonObject[] {
    return this.kept.flatMap((notice) => (notice.method === method ? [notice.params] : []));
  }

  /** Forgets those of a method. */
  forget(method: string): void {
    this.kept.splice(0, this.kept.length, ...this.kept.filter((notice) => notice.method !== method));
  }

  /** Forgets everything. */
  clear(): void {
    this.kept.length = 0;
  }

  private async find(method: string, passes: (params: JsonObject) => boolean): Promise<JsonObject> {
    for (;;) {
      const index = this.kept.findIndex((notice) => notice.method === method && passes(notice.params));
      const [found] = index < 0 ? [] : this.kept.splice(index, 1);
      if (found) return found.params;
      await this.news.promise;
    }
  }
}
