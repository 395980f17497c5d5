/** Access control: the Host of a request, pages of other sites (CORS), and the token. */

import { isSameSecret } from "../bytes.ts";
import {
  type FaultCode,
  type FieldLine,
  HttpError,
  type HttpResponse,
  isSecureTarget,
  isToken,
  listMembers,
  type Requester,
  type RequestHead,
  type Service,
} from "../http_message.ts";
import { hostOf, isLocalName } from "../address.ts";
import { then } from "../turns.ts";
import { problemResponse } from "./errors.ts";

export interface AccessOptions {
  /** Accepted host names besides those of this machine (see {@linkcode isLocalName}); `undefined` for any. */
  readonly hosts?: readonly string[];
  /** The origin whose pages may read responses, or `*` for every origin; by default none. */
  readonly cors?: string;
  /** The bearer tokens, one of which every request must have, `OPTIONS *` excepted; by default none is needed. */
  readonly tokens?: readonly string[];
  /** Whether TLS secures the connections; by default not. */
  readonly secure?: boolean;
}

/** Fields that a page may read besides the CORS-safelisted ones (Fetch, "CORS-safelisted response-header name"). */
const EXPOSED = "Accept-Patch, Allow, ETag, Link, Location, Retry-After, Row-Fields, WWW-Authenticate, X-Total-Count";
/** Fields that a page may send if its preflight asks for none. */
const ALLOWED = ["Authorization", "Content-Type", "If-Match", "If-None-Match"];

/** The flags that change a limit. The codec, which serves both ends, does not name them. */
const LIMIT_FLAGS: { readonly [Code in FaultCode]?: string } = {
  "content-too-long": "--max-body",
  "section-too-long": "--max-head",
  "start-line-too-long": "--max-head",
  "target-too-long": "--max-head",
};

/** A service that checks Host, token and CORS, and passes permitted requests to another one. */
export class Access implements Service {
  readonly #hosts: readonly string[] | undefined;
  /** The fields that let pages of the allowed origin read a response; `undefined` without one. */
  readonly #corsFields: readonly FieldLine[] | undefined;
  #tokens: readonly string[] | undefined;
  /** The last accepted authority: nearly always the next request has the same one. */
  #lastAuthority: string | undefined;

  constructor(private readonly service: Service, private readonly options: AccessOptions) {
    const { hosts, cors, tokens } = options;
    this.#hosts = hosts?.map((host) => host.toLowerCase());
    this.#corsFields = cors === undefined ? undefined : corsFields(cors);
    this.#tokens = tokens;
  }

  /** Accepts other tokens from the next request on. */
  renewTokens(tokens: readonly string[]): void {
    this.#tokens = tokens;
  }

  /** As the service's `precheck`, but refuses requests for other hosts (421) and without the token (401). */
  precheck(request: RequestHead): void {
    if (!this.#admitPreflight(request)) this.service.precheck(request);
  }

  answer(request: RequestHead, content: Uint8Array, requester: Requester): HttpResponse | Promise<HttpResponse> {
    if (this.#admitPreflight(request)) return this.#withCors({ status: 204, fields: preflightFields(request) });
    const response = this.service.answer(request, content, requester);
    return this.#corsFields === undefined ? response : then(response, (made) => this.#withCors(made));
  }

  /** Returns the problem document of an error, which pages of the allowed origin may read too. */
  errorResponse(error: HttpError): HttpResponse {
    const flag = error.fault && LIMIT_FLAGS[error.fault];
    return this.#withCors(problemResponse(error, flag && `${error.message}: ${flag} of the server allows more`));
  }

  #withCors(response: HttpResponse): HttpResponse {
    if (this.#corsFields === undefined) return response;
    return { ...response, fields: [...response.fields ?? [], ...this.#corsFields] };
  }

  /**
   * Checks the host, and the token. Returns whether the request is a preflight, which has none: a browser asks whether a
   * page may send a request (Fetch, "CORS-preflight request").
   */
  #admitPreflight(request: RequestHead): boolean {
    const { authority, path, target } = request;
    // An origin-form is no URI: nearly every target.
    if (!this.options.secure && !target.startsWith("/") && isSecureTarget(target)) {
      const detail =
        "The target is an https URI, but TLS does not secure this connection: use http, or serve with --cert";
      throw new HttpError(421, detail, { rule: "RFC 9110 §7.4" });
    }
    if (this.#hosts !== undefined && authority !== "" && authority !== this.#lastAuthority) {
      const host = hostOf(authority);
      if (!isLocalName(host) && !this.#hosts.includes(host)) {
        const unknown = `This server does not answer for the host ${JSON.stringify(host)}`;
        throw new HttpError(421, `${unknown}: start it with --allow-host ${host}`, { rule: "RFC 9110 §7.4" });
      }
      this.#lastAuthority = authority;
    }
    if (this.#corsFields !== undefined && isPreflight(request)) return true;
    // `OPTIONS *` is a health check, and says nothing of the table (RFC 9110 §9.3.7).
    if (this.#tokens !== undefined && path !== "*") requireToken(request, this.#tokens);
    return false;
  }
}

function isPreflight({ method, fields }: RequestHead): boolean {
  return method === "OPTIONS" && fields.count("origin") > 0 && fields.count("access-control-request-method") > 0;
}

/** @throws {HttpError} 401 without one of the tokens. */
function requireToken({ fields }: RequestHead, tokens: readonly string[]): void {
  const authorization = fields.get("authorization") ?? "";
  const token = /^bearer +(\S+)$/i.exec(authorization)?.[1];
  // All are compared, each in a time that does not tell where it differs.
  if (token !== undefined && tokens.filter((each) => isSameSecret(token, each)).length > 0) return;
  // An error is named only for credentials of this scheme (RFC 6750 §3).
  const isBearer = /^bearer(?: |$)/i.test(authorization);
  const detail = isBearer ? "The request's token is not the right one" : "The request has no token";
  throw new HttpError(401, `${detail}: expected Authorization: Bearer and the token`, {
    rule: "RFC 6750 §3",
    fields: [["WWW-Authenticate", isBearer ? 'Bearer error="invalid_token"' : "Bearer"]],
  });
}

/** The fields of the answer to a preflight: the page may send what it asks for. */
function preflightFields({ fields }: RequestHead): FieldLine[] {
  const asked = listMembers(fields.get("access-control-request-headers") ?? "").filter(isToken);
  return [
    ["Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
    ["Access-Control-Allow-Headers", (asked.length > 0 ? asked : ALLOWED).join(", ")],
    ["Access-Control-Max-Age", "600"],
  ];
}

function corsFields(origin: string): FieldLine[] {
  return [
    ["Access-Control-Allow-Origin", origin],
    ["Access-Control-Expose-Headers", EXPOSED],
    ...origin === "*" ? [] : [["Vary", "Origin"]] as const,
  ];
}
