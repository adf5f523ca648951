// The methods of a client that are calls: which eras have each, which capability it needs, what it names.
import type { OfferKind } from '../../core/call.ts';
import type { Era } from '../../core/call.ts';
import { LEGACY_TASKS_SINCE } from './tasks.ts';

export interface CallMethod {
  /** The eras that have it. */
  readonly eras: readonly Era[];
  /** The capability that a server must declare for it. */
  readonly capability: 'tools' | 'prompts' | 'resources' | 'completions' | 'tasks' | undefined;
  /** The first legacy revision that has it; absent where all have it. */
  readonly since?: string;
  /** The kind of thing that it lists. */
  readonly lists?: OfferKind;
  /** The parameter that names its target, and the target's kind. */
  readonly names?: { readonly param: 'name' | 'uri'; readonly kind: OfferKind };
  /** Its `taskId` names a task, and with it a tool. */
  readonly ofTask?: true;
  /** Its results carry `ttlMs` and `cacheScope` (server/utilities/caching). */
  readonly cacheable?: true;
}

const both = ['legacy', 'modern'] as const;

/** Every method that goes through the pipeline. */
export const CALL_METHODS: ReadonlyMap<string, CallMethod> = new Map<string, CallMethod>([
  ['tools/list', { eras: both, capability: 'tools', lists: 'tool', cacheable: true }],
  ['tools/call', { eras: both, capability: 'tools', names: { param: 'name', kind: 'tool' } }],
  ['prompts/list', { eras: both, capability: 'prompts', lists: 'prompt', cacheable: true }],
  ['prompts/get', { eras: both, capability: 'prompts', names: { param: 'name', kind: 'prompt' } }],
  ['resources/list', { eras: both, capability: 'resources', lists: 'resource', cacheable: true }],
  ['resources/templates/list', { eras: both, capability: 'resources', lists: 'resourceTemplate', cacheable: true }],
  [
    'resources/read',
    { eras: both, capability: 'resources', names: { param: 'uri', kind: 'resource' }, cacheable: true },
  ],
  ['resources/subscribe', { eras: ['legacy'], capability: 'resources', names: { param: 'uri', kind: 'resource' } }],
  ['resources/unsubscribe', { eras: ['legacy'], capability: 'resources', names: { param: 'uri', kind: 'resource' } }],
  ['completion/complete', { eras: both, capability: 'completions' }],
  ['tasks/get', { eras: both, capability: 'tasks', since: LEGACY_TASKS_SINCE, ofTask: true }],
  ['tasks/update', { eras: ['modern'], capability: 'tasks', ofTask: true }],
  ['tasks/result', { eras: ['legacy'], capability: 'tasks', since: LEGACY_TASKS_SINCE, ofTask: true }],
  ['tasks/cancel', { eras: both, capability: 'tasks', since: LEGACY_TASKS_SINCE, ofTask: true }],
  ['tasks/list', { eras: ['legacy'], capability: 'tasks', since: LEGACY_TASKS_SINCE }],
  ['subscriptions/listen', { eras: ['modern'], capability: undefined }],
]);

/** The key under which a list result has its entries. */
export const LIST_KEYS: Readonly<Record<OfferKind, string>> = {
  tool: 'tools',
  prompt: 'prompts',
  resource: 'resources',
  resourceTemplate: 'resourceTemplates',
};

/** The methods that need `Mcp-Name`, and the parameter that it repeats (streamable-http, Standard Request Headers; tasks extension, Routing Headers). */
export const NAMED_METHODS: Readonly<Record<string, 'name' | 'uri' | 'taskId'>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};
