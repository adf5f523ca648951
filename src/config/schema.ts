// The one schema of the configuration, from which its types, its defaults, the JSON Schema and the reference page are made.
import { z } from 'zod';
import { isAddressBlock } from './address-blocks.ts';
import { clientTimeout, milliseconds, size } from './units.ts';

// without it zod compiles a function for each schema at its first value, and most starts have no second one
z.config({ jitless: true });

/** The spellings of a transport in clients, and the transport that each means. */
export const TRANSPORTS = {
  stdio: 'stdio',
  local: 'stdio',
  http: 'streamable-http',
  'streamable-http': 'streamable-http',
  streamableHttp: 'streamable-http',
  streamable_http: 'streamable-http',
  remote: 'streamable-http',
  sse: 'sse',
} as const;

/** The keys that clients use for the URL of a server; the first is ours. */
export const URL_KEYS = ['url', 'serverUrl', 'httpUrl'] as const;

/** A server's name: any text that fits on one line, but not `.` and `..`, which would vanish from the URL `/mcp/s/NAME`. */
export const SERVER_NAME =
  /^(?!\.{1,2}$)(?!\s+$)[^\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]{1,128}$/;
/** A server's alias, the prefix of the names that it offers. */
export const ALIAS = /^[A-Za-z0-9_-]{1,32}$/;

/** Why a server cannot have this name; undefined where it can. */
export function nameFault(name: string): string | undefined {
  if (SERVER_NAME.test(name) && name.isWellFormed()) return undefined;
  return 'the name of a server is 1 to 128 characters, without line breaks and other control characters, and not "." or ".."';
}

const scalar = z
  .union([z.string(), z.number(), z.boolean()], { error: 'must be a string, a number or a boolean' })
  .transform(String);

function map(example: string) {
  return z.record(z.string(), scalar, { error: `must be an object such as { ${example} }` });
}

const patternList = z.array(z.string().min(1, { error: 'must not be empty' }));

function patterns(what: string, names: string, action: string) {
  const full = z.object({
    allow: patternList
      .default(['*'])
      .describe(
        `${names} of the ${what} that clients may ${action}; \`*\` stands for any characters. An empty list allows none.`,
      ),
    deny: patternList
      .default([])
      .describe(`${names} of the ${what} that clients may not ${action}, even if \`allow\` names them.`),
  });
  return z
    .union([patternList.transform((allow) => ({ allow, deny: [] as string[] })), full], {
      error: 'must be an object { "allow": [...], "deny": [...] } or a list of allowed names',
    })
    .prefault({})
    .describe(
      `Which ${what} of the server the gateway offers. Clients can use nothing else of them. A plain list means \`allow\`.`,
    );
}

const url = z.string().refine((text) => /^https?:\/\//i.test(text) && URL.canParse(text), {
  error: 'must be a complete http:// or https:// URL',
});

const filePath = z.string().min(1, { error: 'must not be empty' });

const tls = z
  .object({
    ca: filePath
      .optional()
      .describe(
        'File of PEM certificates that the gateway trusts instead of the system’s. A relative path is relative to the file that names it.',
      ),
    cert: filePath.optional().describe('File of the PEM client certificate; needs `key`.'),
    key: filePath.optional().describe('File of the PEM private key of `cert`.'),
    rejectUnauthorized: z
      .boolean()
      .default(true)
      .describe(
        'Whether the gateway ends the connection if it cannot verify the certificate. `false` is for tests only.',
      ),
    servername: z
      .string()
      .min(1)
      .optional()
      .describe('Name for which the server’s certificate must be valid. By default the host of the URL.'),
  })
  .describe('TLS settings of a server with a URL.');

const timeouts = z
  .object({
    start: milliseconds.prefault('60s').describe('How long a process may take to start and answer the first request.'),
    connect: milliseconds.prefault('5s').describe('How long it may take to make a connection.'),
    firstByte: milliseconds
      .prefault('30s')
      .describe(
        'How long the server may take to send the first byte of an answer. Over stdio the gateway applies it only where you set it; there it lasts until the first progress, log line, question or answer of a call.',
      ),
    idle: milliseconds
      .prefault('60s')
      .describe(
        'How long the server may send nothing while its answer is under way. Over stdio the gateway applies it only where you set it.',
      ),
    ping: milliseconds
      .prefault('30s')
      .describe(
        'How long a process may leave a `ping` unanswered. After that the gateway takes it for hung, ends it and starts it anew. The gateway sends a `ping` after a call has timed out. To a legacy process that has answered a `ping` before, it also sends one when a call has been silent for a third of this time. If a server cannot answer while it works, set this to the time that its longest call may take.',
      ),
    total: milliseconds
      .prefault('300s')
      .describe('How long a whole call may take. Progress extends it, to 15 minutes at most.'),
  })
  .prefault({})
  .describe('Time limits, one for each phase.');

const instances = z
  .object({
    max: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe(
        'How many instances may belong to sessions or principals at a time. By default 32 processes, or 1000 connections.',
      ),
    idle: milliseconds
      .prefault('30m')
      .describe('How long the gateway keeps an unused process, or an unused instance of a session or principal.'),
    lazy: z
      .boolean()
      .default(false)
      .describe(
        'Whether the gateway starts a process only when a client uses it. It does so only if it knows the offer from before.',
      ),
  })
  .prefault({})
  .describe('The processes or connections of a server.');

const transport = z.enum(Object.keys(TRANSPORTS) as (keyof typeof TRANSPORTS)[]);

/** One server as clients write it. It lets unknown keys pass, of which the loader warns. */
export const serverEntry = z
  .object({
    command: z
      .string({ error: 'must be a string: the program alone; its arguments go into "args"' })
      .min(1, { error: 'must not be empty' })
      .optional()
      .describe(
        'Program that the gateway starts, without a shell; it speaks MCP on stdin and stdout. A relative path is relative to `cwd` if you set that, else to the file that names it.',
      ),
    args: z
      .array(scalar, { error: 'must be a list such as ["-y", "some-package"]' })
      .prefault([])
      .describe('Arguments of the program.'),
    env: map('"NAME": "value"')
      .prefault({})
      .describe(
        'Environment variables of the program. Of the gateway’s own it inherits PATH, HOME, LANG and the proxy settings, and nothing else.',
      ),
    cwd: filePath
      .optional()
      .describe(
        'Working directory of the program. By default the directory of the main configuration file. A relative path is relative to the file that names it.',
      ),
    url: url.optional().describe('URL at which the gateway reaches the server over HTTP.'),
    serverUrl: url.optional().describe('Another spelling of `url`.'),
    httpUrl: url.optional().describe('Another spelling of `url`.'),
    headers: map('"Authorization": "Bearer ${env:TOKEN}"')
      .prefault({})
      .describe('HTTP headers that the gateway sends with every request to the server.'),
    type: transport
      .optional()
      .describe(
        'Transport. By default `stdio` with a `command`, and `streamable-http` with a `url`. `local` means `stdio`. `http`, `streamableHttp`, `streamable_http` and `remote` mean `streamable-http`.',
      ),
    transport: transport.optional().describe('Another spelling of `type`.'),
    alias: z
      .string()
      .regex(ALIAS, { error: 'must be 1 to 32 characters of A-Z a-z 0-9 _ -' })
      .optional()
      .describe(
        'Prefix of the server’s names in the common offer (`alias__tool`). By default the name of the server, with `_` for every character but `A-Z a-z 0-9 _ -`.',
      ),
    disabled: z
      .boolean()
      .default(false)
      .describe('The gateway lists a disabled server, but does not start it, and does not read its references.'),
    enabled: z.boolean().optional().describe('`false` is another spelling of `disabled: true`.'),
    timeout: clientTimeout
      .optional()
      .describe(
        'Sets those of `timeouts.firstByte`, `idle` and `total` that `timeouts` does not name. A number below 1000 means seconds, any other milliseconds.',
      ),
    timeouts,
    tools: patterns('tools', 'Names', 'call'),
    prompts: patterns('prompts', 'Names', 'use'),
    resources: patterns('resources', 'URIs', 'read'),
    tls: tls.optional(),
    isolation: z
      .enum(['auto', 'shared', 'session', 'principal'])
      .default('auto')
      .describe(
        'Whose calls share a process or connection. `shared`: everybody’s. `session`: those of one client session (of a modern client: of one principal). `principal`: those of one principal. `auto`: everybody’s, until the server asks its callers something or assigns a session id; then as `session`.',
      ),
    era: z
      .enum(['auto', 'legacy', 'modern'])
      .default('auto')
      .describe(
        'The revisions that the gateway speaks with the server: `modern` for 2026-07-28, `legacy` for those before it. `auto`: the one of each caller where the server speaks both, else the one that it speaks; the gateway then translates for the others.',
      ),
    instances,
    allowGatewayFiles: z
      .boolean()
      .default(false)
      .describe(
        'Whether `args` may name a directory that holds the gateway’s state, its configuration or `servers.d`. Without it the gateway does not start such a server. Where a server has a namespace of its own, those files stay hidden from it even so.',
      ),
  })
  .meta({ id: 'Server', title: 'MCP server' });

const listen = z
  .strictObject({
    host: z
      .string()
      .regex(/^[^\s/[\]]+$/, { error: 'must be an IP address or a host name, without port or brackets' })
      .default('127.0.0.1')
      .describe('Address on which the gateway listens. An address that is not loopback needs `auth.tokens`.'),
    port: z.int().min(0).max(65_535).default(7420).describe('Port on which the gateway listens; 0 takes a free one.'),
    allowedHosts: z
      .array(z.string().regex(/^[^\s/]+$/, { error: 'must be a host, or host:port, as it stands in the Host header' }))
      .default([])
      .describe(
        'Host headers that the gateway accepts beside those of the address on which it listens: `host` (any port) or `host:port`.',
      ),
    allowedOrigins: z
      .array(
        z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#*]+$/i, {
          error: 'must be one origin such as "https://app.example.com", without a path',
        }),
      )
      .default([])
      .describe(
        'Origins of web pages that may call. A gateway that listens on loopback also accepts loopback origins.',
      ),
    trustedProxies: z
      .array(
        z.string().refine(isAddressBlock, {
          error: 'must be an IP address or a block of them such as "10.0.0.0/8" or "fd00::/8"',
        }),
      )
      .default([])
      .describe(
        'Addresses, or blocks of addresses, of proxies in front of the gateway. The gateway does not limit the idle connections of one such address, because many clients come from it.',
      ),
  })
  .prefault({})
  .describe('Where the gateway listens.');

const token = z.strictObject({
  id: z
    .string()
    .regex(/^(?!local$)[A-Za-z0-9._@-]{1,64}$/, {
      error: 'must be 1 to 64 characters of A-Z a-z 0-9 . _ @ - and not "local"',
    })
    .describe('Who holds the token: the principal in policy and audit.'),
  token: z
    .string()
    .refine((text) => /^[A-Za-z0-9._~+/-]+=*$/.test(text), {
      error: 'must be a bearer token: A-Z a-z 0-9 . _ ~ + / - and = at the end',
    })
    .describe('The token, as a reference: `${env:NAME}` or `${file:path}`.'),
  groups: z.array(z.string().min(1)).default([]).describe('Groups of the holder.'),
});

const auth = z
  .strictObject({
    tokens: z
      .array(token)
      .default([])
      .describe('Static bearer tokens. If there is at least one, every request needs one.'),
  })
  .prefault({})
  .describe('Who may call.');

const audit = z
  .strictObject({
    on_failure: z
      .enum(['refuse'])
      .default('refuse')
      .describe('What the gateway does with a call whose record it cannot write: it refuses the call.'),
    durability: z
      .enum(['process'])
      .default('process')
      .describe('What a record must survive before the call goes on: the death of the gateway’s process.'),
    level: z
      .enum(['shape'])
      .default('shape')
      .describe('What the log keeps of arguments and results: their shape, not their values.'),
  })
  .prefault({})
  .describe('The record of every call.');

const limits = z
  .strictObject({
    body: size(1024, 2 ** 30)
      .prefault('4MiB')
      .describe('Largest request body of a client.'),
    depth: z.int().min(4).max(1000).default(64).describe('Deepest nesting of a client’s JSON.'),
    items: z
      .int()
      .min(1000)
      .max(10_000_000)
      .default(100_000)
      .describe(
        'How many array elements and object members one message of a client or server may have. With more than the default, one message can hold up all others for longer than 30 ms.',
      ),
    upstreamMessage: size(1024, 2 ** 30)
      .prefault('16MiB')
      .describe('Largest message of a server.'),
    sessions: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe(
        'How many client sessions there may be at a time. The gateway gives no token more of them than stay free for the others.',
      ),
  })
  .prefault({})
  .describe('Bounds of what clients and servers may send, and of sessions.');

/** The main file, after its references were resolved. */
export const configSchema = z
  .strictObject({
    $schema: z.string().optional().describe('Where editors find the JSON Schema of this file.'),
    listen,
    mcpServers: z
      .record(z.string(), serverEntry)
      .prefault({})
      .describe(
        'The servers behind the gateway, by name (1 to 128 characters, none of them a control character). You can paste the block of any client here.',
      ),
    auth,
    audit,
    limits,
  })
  .meta({ title: 'mcp-gateway.json' });

/** The main file without the servers, which the loader checks one by one. */
export const settingsSchema = configSchema.omit({ mcpServers: true }).extend({ mcpServers: z.unknown().optional() });

export type ServerEntry = z.output<typeof serverEntry>;
export type Settings = z.output<typeof settingsSchema>;
