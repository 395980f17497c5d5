/**
 * Where a server is.
 *
 * @module
 */

/** A server to connect to. */
export interface Endpoint {
  /** Whether to speak TLS. */
  readonly secure: boolean;
  /** Its host name or IP address, the latter without brackets. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
}

/** The endpoint as a Host field names it: a port that the scheme implies is left out (RFC 9110 §7.2). */
export function authorityOf({ secure, host, port }: Endpoint): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (secure ? 443 : 80) ? name : `${name}:${port}`;
}
