/**
 * Who may ask: the Host that a request names, other sites' pages (CORS), and the token.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import {
  type FieldLine,
  HttpError,
  type HttpResponse,
  type Requester,
  type RequestHead,
  type Service,
} from "../http_message.ts";
import { problemResponse } from "./problem.ts";

/** Who may ask. */
export interface AccessOptions {
  /**
   * Host names that requests may be for, beside IP addresses, `localhost` and names under it; `undefined` for any.
   * A web page can point its own domain at 127.0.0.1 (DNS rebinding), but not change the Host its browser sends.
   */
  readonly hosts?: readonly string[];
  /** The origin whose pages may read answers, or `*` for every one; left out, none may. */
  readonly cors?: string;
  /** What every request must carry as its bearer token; left out, none is asked for. */
  readonly token?: string;
}

/** Fields that a page may see beside those that it always may (Fetch, "CORS-safelisted response-header name"). */
const EXPOSED = "ETag, Link, Location, X-Total-Count";
const PREFLIGHT: readonly FieldLine[] = [
  ["Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match"],
  ["Access-Control-Max-Age", "600"],
];

/** What is protected: a service whose errors are sent as problem documents. */
export type Resource = Omit<Service, "errorResponse">;

/** A service that lets pass to a resource what may pass. */
export class Access implements Service {
  readonly #resource: Resource;
  readonly #hosts: readonly string[] | undefined;
  readonly #cors: string | undefined;
  readonly #corsFields: readonly FieldLine[];
  readonly #tokenDigest: Uint8Array | undefined;
  /** The authority that was let in last: nearly always the next request is for the same. */
  #lastAuthority: string | undefined;

  /** Protects a resource. */
  constructor(resource: Resource, options: AccessOptions) {
    this.#resource = resource;
    this.#hosts = options.hosts?.map((host) => host.toLowerCase());
    this.#cors = options.cors;
    this.#corsFields = options.cors === undefined ? [] : corsFields(options.cors);
    this.#tokenDigest = options.token === undefined ? undefined : digest(options.token);
  }

  /**
   * As {@linkcode Service.precheck}; refuses a request for another host, or without the token.
   *
   * @throws {HttpError} 421 or 401, or what the resource throws.
   */
  precheck(request: RequestHead): void {
    this.#check(request);
    if (!this.#isPreflight(request)) this.#resource.precheck(request);
  }

  /** As {@linkcode Service.answer}. */
  answer(request: RequestHead, content: Uint8Array, requester: Requester): HttpResponse | Promise<HttpResponse> {
    this.#check(request);
    if (this.#cors === undefined) return this.#resource.answer(request, content, requester);
    if (this.#isPreflight(request)) return this.#withCors({ status: 204, fields: PREFLIGHT });
    const response = this.#resource.answer(request, content, requester);
    return response instanceof Promise ? response.then((made) => this.#withCors(made)) : this.#withCors(response);
  }

  /** As {@linkcode Service.errorResponse}: a page must be able to read errors, too. */
  errorResponse(error: HttpError): HttpResponse {
    return this.#withCors(problemResponse(error));
  }

  /** The response, with the fields that let a page of the allowed origin read it. */
  #withCors(response: HttpResponse): HttpResponse {
    return this.#corsFields.length === 0
      ? response
      : { ...response, fields: [...response.fields ?? [], ...this.#corsFields] };
  }

  #check(request: RequestHead): void {
    this.#checkHost(request);
    if (!this.#isPreflight(request)) this.#checkToken(request);
  }

  #checkHost({ authority }: RequestHead): void {
    if (this.#hosts === undefined || authority === "" || authority === this.#lastAuthority) return;
    const host = authority.replace(/:\d*$/, "").toLowerCase();
    if (isAddress(host) || host === "localhost" || host.endsWith(".localhost") || this.#hosts.includes(host)) {
      this.#lastAuthority = authority;
      return;
    }
    const detail = `This server does not answer for the host ${
      JSON.stringify(host)
    }: start it with --allow-host ${host}`;
    throw new HttpError(421, detail, { rule: "RFC 9110 §7.4" });
  }

  #checkToken({ fields }: RequestHead): void {
    if (this.#tokenDigest === undefined) return;
    const authorization = fields.get("authorization");
    const token = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
    // Digests have one length, and comparing them takes the same time wherever they differ.
    if (token !== undefined && timingSafeEqual(digest(token), this.#tokenDigest)) return;
    const detail = authorization === undefined
      ? "The request has no token"
      : "The request's token is not the right one";
    throw new HttpError(401, `${detail}: expected Authorization: Bearer and the token`, {
      rule: "RFC 6750 §3",
      fields: [["WWW-Authenticate", authorization === undefined ? "Bearer" : 'Bearer error="invalid_token"']],
    });
  }

  /** A browser's question whether a page may send a request (Fetch, "CORS-preflight request"). It carries no token. */
  #isPreflight({ method, fields }: RequestHead): boolean {
    return this.#cors !== undefined && method === "OPTIONS" && fields.count("origin") > 0 &&
      fields.count("access-control-request-method") > 0;
  }
}

function corsFields(origin: string): FieldLine[] {
  const fields: FieldLine[] = [
    ["Access-Control-Allow-Origin", origin],
    ["Access-Control-Expose-Headers", EXPOSED],
  ];
  if (origin !== "*") fields.push(["Vary", "Origin"]);
  return fields;
}

/** Whether a host is an IP address: those cannot be pointed anywhere else. */
function isAddress(host: string): boolean {
  // A URL's host that looks like an IPv4 address is one, and is written in one way only.
  return host.startsWith("[") || /^[\d.]+$/.test(host) && URL.parse(`http://${host}`)?.hostname === host;
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
