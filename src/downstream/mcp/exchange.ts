// The way back to one caller: its own progress token, its log level, its subscription id.
import { type CancelSignal } from '../../core/cancellation.ts';
import { cannotAsk, type Exchange } from '../../core/exchange.ts';
import { type JsonObject } from '../../core/json.ts';
import { notificationText, type RequestId } from '../../protocol/mcp/frames.ts';
import { type LogLevel, META, passesLevel, type ProgressToken } from '../../protocol/mcp/meta.ts';

export interface ExchangeOptions {
  readonly signal: CancelSignal;
  /** Sends one message to the caller, ahead of the answer. */
  readonly send: (text: string) => void;
  readonly progressToken?: ProgressToken | undefined;
  readonly logLevel?: LogLevel | undefined;
  readonly capabilities: JsonObject;
  /** Asks the client; absent where it cannot be asked. */
  readonly ask?: Exchange['ask'];
  /** The id of the request: what a listener's notifications carry. */
  readonly id: RequestId;
}

/** Makes the exchange of one request. */
export function createExchange(options: ExchangeOptions): Exchange {
  const { signal, progressToken, logLevel, capabilities, id, ask = cannotAsk } = options;
  // nothing is sent for a cancelled call, though its server may go on talking (wire.md, Cancellation)
  const send = (text: string) => {
    if (!signal.aborted) options.send(text);
  };
  return {
    signal,
    wantsProgress: progressToken !== undefined,
    logLevel,
    capabilities,
    ask,
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
