// One modern tools/call over plain node:http, as any client may write it.
import { type Agent, request as httpRequest } from 'node:http';

export interface CallOptions {
  readonly args?: object;
  readonly id?: number;
  readonly agent?: Agent;
  readonly traceparent?: string;
  readonly token?: string;
}

export interface CallAnswer {
  readonly status: number;
  readonly result?: { readonly content: readonly { readonly text: string }[] };
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly reason?: string } };
}

/** Calls a tool and resolves with the answer; rejects when the connection ends before it. */
export function callTool(url: string, name: string, options: CallOptions = {}): Promise<CallAnswer> {
  const { args = {}, id = 1, agent, traceparent, token } = options;
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'plain', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: args, _meta: meta },
  });
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': name,
    ...(traceparent !== undefined && { traceparent }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', headers, ...(agent && { agent }) }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('error', reject);
      response.on('end', () => {
        const json = text.startsWith('{') ? text : (/^data: (.*"(?:result|error)".*)$/m.exec(text)?.[1] ?? '{}');
        resolve({ status: response.statusCode ?? 0, ...(JSON.parse(json) as object) });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
