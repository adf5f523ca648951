// Waiting for the servers of a gateway that a command has started for itself: shown on a terminal, bounded, and told where some are not there yet.
import type { Gateway } from '../gateway/gateway.ts';
import { CLEAR_LINE, oneLine, say } from './output.ts';
import { isComing, progressLine } from './screen-lines.ts';
import { cut } from './table.ts';

const DRAW_MS = 500;

/** Resolves when every server has been tried once, or the slow ones have had their time. */
export async function meet(gateway: Gateway): Promise<void> {
  const { stderr } = process;
  const began = performance.now();
  const draw = () =>
    stderr.write(CLEAR_LINE + cut(progressLine(gateway.servers(), performance.now() - began), stderr.columns - 1));
  const drawing = stderr.isTTY ? setInterval(draw, DRAW_MS) : undefined;
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
