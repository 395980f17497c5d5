/**
 * Who may see the page's data, and the fields that every response of it has.
 *
 * @module
 */

import { isSameSecret } from "../../bytes.ts";
import { type FieldLine, HttpError, isSecureTarget, type RequestHead } from "../../http_message.ts";

/** Only the page's own files are run and shown, and only in a window of their own. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** What every response carries, errors too. */
export const SECURITY_FIELDS: readonly FieldLine[] = [
  ["Content-Security-Policy", CONTENT_SECURITY_POLICY],
  ["X-Content-Type-Options", "nosniff"],
  ["Cache-Control", "no-store"],
  ["Referrer-Policy", "no-referrer"],
  ["Cross-Origin-Resource-Policy", "same-origin"],
];

/** Below this path is what needs the key. No row has it: names have no slash. */
export const LIVE_PATH = "/live/";

const HTTP_PORT = 80;
/** The end of an authority that names this port, or none. */
const DEFAULT_PORT = /:(?:80)?$/;

/** Lets pass who has the key that was printed. */
export class PageAccess {
  readonly #hosts: readonly string[];
  readonly #cookieName: string;
  readonly #key: string;

  /** Protects a page on a port of this machine. */
  constructor(port: number, key: string) {
    this.#hosts = ["127.0.0.1", "localhost"].map((host) => port === HTTP_PORT ? host : `${host}:${port}`);
    this.#cookieName = `wiretable-${port}`;
    this.#key = key;
  }

  /** The field that gives the key to a browser: it sends it back below {@linkcode LIVE_PATH}, and from nowhere else. */
  get cookie(): FieldLine {
    return ["Set-Cookie", `${this.#cookieName}=${this.#key}; HttpOnly; SameSite=Strict; Path=${LIVE_PATH}`];
  }

  /**
   * Whether the request brings the key in its query.
   *
   * @throws {HttpError} 421 for another host; 403 for a wrong key, for what needs the key without one, and for what
   * another site's page asks for.
   */
  check({ authority, target, path, query, fields }: RequestHead): boolean {
    // Without its port, an authority has the scheme's (RFC 9110 §4.2.1).
    const host = authority.toLowerCase().replace(DEFAULT_PORT, "");
    if (isSecureTarget(target) || !this.#hosts.includes(host)) {
      const seen = JSON.stringify(isSecureTarget(target) ? target : authority);
      const detail = `This page is at ${this.#hosts.map((host) => `http://${host}`).join(" and ")} only, saw ${seen}`;
      throw new HttpError(421, detail, { rule: "RFC 9110 §7.4" });
    }
    const given = new URLSearchParams(query ?? "").getAll("key");
    const cookies = cookieValues(fields.get("cookie") ?? "", this.#cookieName);
    if (![...given, ...cookies].every((key) => this.#isKey(key))) {
      throw new HttpError(403, "The key is not this server's: open the address that it printed when it started");
    }
    if (!path.startsWith(LIVE_PATH)) return given.length > 0;
    if (given.length + cookies.length === 0) {
      throw new HttpError(403, "The key is missing: open the address that serve (or explain) printed");
    }
    this.#checkOrigin(`http://${host}`, fields.get("origin"), fields.get("sec-fetch-site"));
    return given.length > 0;
  }

  /**
   * Checks that a request that changes something comes from the page.
   *
   * @throws {HttpError} 403 if it does not say so.
   */
  requireOrigin({ fields }: RequestHead): void {
    if (fields.get("origin") === undefined) throw new HttpError(403, "A command needs the Origin of this page");
  }

  /** Ports of one host are one site, so a cookie alone does not tell who asks. */
  #checkOrigin(own: string, origin: string | undefined, site: string | undefined): void {
    const isOwn = origin === undefined || origin === own;
    if (isOwn && (site === undefined || site === "same-origin" || site === "none")) return;
    throw new HttpError(403, `Only this page may ask, saw the origin ${JSON.stringify(origin ?? site)}`);
  }

  #isKey(text: string): boolean {
    return isSameSecret(text, this.#key);
  }
}

function cookieValues(cookie: string, name: string): string[] {
  return cookie.split(";").map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
}
