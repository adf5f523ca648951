// `mcp-gateway stdio`: the gateway as the one MCP server that a client starts; joins a running one, or runs inside.
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
  usage: '',
  options: {},
  help: [['', 'joins the gateway that runs on the state directory, or runs one itself; takes over when that one ends']],
  examples: ({ typed, absolute }) => [`${typed} stdio`, `claude mcp add gw -- ${absolute} stdio`],
  positionals: 0,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const ended = untilSignal();
  const place = new Place(invocation);
  const pipes = { input: process.stdin, output: process.stdout };
  let relay: Relay | undefined;
  const serve = async () => {
    const { inside, stream } = await place.find();
    if (inside) await (await openFront(inside, pipes)).ended;
    else {
      relay = new Relay({ ...pipes, join: () => place.next(), warn: (words) => say(`mcp-gateway: ${words}`) });
      await relay.run(stream);
    }
    return EXIT.ok;
  };
  try {
    return await Promise.race([ended, serve(), place.lost]);
  } finally {
    await place.leave();
    relay?.close();
    process.stdin.destroy();
  }
}

/** Where the client is served: by the owner of the state directory, which from some time on may be this process. */
class Place {
  private readonly invocation: Invocation;
  private readonly left = new AbortController();
  private found: Promise<Joined> | undefined;
  private readonly losing = Promise.withResolvers<never>();

  constructor(invocation: Invocation) {
    this.invocation = invocation;
  }

  /** Rejects when this process was the owner of the state directory and has lost it. */
  get lost(): Promise<never> {
    return this.losing.promise;
  }

  async find(): Promise<Joined> {
    this.found = joinStdio(this.invocation, this.left.signal);
    const found = await this.found;
    const { inside } = found;
    if (inside) {
      process.on('SIGHUP', () => void inside.reload());
      void inside.lost.then(this.losing.reject);
    }
    return found;
  }

  /** The way to the next owner. Throws ExitError where this process is the owner: then it is the client that does not go on. */
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

  /** Ends the gateway where it runs in this process: those that have joined it get their last answers and take over. */
  async leave(): Promise<void> {
    this.left.abort();
    const found = await this.found?.catch(() => undefined); // whoever waits for it has been told
    if (found?.inside) await found.inside.stop();
    else found?.stream.destroy();
  }
}

/** Its code is loaded by owners alone: who joins needs little, and clients start many. */
async function openFront({ gateway }: RunningGateway, pipes: StdioPipes): Promise<StdioFront> {
  const front = await import('../downstream/mcp/stdio.ts');
  return new front.StdioFront(gateway, pipes);
}
