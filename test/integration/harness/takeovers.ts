// Owners of a state directory killed one after the other, while the clients that joined them call without a pause.
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { alive, marked } from '../../upstream/mcp/processes.ts';
import { fixture, workspace } from './gateway.ts';
import { openSession, openSessions, outcomeOf, ownerPid, split } from './joined.ts';
import type { RawPipe } from './raw.ts';

const CLIENTS = 4;
/** Good answers that each client must get before a kill, and after it. */
const ENOUGH = 5;
const OUTCOMES = ['echo', 'gateway_closed', 'shutting_down'];

/** A client that calls, waits for the answer and calls again, until it is told to stop or its process is gone. */
class Caller {
  readonly pipe: RawPipe;
  readonly sent: string[] = [];
  readonly outcomes: string[] = [];
  private good = 0;
  private stopped = false;
  private readonly running: Promise<void>;
  private wake: (() => void) | undefined;

  constructor(pipe: RawPipe) {
    this.pipe = pipe;
    this.running = this.run();
  }

  /** Resolves when so many more calls were answered well. */
  async answered(more: number): Promise<void> {
    const wanted = this.good + more;
    while (this.good < wanted) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const id = `call-${this.sent.length}`;
      this.sent.push(id);
      this.pipe.request(id, 'tools/call', { name: 'echo__echo', arguments: { text: 'echo' } });
      const answer = await this.pipe.inbox.find({ id }).catch(() => undefined);
      if (!answer) return; // its process was the one to be killed
      const outcome = outcomeOf(answer);
      this.outcomes.push(outcome);
      if (outcome === 'echo') this.good += 1;
      this.wake?.();
    }
  }
}

/** Kills the owner so many times; every request of the others gets one answer, and they work on after each kill. */
export async function killOwners(rounds: number): Promise<void> {
  const marker = randomBytes(8).toString('hex');
  const echo = fixture('echo-stdio.ts');
  const place = workspace({ mcpServers: { echo: { ...echo, env: { ...echo.env, MARKER: marker } } } });
  const all = await openSessions(place, CLIENTS);
  const callers = new Map(all.map((pipe) => [pipe, new Caller(pipe)]));
  for (let round = 0; round < rounds; round += 1) {
    const { owner } = split(place, [...callers.keys()]);
    await Promise.all([...callers.values()].map((caller) => caller.answered(ENOUGH)));
    const killed = callers.get(owner)!;
    callers.delete(owner);
    owner.process.kill('SIGKILL');
    await killed.stop();
    await Promise.all([...callers.values()].map((caller) => caller.answered(ENOUGH)));
    expect(ownerPid(place)).not.toBe(owner.process.pid);
    const another = await openSession(place);
    all.push(another);
    callers.set(another, new Caller(another));
  }
  const { owner, joined } = split(place, [...callers.keys()]);
  for (const [{ inbox }, caller] of callers) {
    await caller.stop();
    const answers = inbox.all.flatMap(({ id }) => (caller.sent.includes(id as string) ? [id] : []));
    expect(answers).toEqual(caller.sent);
    expect(caller.outcomes.filter((outcome) => !OUTCOMES.includes(outcome))).toEqual([]);
  }
  for (const pipe of [...joined, owner]) expect(await pipe.end()).toBe(0);
  const pids = all.map(({ process }) => process.pid!);
  await expect.poll(() => alive([...pids, ...marked(marker)]), { timeout: 5_000, interval: 20 }).toEqual([]);
  place.remove();
}
