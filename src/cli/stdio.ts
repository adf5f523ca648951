// `mcp-gateway stdio`: the gateway as the one MCP server that a client starts; joins a running owner, or becomes the owner.
import { type Duplex, duplexPair } from 'node:stream';
import type { StdioFront, StdioPipes } from '../downstream/mcp/stdio.ts';
import { type Joined, joinStdio } from './control-client.ts';
import { EXIT, ExitError } from './exit-codes.ts';
import type { Command, Invocation } from './options.ts';
import { say } from './output.ts';
import { Relay } from './relay.ts';
import type { RunningGateway } from './run-gateway.ts';
import { untilSignal } from './signals.ts';

export const stdio: Command = {
  help: [['', 'joins the gateway that runs on the state directory, or runs one itself; takes over when that one ends']],
  examples: ({ typed, absolute }) => [`${typed} stdio`, `claude mcp add gw -- ${absolute} stdio`],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const signalled = untilSignal();
  const owner = new OwnerLink(invocation);
  const pipes = { input: process.stdin, output: process.stdout };
  let relay: Relay | undefined;
  const serve = async () => {
    const { inside, stream } = await owner.find();
    if (inside) await (await openFront(inside, pipes)).ended;
    else {
      relay = new Relay({ ...pipes, join: () => owner.next(), warn: (message) => say(`mcp-gateway: ${message}`) });
      await relay.run(stream);
    }
    return EXIT.ok;
  };
  try {
    return await Promise.race([signalled, serve(), owner.lost]);
  } finally {
    await owner.leave();
    relay?.close();
    process.stdin.destroy();
  }
}

/** The present owner of the state directory: another process, or this process once it has become the owner. */
class OwnerLink {
  private readonly invocation: Invocation;
  private readonly leaving = new AbortController();
  private found: Promise<Joined> | undefined;
  private readonly losing = Promise.withResolvers<never>();

  constructor(invocation: Invocation) {
    this.invocation = invocation;
  }

  /** Rejects when this process is the owner and loses the state directory. */
  get lost(): Promise<never> {
    return this.losing.promise;
  }

  async find(): Promise<Joined> {
    this.found = joinStdio(this.invocation, this.leaving.signal);
    const found = await this.found;
    const { inside } = found;
    if (inside) {
      process.on('SIGHUP', () => void inside.reload());
      void inside.lost.then(this.losing.reject);
    }
    return found;
  }

  /** Connects to the next owner. Throws ExitError if this process is the owner: then its front has closed because the client does not read. */
  async next(): Promise<Duplex> {
    if ((await this.found)?.inside)
      throw new ExitError(EXIT.unreachable, 'the client does not read what it is sent; it is given up.');
    const { inside, stream } = await this.find();
    say(
      `mcp-gateway: the gateway that this process had joined has ended; ${inside ? 'it took over' : 'it joined the next one'}.`,
    );
    if (!inside) return stream;
    const [near, far] = duplexPair();
    const front = await openFront(inside, { input: far, output: far });
    void front.ended.then(() => far.end());
    return near;
  }

  /** Closes the connection to the owner. If this process is the owner, stops its gateway, and a relay takes over. */
  async leave(): Promise<void> {
    this.leaving.abort();
    const found = await this.found?.catch(() => undefined); // `find` has rejected with the error
    if (found?.inside) await found.inside.stop();
    else found?.stream.destroy();
  }
}

/** Only owners load this code, because clients start many relays. */
async function openFront({ gateway, limits }: RunningGateway, pipes: StdioPipes): Promise<StdioFront> {
  const front = await import('../downstream/mcp/stdio.ts');
  return new front.StdioFront(gateway, { ...pipes, limits });
}
