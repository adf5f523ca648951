// The bounds of what servers offer: lists, changes, followed resources.
import { bounds, KIB, MIB, SECOND } from './bound.ts';

export const SERVER_OFFERS = bounds({
  offerPages: {
    value: 1_000,
    unit: 'requests',
    scope: 'server',
    help: 'Pages of one list of a server. A list with more keeps its last good entries, and the status of the server says so.',
  },
  offerEntries: {
    value: 10_000,
    unit: 'entries',
    scope: 'server',
    help: 'Tools, prompts or resources of a server. A list with more keeps its last good entries.',
  },
  offerTemplates: {
    value: 1_000,
    unit: 'entries',
    scope: 'server',
    help: 'Resource templates of a server: fewer, because a URI that is not listed is matched against all of them. A list with more keeps its last good entries.',
  },
  offerBytes: {
    value: 8 * MIB,
    unit: 'bytes',
    scope: 'server',
    help: 'One list of a server, all pages together. A larger one keeps its last good entries.',
  },
  offerEntryBytes: {
    value: 256 * KIB,
    unit: 'bytes',
    scope: 'server',
    help: 'One entry of a list. A larger one is left out, and the status of the server says so.',
  },
  offerNameLength: {
    value: 4_096,
    unit: 'characters',
    scope: 'server',
    help: 'The name or URI of an entry. An entry with a longer one is left out.',
  },
  ownerOffers: {
    value: 40 * MIB,
    unit: 'characters',
    scope: 'server',
    help: 'What a server offers to single sessions or principals, together; the largest offer that is read fits in. One more of them is offered what everybody is.',
  },
  offerFresh: {
    value: SECOND,
    unit: 'ms',
    scope: 'server',
    help: 'How long a list of a server is used without another look, even if the server says that it is stale at once.',
  },
  offerReadPauseFirst: {
    value: 50,
    unit: 'ms',
    scope: 'instance',
    help: 'How long the gateway collects changes of a list before it reads the list. It doubles while changes go on.',
  },
  offerReadPauseMost: {
    value: 5 * SECOND,
    unit: 'ms',
    scope: 'instance',
    help: 'The longest time that the gateway collects changes of a list.',
  },
  subscriptionBatch: {
    value: 5,
    unit: 'ms',
    scope: 'instance',
    help: 'How long the gateway collects resources to follow before it subscribes to them in one `subscriptions/listen`.',
  },
  subscriptionAcknowledgement: {
    value: 2 * SECOND,
    unit: 'ms',
    scope: 'instance',
    help: 'How long a follower of a resource waits for the acknowledgement of the server. Then the subscription counts as granted.',
  },
  followedResources: {
    value: 10_000,
    unit: 'entries',
    scope: 'server',
    error: 'overloaded',
    help: 'Resources that are followed at one server, for each of its owners.',
  },
});
