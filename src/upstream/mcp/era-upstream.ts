// Everything that the gateway keeps of a server in one era: its instances, offer, traits, circuit and subscriptions.
import type { LogLevel } from '../../protocol/mcp/meta.ts';
import { serverKey } from '../../storage/server-key.ts';
import type { ConfiguredServer } from './configured-server.ts';
import type { ConnectionRequest, UpstreamReply } from './connect/connection.ts';
import type { InstanceCaller, Owner } from './instances/affinity.ts';
import { Circuit, countFailure, failureOf, targetOf } from './instances/circuit.ts';
import { closedFor, type Instance, occupy } from './instances/instance.ts';
import { Instances } from './instances/instances.ts';
import { Isolation } from './instances/isolation.ts';
import { OwnedInstances } from './instances/owned-instances.ts';
import { SharedInstance } from './instances/shared-instance.ts';
import { UrlElicitations } from './instances/url-elicitations.ts';
import { KnownOffer } from './offer/known-offer.ts';
import { SubscribedResources } from './offer/subscribed-resources.ts';
import { SessionLost, type WireReply } from './wire/wire.ts';

const UNSUPPORTED_VERSION = -32022;

/** The parts, each built of those above it. */
function partsOf(server: ConfiguredServer) {
  const key = serverKey(server.config);
  const circuit = new Circuit();
  const urlElicitations = new UrlElicitations();
  const isolation = new Isolation(server, key);
  const offer = new KnownOffer(server, key);
  const instances = new Instances({ server, key, isolation, offer, urlElicitations });
  const shared = new SharedInstance(server, { instances, offer, circuit });
  const owned = new OwnedInstances(server, { instances, isolation, offer, circuit, shared });
  const subscribed = new SubscribedResources({ isolation, shared, owned });
  return { server, key, circuit, urlElicitations, isolation, offer, instances, shared, owned, subscribed };
}

export class EraUpstream {
  readonly parts: ReturnType<typeof partsOf>;

  constructor(server: ConfiguredServer) {
    this.parts = partsOf(server);
  }

  /** Sends a request of a caller. Throws GatewayError; what the server did not process is sent again once (wire.md, Retrying). */
  async request(request: ConnectionRequest, caller: InstanceCaller): Promise<UpstreamReply> {
    const { circuit, isolation, server } = this.parts;
    const pass = circuit.isClosed ? 'call' : circuit.admit(targetOf(request));
    if (pass === undefined) throw circuit.refusal(server.name);
    try {
      const answered = await this.send(request, isolation.ownerOf(caller));
      circuit.succeeded();
      return answered;
    } catch (error) {
      circuit.ended(pass);
      throw error instanceof SessionLost ? closedFor(error) : error;
    }
  }

  /** A session wants log lines of this level. If its owner has no instance yet, the session's calls set the level. */
  wantLogLevel(level: LogLevel, caller: InstanceCaller): void {
    const { isolation, owned, shared } = this.parts;
    const owner = isolation.ownerOf(caller);
    if (owner) owned.raiseLevel(owner, level);
    else shared.current?.raiseLevel(level);
  }

  /** Opens nothing any more unless a call waits for it; `stop` follows. */
  quiesce(): void {
    this.parts.shared.quiesce();
    this.parts.owned.quiesce();
  }

  /** Ends every instance; resolves when every process tree is gone. */
  async stop(): Promise<void> {
    const { shared, owned, instances } = this.parts;
    const { ended } = shared.stop();
    await Promise.all([owned.stop(), instances.close()]);
    await instances.close(); // of instances that were being opened
    await ended;
  }

  private async send(request: ConnectionRequest, owner: Owner | undefined): Promise<UpstreamReply> {
    const { circuit, urlElicitations } = this.parts;
    const answersBefore = circuit.answers;
    for (let again = false; ; again = true) {
      const instance = await this.acquire(request, owner);
      try {
        const reply = await instance.request(request);
        if (reply.error) urlElicitations.required(reply.error, request.session, owner);
        if (again || !this.dropIfOutdated(reply, instance)) return { connection: instance.connection, reply };
      } catch (error) {
        if (again || !instance.dropIfUnprocessed(error)) {
          // a failure of an owner's instance concerns that owner alone
          countFailure(error, owner ? undefined : failureOf(error, request, answersBefore), this.parts);
          throw error;
        }
      } finally {
        if (owner) this.parts.owned.release(instance);
        else instance.calls--;
      }
    }
  }

  /** An instance for one call. Throws GatewayError. */
  private acquire(request: ConnectionRequest, owner: Owner | undefined): Instance | Promise<Instance> {
    const { shared, owned } = this.parts;
    const { patient = false } = request;
    const signal = request.exchange?.signal;
    if (!owner) {
      shared.touch();
      return shared.current ? occupy(shared.current) : shared.acquire(signal, { patient }).then(occupy);
    }
    if (shared.state !== 'waiting') return owned.acquire(owner, signal);
    if (!patient) throw shared.unavailable();
    return shared.acquire(signal, { patient }).then(() => owned.acquire(owner, signal));
  }

  /** A server that no longer speaks the agreed version was replaced by another: its era is probed again. */
  private dropIfOutdated({ error }: WireReply, instance: Instance): boolean {
    if (instance.connection.era !== 'modern' || error?.code !== UNSUPPORTED_VERSION) return false;
    const { server, key } = this.parts;
    server.context.eras.forget(key);
    instance.drop({ reason: 'it no longer speaks the version that it spoke', kind: 'replaced' });
    return true;
  }
}
