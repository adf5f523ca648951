// Large binary content, 13 MiB as text, behind every pair of client and server.
import { test } from 'vitest';
import { passBinary } from '../integration/harness/binary.ts';

test('10 MiB are the same behind every pair of client and server', () => passBinary(10 * 1024 * 1024));
