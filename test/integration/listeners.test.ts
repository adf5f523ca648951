// Many who listen hear everything: each update of each resource, and of lists the last change (1,000 of them: test/long/listeners.test.ts).
import { afterAll, beforeAll, test } from 'vitest';
import { type Audience, startAudience, tellListeners } from './harness/audience.ts';

let audience: Audience;

beforeAll(async () => (audience = await startAudience()));
afterAll(() => audience.stop());

test('100 listeners of both eras hear of 20 resources twice each, without a pause, and all end on the last list of tools', async () => {
  await tellListeners(audience, { listeners: 100, rounds: 2, everyMs: 0 });
});
