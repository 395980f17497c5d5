/**
 * Addresses, host names and origins that a user gives.
 *
 * @module
 */

import { quote, UsageError } from "./values.ts";

/** The address that both ends use unless told otherwise. */
export const DEFAULT_HOST: string = "127.0.0.1";
/** The port that both ends use unless told otherwise. */
export const DEFAULT_PORT: number = 9999;

/** A server to connect to. */
export interface Endpoint {
  /** Whether to speak TLS. */
  readonly secure: boolean;
  /** Its host name or IP address, the latter without brackets. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
}

/** Commands are words; an address has a colon or a dot, or is localhost. */
export function looksLikeAddress(word: string): boolean {
  return word === "localhost" || /[.:]/.test(word);
}

/**
 * Reads HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT.
 *
 * @throws {UsageError} If it is none of these.
 */
export function parseAddress(address: string): Endpoint {
  const hasScheme = /^https?:\/\//i.test(address);
  const url = URL.parse(hasScheme ? address : `http://${address}`);
  if (url === null || url.username !== "" || url.password !== "" || url.hostname === "") {
    throw new UsageError(`${quote(address)} is no address: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new UsageError(`The address is ${url.host}; give the path to the command: get ${url.pathname}${url.search}`);
  }
  const secure = url.protocol === "https:";
  // A URL drops the port that its scheme implies; without a scheme none is implied.
  const impliedPort = secure ? 443 : hasScheme || /:0*80$/.test(address) ? 80 : DEFAULT_PORT;
  const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  return { secure, host, port: url.port === "" ? impliedPort : Number(url.port) };
}

/**
 * The address to listen on.
 *
 * @throws {UsageError} If it has a port.
 */
export function listenHost(host: string): string {
  if (!/^[^:]*:\d*$/.test(host)) return host;
  throw new UsageError(`--host takes an address without a port, which --port gives, saw ${quote(host)}`);
}

/**
 * An origin, as `http://localhost:3000`, or `*`.
 *
 * @throws {UsageError} If it is none.
 */
export function corsOrigin(origin: string | undefined): string | undefined {
  if (origin === undefined || origin === "*") return origin;
  if (URL.parse(origin)?.origin === origin) return origin;
  throw new UsageError(`--cors takes an origin, such as http://localhost:3000, or '*', saw ${quote(origin)}`);
}

/**
 * A host name without a port, or `*`.
 *
 * @throws {UsageError} If it is none.
 */
export function hostName(host: string): string {
  if (host === "*" || /^[\w-]+(?:\.[\w-]+)*$/.test(host)) return host;
  throw new UsageError(`--allow-host takes a host name without a port, or '*', saw ${quote(host)}`);
}
