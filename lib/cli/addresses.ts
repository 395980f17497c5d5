/** Parses addresses, host names and origins. */

import {
  bracketed,
  DEFAULT_HOST,
  DEFAULT_PORT,
  defaultPort,
  type Endpoint,
  isLoopback,
  originOf,
  withoutZone,
} from "../address.ts";
import { percentDecoded } from "../bytes.ts";
import { maskTarget } from "../masking.ts";
import { within } from "../turns.ts";
import { quote, UsageError } from "./values.ts";

/** Addresses for all interfaces of the machine. */
export const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];
export const PAGE_PORT = 9998;
export const RELAY_PORT = 9997;

/** A server, and optional credentials. */
export interface Address extends Endpoint {
  /** The user and password, separated by a colon; `undefined` without them. */
  readonly userPass: string | undefined;
}

/** Matches addresses, which have a colon or a dot or are localhost, but no words. */
export function looksLikeAddress(word: string): boolean {
  return word === "localhost" || /[.:]/.test(word);
}

/** An address with the zone of an IPv6 address, which URLs of browsers do not have; its % may be encoded. */
const ZONED = /^(.*?\[[\da-f:.]+)%(?:25)?([^\]\s/?#]+)(\].*)$/is;

/**
 * Parses HOST, HOST:PORT, :PORT, http://HOST:PORT or https://HOST:PORT, each with optional USER:PASS@ before the host.
 *
 * @param port The port if the address has none; by default the scheme's, or this program's default.
 * @throws {UsageError} If the address is invalid.
 */
export function parseAddress(given: string, port?: number): Address {
  const shown = quote(maskTarget(given));
  if (/^(?:http\+)?unix:/i.test(given)) {
    throw new UsageError(`${shown} is a Unix socket: expected HOST:PORT, for this program connects over TCP only`);
  }
  const bare = withoutZone(given);
  if (/:.*:/.test(bare) && URL.parse(`http://[${bare}]`) !== null) {
    throw new UsageError(
      `${shown} is an IPv6 address, which stands in brackets: [${given}]${port === undefined ? "" : `:${port}`}`,
    );
  }
  if (/^https?:\/{3}/i.test(given)) throw new UsageError(`${shown} has no host: expected http://HOST:PORT`);
  const [, before, zone, after] = ZONED.exec(given) ?? [];
  const address = zone !== undefined ? before + after : given.startsWith(":") ? `${DEFAULT_HOST}${given}` : given;
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(address);
  const url = URL.parse(hasScheme ? address : `http://${address}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new UsageError(`${shown} is not an address: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    const path = `${url.pathname}${url.search}`;
    throw new UsageError(`The address is ${shownAddress(given)}; give the path to the command: get ${path}`);
  }
  const secure = url.protocol === "https:";
  // URL removes the default port of its scheme, but an address without a scheme has no default port.
  const named = /:0*(80|443)$/.exec(address)?.[1];
  const impliedPort = Number(named ?? port ?? (hasScheme ? defaultPort(secure) : DEFAULT_PORT));
  const name = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  const host = zone === undefined ? name : `${name}%${zone}`;
  const [user, password] = [url.username, url.password].map((text) => percentDecoded(text) ?? text);
  const userPass = user === "" ? undefined : `${user}:${password}`;
  return { secure, host, port: url.port === "" ? impliedPort : Number(url.port), userPass };
}

/** Parses the address of a server alone: `what` takes no credentials, because of `why`; a hint begins with `typed`. */
export function serverAddress(text: string, what: string, why: string, typed?: string): Endpoint {
  const [, scheme, host] = /^([a-z][a-z0-9+.-]*:\/\/)?([^/?#]*)/i.exec(text)!;
  const address = `${scheme ?? ""}${host}`;
  const path = text.slice(address.length);
  const { userPass, ...endpoint } = parseAddress(address);
  const hint = typed === undefined ? "" : `: type ${typed} ${shownAddress(address)}`;
  if (path !== "" && path !== "/") {
    throw new UsageError(`${what} takes an address without a path, saw ${quote(maskTarget(text))}${hint}`);
  }
  if (userPass === undefined) return endpoint;
  throw new UsageError(`${what} takes no user and password: ${why}${hint}`);
}

/** Returns an address as it was typed, without a user or a path. */
function shownAddress(address: string): string {
  return address.replace(/^([a-z]+:\/\/)?(?:[^/?#]*@)?([^/?#]*).*$/is, "$1$2");
}

/** Checks that an address to listen on has no port. */
export function listenHost(host: string): string {
  if (!/^[^:]*:\d*$/.test(host)) return host;
  throw new UsageError(`--host takes an address without a port, which --port gives, saw ${quote(host)}`);
}

/** Checks an origin, such as `http://localhost:3000`, or `*`. */
export function corsOrigin(origin: string): string {
  if (origin === "*") return origin;
  const url = URL.parse(looksLikeAddress(origin) && !origin.includes("://") ? `http://${origin}` : origin);
  // One origin is compared as a whole: no list or pattern of several is one.
  const isOne = url !== null && !/[*,]/.test(url.host);
  if (isOne && url.origin === origin) return origin;
  const isWeb = isOne && /^https?:$/.test(url.protocol);
  const hint = isWeb ? `: did you mean ${url.origin}?` : ", such as http://localhost:3000, or '*'";
  throw new UsageError(`--cors takes an origin, saw ${quote(origin)}${hint}`);
}

/** Checks a host name without a port, or `*`. */
export function hostName(host: string): string {
  if (host === "*" || /^[\w-]+(?:\.[\w-]+)*$/.test(host)) return host;
  throw new UsageError(`--allow-host takes a host name without a port, or '*', saw ${quote(host)}`);
}

/** The first port that needs no privilege. */
const FIRST_OPEN_PORT = 1024;

/** Why a port cannot be listened on though another one can: Windows reserves some, for virtual machines and others. */
export function portProblem(error: unknown, port: number): string | undefined {
  if (error instanceof Deno.errors.AddrInUse) return "taken";
  return error instanceof Deno.errors.PermissionDenied && port >= FIRST_OPEN_PORT
    ? "reserved by the system"
    : undefined;
}

/** How long to look for another server. Windows takes seconds to say that there is none. */
const LOOK_MS = 100;

/**
 * The address that a server answers on already, of those that clients here try: every system lets two have an address
 * each, and Windows and macOS let one have all of them and another one of them.
 */
export async function answeringAddress(hostname: string, port: number): Promise<string | undefined> {
  const hosts = new Set(["127.0.0.1", "::1", ...WILDCARDS.includes(hostname) ? [] : [hostname]]);
  const looks = [...hosts].map(async (host) => {
    const { state } = await Deno.permissions.query({ name: "net", host: `${bracketed(host)}:${port}` });
    // Nobody is asked for a permission that only this look needs.
    if (state !== "granted") throw new Deno.errors.NotCapable();
    (await Deno.connect({ hostname: host, port })).close();
    return host;
  });
  const found = Promise.any(looks).catch(() => undefined);
  return await within(found, LOOK_MS) ? await found : undefined;
}

/** Returns what others can type to reach a server on all addresses: this machine's own, if they may be asked for. */
export function linesForOthers({ hostname, port }: Deno.NetAddr, secure: boolean): string[] {
  if (!WILDCARDS.includes(hostname)) return [];
  const urlOf = (host: string) => `${originOf({ secure, host, port })}/`;
  const permission = { name: "sys", kind: "networkInterfaces" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") {
    const unknown = urlOf("ADDRESS-OF-THIS-MACHINE");
    return [`Others reach it at ${unknown}; deno run --allow-sys=networkInterfaces … prints the address`];
  }
  const addresses = Deno.networkInterfaces().filter(({ family, address }) =>
    family === "IPv4" ? !isLoopback(address) : hostname === "::" && !/^(?:::1$|fe80:)/i.test(address)
  );
  return addresses.map(({ address }) => `Others reach it at ${urlOf(address)}`);
}
