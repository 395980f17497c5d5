/**
 * Which hosts a relay passes requests for, and what it makes of their Host.
 *
 * @module
 */

import { authorityOf, type Endpoint, hostOf, isLocalName } from "../address.ts";
import { HttpError } from "../http_message.ts";

const RULE = "RFC 9110 §7.4";

/** Judges the hosts of requests, and rewrites them. */
export class HostRule {
  /** The value that Host becomes; `undefined` if it stays. */
  readonly authority: string | undefined;
  readonly #server: Endpoint;
  readonly #anyHost: boolean;
  /** The last accepted Host: nearly always the next request has the same one. */
  #lastHost = "";

  /**
   * Creates the rule of a relay.
   *
   * @param keeps Whether Host stays as it is.
   * @param anyHost Whether any host is passed on: a relay that others reach has names that it does not know.
   */
  constructor(server: Endpoint, keeps: boolean, anyHost: boolean) {
    this.#server = server;
    this.authority = keeps ? undefined : authorityOf(server);
    this.#anyHost = anyHost;
  }

  /** Returns why a request with this Host is refused: it names neither this machine nor the server. */
  refuseHost(value: string): HttpError | undefined {
    if (this.#anyHost || value === this.#lastHost || value === "") return undefined;
    const server = hostOf(authorityOf(this.#server));
    if (isLocalName(value) || hostOf(value) === server) {
      this.#lastHost = value;
      return undefined;
    }
    const detail = `This relay does not answer for the host ${JSON.stringify(value)}: expected localhost, an IP ` +
      `address, or ${server}`;
    return new HttpError(421, detail, { rule: RULE });
  }

  /** Returns why a request with this method and target is refused: it is one to a forward proxy. */
  refuseTarget(method: string, target: string): HttpError | undefined {
    const scheme = this.#server.secure ? "https" : "http";
    const [, origin] = /^([a-z][a-z0-9+.-]*:\/\/[^/?#]*)/i.exec(target) ?? [];
    if (method !== "CONNECT" && (origin === undefined || this.#isServer(origin))) return undefined;
    const detail = `This is no forward proxy: it passes requests to ${scheme}://${authorityOf(this.#server)} only`;
    return new HttpError(421, detail, { rule: RULE });
  }

  #isServer(origin: string): boolean {
    const url = URL.parse(origin);
    const { secure, host, port } = this.#server;
    if (url === null || url.username !== "" || url.password !== "") return false;
    return url.origin === URL.parse(`${secure ? "https" : "http"}://${authorityOf({ secure, host, port })}`)?.origin;
  }
}
