// The way back to one caller: its own progress token, its log level, its subscription id.
import { type Exchange } from '../../core/exchange.ts';
import { type JsonObject } from '../../core/json.ts';
import { notificationText, type RequestId } from '../../protocol/mcp/frames.ts';
import { type LogLevel, META, passesLevel, type ProgressToken } from '../../protocol/mcp/meta.ts';

export interface ExchangeOptions {
  readonly signal: AbortSignal;
  /** Sends one message to the caller, ahead of the answer. */
  readonly send: (text: string) => void;
  readonly progressToken?: ProgressToken | undefined;
  readonly logLevel?: LogLevel | undefined;
  /** The id of the request: what a listener's notifications carry. */
  readonly id: RequestId;
}

/** Makes the exchange of one request. */
export function createExchange({ signal, send, progressToken, logLevel, id }: ExchangeOptions): Exchange {
  return {
    signal,
    wantsProgress: progressToken !== undefined,
    logLevel,
    progress: (params) => {
      if (progressToken !== undefined) send(notificationText('notifications/progress', { ...params, progressToken }));
    },
    log: (params) => {
      if (logLevel !== undefined && passesLevel(params.level, logLevel))
        send(notificationText('notifications/message', params));
    },
    notify: (method, params) =>
      send(
        notificationText(method, {
          ...params,
          _meta: { ...(params._meta as JsonObject | undefined), [META.subscriptionId]: id },
        }),
      ),
  };
}
