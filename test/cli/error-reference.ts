// The reference page of the error table, in Markdown.
import { type ErrorRow, ERRORS } from '../../src/core/errors.ts';

/** One section a code, whose name is the anchor. */
export function errorReference(): string {
  const sections = Object.entries(ERRORS)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([code, { jsonRpc, http, legacyHttp, fault, retryable, help }]: [string, ErrorRow]) => [
      `## ${code}`,
      '',
      help,
      '',
      `- JSON-RPC code: \`${jsonRpc}\``,
      `- HTTP status where it is the whole response: \`${http}\`${legacyHttp ? `; \`${legacyHttp}\` for a request of a legacy session` : ''}`,
      `- Whose mistake: the ${fault === 'gateway' ? 'gateway itself' : fault === 'upstream' ? 'server behind the gateway' : 'caller'}`,
      `- Worth trying again as it is: ${retryable ? 'yes' : 'no'}`,
      '',
    ]);
  return [
    '# Errors',
    '',
    '<!-- Generated from src/core/errors.ts by `npm run generate`; change the table, not this page. -->',
    '',
    'An error of the gateway has its name in `error.data.reason`, except where the protocol itself defines the answer. An error of a',
    'server comes through as the server gave it.',
    '',
    ...sections,
  ].join('\n');
}
