/**
 * Addresses of servers and sockets, and their forms as text.
 *
 * @module
 */

/** The default address of both ends. */
export const DEFAULT_HOST: string = "127.0.0.1";
/** The default port of both ends. */
export const DEFAULT_PORT: number = 9999;

/** A server to connect to. */
export interface Endpoint {
  /** Whether the connection uses TLS. */
  readonly secure: boolean;
  /** The host name, or the IP address without brackets; an IPv6 address may have a zone: `fe80::1%eth0` (RFC 4007 §11). */
  readonly host: string;
  /** The port. */
  readonly port: number;
}

/** One end of a TCP connection. */
export interface SocketAddress {
  /** The IP address; empty if it is unknown. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** Returns the port of `http://` or `https://` (RFC 9110 §4.2). */
export function defaultPort(secure: boolean): number {
  return secure ? 443 : 80;
}

/** The authority of an endpoint, without its scheme's port (RFC 9110 §7.2) or a zone, which is local (RFC 6874 §4). */
export function authorityOf({ secure, host, port }: Endpoint): string {
  const name = bracketed(withoutZone(host));
  return port === defaultPort(secure) ? name : `${name}:${port}`;
}

/** Returns the URL of an endpoint, without a path. */
export function originOf(endpoint: Endpoint): string {
  return `${endpoint.secure ? "https" : "http"}://${authorityOf(endpoint)}`;
}

/** Returns a host without the zone of an IPv6 address. */
export function withoutZone(host: string): string {
  return host.replace(/%.*$/s, "");
}

/** Returns a socket's address as text: `127.0.0.1:9999`, `[::1]:9999`. */
export function addressText({ hostname, port }: SocketAddress): string {
  return `${bracketed(hostname)}:${port}`;
}

/** Returns a host as it stands in a URL: an IPv6 address in brackets (RFC 3986 §3.2.2). */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** Returns the address of an end of Deno's connection or listener. */
export function socketAddress(addr: Deno.Addr): SocketAddress {
  return "hostname" in addr ? { hostname: addr.hostname, port: addr.port } : { hostname: "", port: 0 };
}

/** Returns an address with an IPv4 address that was written as an IPv6 one (RFC 4291 §2.5.5.2) as IPv4. */
export function withoutMapping({ hostname, port }: SocketAddress): SocketAddress {
  return { hostname: /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(hostname)?.[1] ?? hostname, port };
}

/**
 * Whether a host, as {@linkcode hostOf} returns it, names this machine whatever a name server says: an IP address,
 * localhost, or a name under it. A web page can point its own domain at this machine (DNS rebinding), but cannot change
 * the Host that its browser sends.
 */
export function isLocalName(host: string): boolean {
  if (/^\[[\da-f:.]+\]$/.test(host) || host === "localhost" || host.endsWith(".localhost")) return true;
  // In a URL, any host that looks like an IPv4 address is one, in canonical form.
  return /^[\d.]+$/.test(host) && URL.parse(`http://${host}`)?.hostname === host;
}

/** Returns the host of an authority, in lower case and without the port. */
export function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, "").toLowerCase();
}

/** Whether an IP address is this machine's own (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
