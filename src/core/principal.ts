// The principal: who makes a call, after authentication.

/** An authenticated caller. */
export interface Principal {
  readonly id: string;
  /** `local`: a caller on a loopback address without tokens, or one that proves the key of the control socket; `token`: the holder of a configured bearer token. */
  readonly kind: 'local' | 'token';
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  /** The name of the credential that proved it; never the credential itself. */
  readonly credential: string;
}

/** The caller on a loopback address without tokens, on stdio, and on the control socket. */
export const LOCAL: Principal = Object.freeze({
  id: 'local',
  kind: 'local',
  groups: Object.freeze([]),
  scopes: Object.freeze([]),
  credential: 'none',
});
