// Crowds that listen: each on a connection of its own, by `subscriptions/listen` or by the standing stream of a legacy session.
import type { JsonObject } from '../../../src/core/json.ts';
import type { RunningGateway } from './gateway.ts';
import { type EventStream, messageOf, modern, openSession, send, stream } from './raw.ts';
import { inParallel } from './askers.ts';

export type ListenerKind = 'modern' | 'legacy';

/** How many are opened at a time. */
const AT_ONCE = 32;

const UPDATED = 'notifications/resources/updated';
const CHANGED = 'notifications/tools/list_changed';

/** One that listens: for changes of the list of tools, and for resources. */
export interface Listener {
  readonly stream: EventStream;
  /** The names of the tools on offer, as this listener asks for them. */
  tools(): Promise<string[]>;
  /** Leaves; a legacy session ends. */
  leave(): Promise<void>;
}

export interface Crowd {
  readonly kind: ListenerKind;
  readonly count: number;
  /** What each follows. */
  readonly uris: readonly string[];
}

/** Opens a crowd; resolves when each of it hears whatever comes. */
export function openListeners(gateway: RunningGateway, { kind, count, uris }: Crowd): Promise<Listener[]> {
  const open = kind === 'modern' ? openModern : openLegacy;
  return inParallel(Array.from({ length: count }), AT_ONCE, () => open(gateway.origin, uris));
}

async function openModern(origin: string, uris: readonly string[]): Promise<Listener> {
  const notifications = { toolsListChanged: true, resourceSubscriptions: [...uris] };
  const opened = await stream(origin, modern('subscriptions/listen', { notifications }));
  const acknowledged = await opened.inbox.find({ method: 'notifications/subscriptions/acknowledged' });
  const followed = (acknowledged.params as { notifications: { resourceSubscriptions?: string[] } }).notifications;
  if ((followed.resourceSubscriptions ?? []).length !== uris.length)
    throw new Error(`not all is followed: ${JSON.stringify(acknowledged)}`);
  return {
    stream: opened,
    tools: async () => namesIn(messageOf(await send(origin, modern('tools/list')))),
    leave: async () => {
      opened.close();
      await opened.ended;
    },
  };
}

async function openLegacy(origin: string, uris: readonly string[]): Promise<Listener> {
  const session = await openSession(origin);
  for (const uri of uris) await send(origin, session.request('resources/subscribe', { uri }));
  const opened = await stream(origin, session.get());
  await opened.firstId;
  return {
    stream: opened,
    tools: async () => namesIn(messageOf(await send(origin, session.request('tools/list')))),
    leave: async () => {
      await send(origin, session.delete());
      await opened.ended;
    },
  };
}

function namesIn({ result }: JsonObject): string[] {
  return ((result as { tools?: { name: string }[] } | undefined)?.tools ?? []).map(({ name }) => name);
}

/** Waits until so many updates came, and tells of how many URIs there were how many. */
export async function updatesOf({ stream: { inbox } }: Listener, count: number): Promise<Map<string, number>> {
  const heard = new Map<string, number>();
  for (let left = count; left > 0; left--) {
    const { params } = await inbox.find({ method: UPDATED });
    const { uri } = params as { uri: string };
    heard.set(uri, (heard.get(uri) ?? 0) + 1);
  }
  return heard;
}

/** Lists the tools whenever they changed, until that one is among them; resolves with how often it was told. */
export async function untilListed(listener: Listener, tool: string): Promise<number> {
  for (let told = 1; ; told++) {
    await listener.stream.inbox.find({ method: CHANGED });
    if ((await listener.tools()).includes(tool)) return told;
  }
}
