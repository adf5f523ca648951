// What asking servers of the tests do: one tool for each way to ask, held and watched by the label that a call is made with.
import { isObject, type JsonObject } from '../../../src/core/json.ts';
import { type AskingScripts, FORM, PROMPT, RESOURCE, SAMPLING, told } from './asking.ts';

const elicit = 'elicitation/create';
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** What calls wait for, by their label: resolved by the test. */
export const holds = new Map<string, PromiseWithResolvers<undefined>>();
/** Calls that the gateway cancelled, by their label. */
export const cancelledCalls = new Map<string, PromiseWithResolvers<undefined>>();

/** One of these, made by whoever comes first. */
export function gate(
  gates: Map<string, PromiseWithResolvers<undefined>>,
  label: unknown,
): PromiseWithResolvers<undefined> {
  const known = gates.get(text(label)) ?? Promise.withResolvers<undefined>();
  gates.set(text(label), known);
  return known;
}

/** The label that a call was made with. */
export const labelOf = (params: JsonObject): unknown =>
  isObject(params.arguments) ? params.arguments.label : undefined;

/** Tools, a prompt and a resource that ask. */
export const ASKING_TOOLS: AskingScripts = {
  form: async ({ ask }) => told(await ask(elicit, FORM)),
  other_form: async ({ ask }) => told(await ask(elicit, FORM)),
  works_on: async ({ ask, send: tell, visit }) => {
    const { _meta } = visit.params;
    const answer = await ask(elicit, FORM);
    const progressToken = isObject(_meta) ? _meta.progressToken : '';
    tell({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    tell({ method: 'notifications/message', params: { level: 'info', data: 'working' } });
    return told(answer);
  },
  recorded: async ({ ask }) => told(await ask(elicit, FORM)),
  several: async ({ ask }) =>
    told(
      await Promise.all([
        ask(elicit, { ...FORM, _meta: { 'mcp-gateway/inputKey': 'user' } }),
        ask('sampling/createMessage', SAMPLING),
        ask('roots/list'),
      ]),
    ),
  rounds: async ({ ask }) => {
    const answers: JsonObject[] = [];
    for (let round = 1; round <= 12; round++) answers.push(await ask(elicit, { ...FORM, message: `round ${round}` }));
    return told(answers.map(({ content }) => (content as JsonObject).name));
  },
  url: async ({ ask }) =>
    told(await ask(elicit, { mode: 'url', message: 'Go', url: 'https://a.example/x', elicitationId: 'its own' })),
  tolerant: async ({ ask }) => told(await ask('sampling/createMessage', SAMPLING)),
  strict: async ({ ask }) => {
    const refusal = await ask('sampling/createMessage', SAMPLING);
    return { isError: true, content: [{ type: 'text', text: `no sampling: ${text(refusal.message)}` }] };
  },
  failing: async ({ ask }) => {
    await ask(elicit, { mode: 'url', message: 'Go', url: 'https://a.example/x', elicitationId: '1' });
    return { error: { code: -32000, message: 'no page, no work' } };
  },
  finishes: async ({ ask, visit }) => {
    void ask(elicit, FORM);
    await gate(holds, labelOf(visit.params)).promise;
    return told('finished by itself');
  },
  withdraws: async ({ ask, send: tell, visit }) => {
    const id = `withdrawn ${text(labelOf(visit.params))}`;
    void ask(elicit, FORM, { id });
    await gate(holds, labelOf(visit.params)).promise;
    tell({ method: 'notifications/cancelled', params: { requestId: id } });
    return told(await ask(elicit, { ...FORM, message: 'another question' }));
  },
  leaves: async ({ ask, cancelled, visit, send: tell }) => {
    void cancelled.then(() => gate(cancelledCalls, labelOf(visit.params)).resolve(undefined));
    const { _meta } = visit.params;
    tell({
      method: 'notifications/progress',
      params: { progressToken: isObject(_meta) ? _meta.progressToken : '', progress: 1 },
    });
    await gate(holds, labelOf(visit.params)).promise;
    return told(await ask(elicit, FORM));
  },
  page_first: async ({ visit }) => {
    const label = labelOf(visit.params);
    if (holds.has(text(label))) return told('the page was seen');
    gate(holds, label);
    const elicitations = [{ mode: 'url', elicitationId: 'e1', url: 'https://a.example/pay', message: 'Pay first' }];
    return { error: { code: -32042, message: 'a page first', data: { elicitations } } };
  },
  [PROMPT]: async ({ ask }) => {
    const answer = await ask(elicit, FORM);
    return { messages: [{ role: 'user', content: { type: 'text', text: JSON.stringify(answer) } }] };
  },
  [RESOURCE]: async ({ ask }) => ({
    contents: [{ uri: RESOURCE, text: JSON.stringify(await ask(elicit, FORM)) }],
  }),
};
