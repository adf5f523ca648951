import { test } from 'vitest';
import { runServer } from './foreign/run.ts';
test('show', async () => {
  const cells = await runServer(process.env.SERVER as never);
  for (const c of cells) for (const f of Object.keys(c.directly)) if (c.directly[f] ?? c.through[f]) console.log(['##', c.directly[f] === undefined ? 'LOST' : c.through[f] === undefined ? 'REPAIRED' : 'absent', c.server, c.transport, c.client, f, '| D:', c.directly[f]?.slice(0,120), '| T:', c.through[f]?.slice(0, 140)].join(' '));
});
