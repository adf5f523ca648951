// What a process holds, read from the kernel.
import { readdirSync } from 'node:fs';
import { descendants } from '../../upstream/mcp/processes.ts';
import type { GatewayProcess } from './gateway.ts';
import { statusesOf, until } from './status.ts';

export interface Counts {
  /** Open descriptors: files, sockets, pipes. */
  readonly descriptors: number;
  /** Processes below it. */
  readonly processes: number;
}

/** What a process holds now. */
export function countsOf(pid: number): Counts {
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, processes: descendants(pid).length };
}

/** What a gateway holds, asked after a round trip so that what has just ended is let go. */
export async function settledCounts(gateway: GatewayProcess): Promise<Counts> {
  await statusesOf(gateway);
  return countsOf(gateway.process.pid!);
}

/** Waits until a gateway holds no more than before, and fails with what it still holds. */
export async function backTo(gateway: GatewayProcess, before: Counts): Promise<Counts> {
  return await until(
    () => settledCounts(gateway),
    ({ descriptors, processes }) => descriptors <= before.descriptors && processes <= before.processes,
  );
}
