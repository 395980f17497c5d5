/**
 * Creates the request that follows a response's Location (RFC 9110 §10.2.2, §15.4).
 *
 * @module
 */

import type { Endpoint } from "../client.ts";
import type { FieldLine, HttpRequest } from "../http_message.ts";
import { WrongInput } from "./words.ts";

/** A completed exchange. */
export interface Done {
  /** The server. */
  readonly endpoint: Endpoint;
  /** The request as sent. */
  readonly request: HttpRequest;
  /** The status of the final response. */
  readonly status: number;
  /** The value of its Location, if any. */
  readonly location: string | undefined;
}

/** Fields for one server only: credentials and the server's name. */
const SERVERS_OWN = ["authorization", "proxy-authorization", "cookie", "host"];
/** Fields that describe content which is not sent again. */
const ABOUT_CONTENT = ["content-type", "content-encoding", "content-language", "content-location"];

/**
 * Returns the request that follows an exchange, and its server. It has the fields of the first request except Host;
 * credentials are not sent to another origin.
 *
 * @throws {WrongInput} If the response has no Location, or one that is not an HTTP URL.
 */
export function followUp({ endpoint, request, status, location }: Done): { endpoint: Endpoint; request: HttpRequest } {
  if (location === undefined) throw new WrongInput(`the last response (${status}) has no Location to follow`);
  const base = `${endpoint.secure ? "https" : "http"}://${hostOf(endpoint)}`;
  const url = URL.parse(location, new URL(request.target.startsWith("/") ? request.target : "/", base).href);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    throw new WrongInput(`the Location ${JSON.stringify(location)} is no address of HTTP`);
  }
  const secure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const next: Endpoint = { secure, host, port: url.port === "" ? secure ? 443 : 80 : Number(url.port) };
  const isSame = url.origin === new URL(base).origin;
  const keeps = status === 307 || status === 308 || request.method === "HEAD" ||
    (status === 301 || status === 302) && request.method !== "POST";
  const dropped = [...isSame ? ["host"] : SERVERS_OWN, ...keeps ? [] : ABOUT_CONTENT];
  const fields = request.fields.filter(([name]: FieldLine) => !dropped.includes(name.toLowerCase()));
  return {
    endpoint: next,
    request: {
      method: keeps ? request.method : "GET",
      target: `${url.pathname}${url.search}`,
      fields,
      ...keeps && request.content !== undefined && { content: request.content },
    },
  };
}

function hostOf({ host, port }: Endpoint): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
