// Who is calling, after authentication.

/** An authenticated caller. */
export interface Principal {
  readonly id: string;
  /** `local`: who reaches the loopback bind without tokens, or proves the key of the control socket; `token`: a configured bearer token. */
  readonly kind: 'local' | 'token';
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
  /** Which credential proved it, by name; never the credential itself. */
  readonly credential: string;
}

/** The caller on an unauthenticated loopback bind, on stdio, and on the control socket. */
export const LOCAL: Principal = Object.freeze({
  id: 'local',
  kind: 'local',
  groups: Object.freeze([]),
  scopes: Object.freeze([]),
  credential: 'none',
});
