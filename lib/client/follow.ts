/** Creates the request that follows a response's Location (RFC 9110 §10.2.2, §15.4). */

import { octetsToText } from "../bytes.ts";
import { defaultPort, type Endpoint, originOf, withoutZone } from "../address.ts";
import type { HttpRequest } from "../http_message.ts";
import { WrongInput } from "./words.ts";

export interface Done {
  readonly endpoint: Endpoint;
  readonly request: HttpRequest;
  /** The file with its content, if it was read from one. */
  readonly contentFrom?: string;
  readonly status: number;
  readonly locations: readonly string[];
}

/** Fields known to have no credentials, which any server may see. */
const HARMLESS = /^(?:accept|accept-language|user-agent)$/i;
/** Fields that describe content, which is not sent again (RFC 9110 §15.4). */
const ABOUT_CONTENT = /^(?:content-.*|digest|last-modified)$/i;

/**
 * Returns the request that follows an exchange, and its server. It has the fields of the first request except Host; to
 * another origin, where others may have credentials, only those known to be harmless, and the names of those left out.
 */
export function followUp({ endpoint, request, status, locations }: Done) {
  const percentEncoded = (octet: number) => `%${octet.toString(16).toUpperCase()}`;
  // As browsers read it: UTF-8 as text, which URL encodes; any other octet is percent-encoded by itself.
  const [location, ...others] = new Set(locations.map((octets) => octetsToText(octets, percentEncoded)));
  if (location === undefined) throw new WrongInput(`the last response (${status}) has no Location to follow`);
  if (others.length > 0) {
    const all = [location, ...others].map((each) => JSON.stringify(each)).join(", ");
    throw new WrongInput(`the last response (${status}) has ${others.length + 1} Locations that differ: ${all}`);
  }
  const base = originOf(endpoint);
  const url = URL.parse(location, new URL(request.target.startsWith("/") ? request.target : "/", base).href);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new WrongInput(`the Location ${JSON.stringify(location)} is not an http:// or https:// URL`);
  }
  const secure = url.protocol === "https:";
  const name = url.hostname.replace(/^\[|\]$/g, "");
  // No URL has a zone.
  const host = name === withoutZone(endpoint.host) ? endpoint.host : name;
  const isSame = url.origin === new URL(base).origin;
  const keeps = status === 307 || status === 308 || request.method === "HEAD" ||
    (status === 301 || status === 302) && request.method !== "POST";
  const wanted = request.fields.filter(([name]) => !/^host$/i.test(name) && (keeps || !ABOUT_CONTENT.test(name)));
  const sendsContent = keeps && request.content !== undefined;
  const fields = wanted.filter(([name]) => isSame || HARMLESS.test(name) || sendsContent && ABOUT_CONTENT.test(name));
  return {
    endpoint: { secure, host, port: url.port === "" ? defaultPort(secure) : Number(url.port) },
    leftOut: wanted.filter((field) => !fields.includes(field)).map(([name]) => name),
    request: {
      method: keeps ? request.method : "GET",
      target: `${url.pathname}${url.search}`,
      fields,
      ...sendsContent && { content: request.content },
    },
  };
}
