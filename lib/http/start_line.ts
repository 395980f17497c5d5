/** Reading the start line of a message: request line and status line, and the forms of a target (RFC 9112 §3.2). */

import { maskTarget } from "../masking.ts";
import { wireError } from "./error.ts";
import {
  CR,
  isAuthority,
  isBlank,
  isDigit,
  isFieldContentOctet,
  isHexDigit,
  isTargetOctet,
  isTokenOctet,
  LF,
  PERCENT,
  SP,
} from "./grammar.ts";
import { MORE, nameOctet, scanLineEnd } from "./scan.ts";
import type { MessageLimits } from "../limits.ts";
import type { MessageKind, RequestHead } from "./message.ts";

/** `HTTP-version = HTTP-name "/" DIGIT "." DIGIT` (RFC 9112 §2.3), with 0 where a digit stands. */
const VERSION = "HTTP/0.0";
const MAJOR_AT = 5;
const MINOR_AT = 7;
/** Where the status code of a response ends. */
export const STATUS_END = VERSION.length + 4;
const STATUS_WANTED = "a status code of three digits";
/** The octet that every handshake of TLS starts with (RFC 8446 §5.1). */
export const TLS_START: number = 0x16;

/** Scans start lines and holds where the last one's parts end, counted from the line's start. */
export class StartLine {
  /** Where the first part ends: the method, or the HTTP version of a response. */
  firstEnd = 0;
  /** Where the second part ends: the target, or the status code with the space after it. */
  secondEnd = 0;
  /** The minor HTTP version; a later HTTP/1.x counts as 1 (RFC 9110 §2.5). */
  minor: 0 | 1 = 1;

  constructor(private readonly limits: MessageLimits) {}

  scan(kind: MessageKind, buffer: Uint8Array, start: number, end: number): number {
    const most = this.limits.maxHeadBytes;
    const stop = Math.min(end, start + most);
    const lineEnd = kind === "request" ? this.#request(buffer, start, stop) : this.#status(buffer, start, stop);
    if (lineEnd === MORE && stop === start + most) {
      throw wireError("start-line-too-long", stop, `The start line is longer than ${most} octets`);
    }
    return lineEnd;
  }

  /** `request-line = method SP request-target SP HTTP-version CRLF` (RFC 9112 §3). */
  #request(buffer: Uint8Array, start: number, stop: number): number {
    this.firstEnd = 0;
    const methodEnd = this.#scanMethod(buffer, start, stop);
    if (methodEnd === MORE) return MORE;
    this.firstEnd = methodEnd - start;
    const targetEnd = this.#scanTarget(buffer, methodEnd + 1, stop);
    if (targetEnd === MORE) return MORE;
    this.secondEnd = targetEnd - start;
    const versionEnd = this.#scanVersion(buffer, targetEnd + 1, stop);
    if (versionEnd === MORE) return MORE;
    const fault = isBlank(buffer[versionEnd]) ? "blank-after-version" : "after-version";
    return scanLineEnd(buffer, versionEnd, stop, "the HTTP version", fault);
  }

  /**
   * `status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 §4). Many servers leave out the
   * space before an empty reason phrase: a line that ends there has one reading only.
   */
  #status(buffer: Uint8Array, start: number, stop: number): number {
    let at = this.#scanVersion(buffer, start, stop);
    if (at === MORE) return MORE;
    this.firstEnd = at - start;
    for (const expected of " 000 ") {
      if (at >= stop) return MORE;
      if (expected === " " ? buffer[at] !== SP : !isDigit(buffer[at])) {
        if (buffer[at] === CR && at - start === STATUS_END) break;
        refuseStatus(buffer[at], at, expected === " " ? "a space on each side of the status code" : STATUS_WANTED);
      }
      at++;
    }
    this.secondEnd = at - start;
    while (at < stop && isFieldContentOctet(buffer[at])) at++;
    return scanLineEnd(buffer, at, stop, "the reason phrase", "reason-byte");
  }

  #scanMethod(buffer: Uint8Array, start: number, stop: number): number {
    const longest = start + this.limits.maxMethodBytes;
    let at = start;
    while (at < stop && at <= longest && isTokenOctet(buffer[at])) at++;
    if (at > longest) {
      const seen = `The method is longer than ${this.limits.maxMethodBytes} octets, and no such method is known`;
      throw wireError("method-too-long", longest, seen);
    }
    if (at >= stop) return MORE;
    if (at > start && buffer[at] === SP) return at;
    return refuseMethod(buffer[at], at, at === start);
  }

  #scanTarget(buffer: Uint8Array, start: number, stop: number): number {
    const longest = start + this.limits.maxTargetBytes;
    /** How many hexadecimal digits the last percent sign still wants. */
    let digits = 0;
    let at = start;
    for (; at < stop && at <= longest; at++) {
      const octet = buffer[at];
      if (digits > 0) {
        if (!isHexDigit(octet)) refusePercent(octet, at);
        digits--;
      } else if (octet === PERCENT) digits = 2;
      else if (!isTargetOctet(octet)) break;
    }
    if (at > longest) {
      const seen = `The request target is longer than ${this.limits.maxTargetBytes} octets`;
      throw wireError("target-too-long", longest, seen);
    }
    if (at >= stop) return MORE;
    if (at > start && buffer[at] === SP) return at;
    return at === start ? refuseEmptyTarget(buffer[at], at) : refuseTargetOctet(buffer[at], at);
  }

  /** Returns where the HTTP version ends. Each octet is checked in turn, so that the error names the first wrong one. */
  #scanVersion(buffer: Uint8Array, start: number, stop: number): number {
    for (let i = 0; i < VERSION.length; i++) {
      const at = start + i;
      if (at >= stop) return MORE;
      const octet = buffer[at];
      if (i === MAJOR_AT || i === MINOR_AT ? !isDigit(octet) : octet !== VERSION.charCodeAt(i)) {
        const fault = i === 0 && isBlank(octet) ? "blank-before-version" : "version-byte";
        const seen = `Expected the version HTTP/1.1 or HTTP/1.0, saw ${nameOctet(octet)} as its character ${i + 1}`;
        throw wireError(fault, at, seen);
      }
      if (i === MAJOR_AT && octet !== 0x31) {
        const seen = `Only HTTP/1.1 and HTTP/1.0 are supported, not major version ${octet - 0x30}`;
        throw wireError("version-major", at, seen);
      }
    }
    this.minor = buffer[start + MINOR_AT] === 0x30 ? 0 : 1;
    return start + VERSION.length;
  }
}

function refuseMethod(octet: number, offset: number, isFirst: boolean): never {
  const where = isFirst ? "a method at the start of the request" : "one space after the method";
  const seen = `Expected ${where}, saw ${nameOctet(octet)}`;
  if (isFirst && octet === TLS_START) {
    throw wireError("tls", offset, seen, "this looks like TLS, but the port speaks plain HTTP");
  }
  const [ifBlank, otherwise] = isFirst
    ? ["blank-before-method", "no-method"] as const
    : ["blank-after-method", "method-byte"] as const;
  throw wireError(isBlank(octet) ? ifBlank : otherwise, offset, seen);
}

function refusePercent(octet: number, offset: number): never {
  const seen = `Expected a hexadecimal digit after % in the target, saw ${nameOctet(octet)}`;
  throw wireError("target-percent", offset, seen);
}

function refuseEmptyTarget(octet: number, offset: number): never {
  const fault = isBlank(octet) ? "blank-before-target" : "empty-target";
  throw wireError(fault, offset, `Expected a request target after one space, saw ${nameOctet(octet)}`);
}

function refuseTargetOctet(octet: number, offset: number): never {
  if (octet !== CR && octet !== LF) {
    const seen = `The octet ${nameOctet(octet)} is not allowed in a target as it is`;
    throw wireError("target-byte", offset, seen, "percent-encode it");
  }
  const allowed = `expected one space and HTTP/1.1, saw ${nameOctet(octet)}`;
  throw wireError("no-version", offset, "The request line ends without a version", allowed);
}

function refuseStatus(octet: number, offset: number, wanted: string): never {
  const fault = isBlank(octet) ? "status-blank" : "status-code";
  throw wireError(fault, offset, `Expected ${wanted}, saw ${nameOctet(octet)}`);
}

/** A request target in its parts; origin and asterisk form have no authority, and leave it to the Host field. */
export type Target = Pick<RequestHead, "path" | "query"> & { readonly authority: string | undefined };

/** Takes a request target apart whose octets are valid: it has one of the four forms, one that the method allows. */
export function parseTarget(method: string, target: string, offset: number): Target {
  if (method === "CONNECT") return authorityForm(target, offset);
  if (target.startsWith("/")) return withPath(undefined, target);
  if (target === "*") {
    if (method === "OPTIONS") return { authority: undefined, path: "*", query: undefined };
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
  return { authority: target, path: "", query: undefined };
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
  if (tail === "" && method === "OPTIONS") return { authority, path: "*", query: undefined };
  return withPath(authority, tail.startsWith("/") ? tail : `/${tail}`);
}

/**
 * Whether a target is an https URI, which a server must refuse on a connection that TLS does not secure (RFC 9110 §7.4).
 * The rules of the http scheme are met on a secured connection, too.
 */
export function isSecureTarget(target: string): boolean {
  return /^https:\/\//i.test(target);
}

function withPath(authority: string | undefined, target: string): Target {
  const mark = target.indexOf("?");
  if (mark < 0) return { authority, path: target, query: undefined };
  return { authority, path: target.slice(0, mark), query: target.slice(mark + 1) };
}
