// Waits for the servers of a gateway that a command runs inside itself, and shows their progress on a terminal.
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { CLEAR_LINE, oneLine, say } from './output.ts';
import { isComing, progressLine } from './screen-lines.ts';
import { cut } from './table.ts';

/** Resolves when every server has been tried once, or the time for slow ones is over; names those that have not answered. */
export async function meet(gateway: Gateway): Promise<void> {
  const { stderr } = process;
  const startedAt = performance.now();
  const draw = () =>
    stderr.write(CLEAR_LINE + cut(progressLine(gateway.servers(), performance.now() - startedAt), stderr.columns - 1));
  const drawing = stderr.isTTY ? setInterval(draw, BOUNDS.commandRedraw) : undefined;
  try {
    await gateway.met();
  } finally {
    clearInterval(drawing);
    if (drawing) stderr.write(CLEAR_LINE);
  }
  const late = gateway.servers().filter(isComing);
  if (late.length === 0) return;
  const names = oneLine(late.map(({ name }) => name).join(', '));
  say(`${names} ${late.length === 1 ? 'has' : 'have'} not answered yet; this is what is known by now.`);
}
