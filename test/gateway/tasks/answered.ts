// The answer of a server about a task, with the instance that answered.
import type { UpstreamReply } from '../../../src/upstream/mcp/upstream.ts';
import type { WireReply } from '../../../src/upstream/mcp/wire/wire.ts';

const connection: unknown = { era: 'legacy', instance: 'one#1', wire: { transport: 'stdio' } };

export function answeredWith(reply: WireReply): Promise<UpstreamReply> {
  return Promise.resolve({ reply, connection } as UpstreamReply);
}
