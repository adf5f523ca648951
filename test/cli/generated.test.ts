// The committed reference pages of the command line and of the errors are those of the sources. UPDATE_GENERATED=1 rewrites them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EXIT, EXIT_MEANINGS } from '../../src/cli/exit-codes.ts';
import { type ErrorRow, ERRORS } from '../../src/core/errors.ts';
import { commandReference } from './command-reference.ts';
import { errorReference } from './error-reference.ts';

const reference = join(import.meta.dirname, '../../docs/reference');

test.each([
  ['cli.md', commandReference],
  ['errors.md', () => Promise.resolve(errorReference())],
])('%s is up to date', async (name, generate) => {
  const file = join(reference, name);
  const text = await generate();
  if (process.env.UPDATE_GENERATED === '1') writeFileSync(file, text);

  expect(readFileSync(file, 'utf8')).toBe(text);
});

test('the page of errors has a heading for every code, and no other', () => {
  const page = readFileSync(join(reference, 'errors.md'), 'utf8');

  expect([...page.matchAll(/^## (\w+)$/gm)].map(([, code]) => code)).toEqual(Object.keys(ERRORS).sort());
});

test('every exit status has a meaning', () => {
  expect(EXIT_MEANINGS.map(([status]) => status)).toEqual(Object.values(EXIT));
});

test('exit statuses are a contract with scripts', () => {
  expect(EXIT).toEqual({
    ok: 0,
    internal: 1,
    usage: 2,
    auth: 3,
    unreachable: 4,
    toolFailed: 5,
    denied: 6,
    quota: 7,
    configuration: 8,
    notFound: 9,
    checkFailed: 10,
    interrupted: 130,
    terminated: 143,
  });
});

test('codes are a contract with clients', () => {
  expect(
    Object.fromEntries(Object.entries(ERRORS).map(([code, { jsonRpc, http }]) => [code, [jsonRpc, http]])),
  ).toEqual({
    parse_error: [-32700, 400],
    invalid_request: [-32600, 400],
    invalid_params: [-32602, 400],
    method_not_found: [-32601, 404],
    unknown_target: [-32602, 200],
    unknown_task: [-32602, 200],
    resource_not_found: [-32602, 200],
    header_mismatch: [-32020, 400],
    unsupported_version: [-32022, 400],
    session_required: [-32600, 400],
    session_unknown: [-33001, 404],
    body_too_large: [-32600, 413],
    unsupported_media_type: [-32600, 415],
    method_not_allowed: [-32600, 405],
    not_found: [-32601, 404],
    forbidden_host: [-33002, 403],
    forbidden_origin: [-33003, 403],
    unauthenticated: [-33004, 401],
    control_key_required: [-33030, 401],
    forbidden_process: [-33031, 403],
    cancelled: [-33005, 200],
    too_many_sessions: [-33006, 503],
    overloaded: [-33007, 503],
    audit_unavailable: [-33008, 503],
    shutting_down: [-33009, 503],
    gateway_closed: [-33019, 503],
    upstream_unreachable: [-33010, 200],
    upstream_closed: [-33011, 200],
    upstream_timed_out: [-33012, 200],
    upstream_protocol: [-33013, 200],
    upstream_message_too_large: [-33014, 200],
    upstream_rejected: [-33015, 200],
    upstream_failed: [-33016, 200],
    question_undeclared: [-32601, 200],
    capability_required: [-32021, 400],
    question_unattributable: [-33017, 200],
    question_unanswered: [-33020, 200],
    client_unreachable: [-33018, 200],
    answer_too_large: [-33021, 200],
    internal: [-32603, 500],
  });
});

test('what refuses a request of a legacy session, and not its HTTP exchange, is no broken transport to it', () => {
  const rows: [string, ErrorRow][] = Object.entries(ERRORS);

  expect(rows.filter(([, { legacyHttp }]) => legacyHttp === 200).map(([code]) => code)).toEqual([
    'invalid_params',
    'method_not_found',
    'header_mismatch',
    'unsupported_version',
    'too_many_sessions',
    'overloaded',
    'audit_unavailable',
    'shutting_down',
    'gateway_closed',
    'internal',
  ]);
});

test('each code of our own means one thing', () => {
  const own = Object.values(ERRORS)
    .map(({ jsonRpc }) => jsonRpc)
    .filter((code) => code < -32768);

  expect(new Set(own).size).toBe(own.length);
});
