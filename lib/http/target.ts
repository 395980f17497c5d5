/**
 * Request targets: their four forms and their parts (RFC 9112 §3.2).
 *
 * @module
 */

import { maskTarget } from "../masking.ts";
import { wireError } from "./error.ts";
import { isAuthority } from "./grammar.ts";

/** The four forms of a request target (RFC 9112 §3.2). */
export type TargetForm = "origin" | "absolute" | "authority" | "asterisk";

/** A request target in its parts. */
export interface Target {
  readonly form: TargetForm;
  /** Host and port; `undefined` in origin and asterisk form, which leave them to the Host field. */
  readonly authority: string | undefined;
  /** The path, still percent-encoded; `*` in asterisk form, empty in authority form. */
  readonly path: string;
  /** What follows the first `?`, still percent-encoded; `undefined` without one. */
  readonly query: string | undefined;
}

/**
 * Takes a request target apart. Its bytes must have been checked already.
 *
 * @param offset Where the target stands, for the error.
 * @throws {HttpError} 400 if the target has none of the four forms, or one that the method does not allow.
 */
export function parseTarget(method: string, target: string, offset: number): Target {
  if (method === "CONNECT") return authorityForm(target, offset);
  if (target.startsWith("/")) return withPath("origin", undefined, target);
  if (target === "*") {
    if (method === "OPTIONS") return { form: "asterisk", authority: undefined, path: "*", query: undefined };
    throw wireError("asterisk-target", offset, `The target * is for OPTIONS alone, not for ${method}`);
  }
  return absoluteForm(method, target, offset);
}

/** `authority-form = uri-host ":" port`, only for CONNECT (RFC 9112 §3.2.3). */
function authorityForm(target: string, offset: number): Target {
  const hasPort = /:\d+$/.test(target);
  if (!hasPort || !isAuthority(target)) {
    const seen = `CONNECT takes host:port as its target, not ${JSON.stringify(maskTarget(target))}`;
    throw wireError(hasPort ? "connect-target" : "connect-port", offset, seen);
  }
  return { form: "authority", authority: target, path: "", query: undefined };
}

/** `absolute-form = absolute-URI`, which every server must accept (RFC 9112 §3.2.2). */
function absoluteForm(method: string, target: string, offset: number): Target {
  const scheme = /^https?:\/\//i.exec(target)?.[0];
  if (scheme === undefined) {
    const seen = JSON.stringify(maskTarget(target).slice(0, 32));
    throw wireError("target-form", offset, `A target starts with / or with http:// or https://, not as ${seen}`);
  }
  const rest = target.slice(scheme.length);
  const end = rest.search(/[/?]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  if (!isAuthority(authority)) {
    const fault = /^(?::\d*)?$/.test(authority) ? "target-no-host" : "target-authority";
    const seen = JSON.stringify(maskTarget(authority));
    const allowed = "The target's authority must be host or host:port, without user or password";
    throw wireError(fault, offset + scheme.length, `${allowed}, not ${seen}`);
  }
  const tail = end < 0 ? "" : rest.slice(end);
  // An absolute target without a path stands for `*` with OPTIONS (RFC 9112 §3.2.4), for `/` otherwise.
  if (tail === "" && method === "OPTIONS") return { form: "absolute", authority, path: "*", query: undefined };
  return withPath("absolute", authority, tail.startsWith("/") ? tail : `/${tail}`);
}

/**
 * Whether a target is an https URI, which a server must refuse on a connection that TLS does not secure (RFC 9110 §7.4).
 * The rules of the http scheme are met on a secured connection, too.
 */
export function isSecureTarget(target: string): boolean {
  return !target.startsWith("/") && /^https:\/\//i.test(target);
}

function withPath(form: TargetForm, authority: string | undefined, target: string): Target {
  const mark = target.indexOf("?");
  if (mark < 0) return { form, authority, path: target, query: undefined };
  return { form, authority, path: target.slice(0, mark), query: target.slice(mark + 1) };
}
