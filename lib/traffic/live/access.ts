/** Who may see the page's data, and the fields that every response of it has. */

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

/** The end of an authority that names the scheme's port, or none. */
const DEFAULT_PORT = /:(?:80)?$/;

export class PageAccess {
  readonly #hosts: readonly string[];
  readonly #cookieName: string;

  constructor(port: number, private readonly key: string) {
    this.#hosts = ["127.0.0.1", "localhost"].map((host) => `${host}:${port}`.replace(DEFAULT_PORT, ""));
    this.#cookieName = `wiretable-${port}`;
  }

  /** The field that gives the key to a browser: it sends it back below {@linkcode LIVE_PATH}, and from nowhere else. */
  get cookie(): FieldLine {
    return ["Set-Cookie", `${this.#cookieName}=${this.key}; HttpOnly; SameSite=Strict; Path=${LIVE_PATH}`];
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
    const cookies = (fields.get("cookie") ?? "").split(";").map((pair) => pair.trim().split(/=(.*)/s))
      .flatMap(([name, value]) => name === this.#cookieName && value !== undefined ? [value] : []);
    if (![...given, ...cookies].every((key) => isSameSecret(key, this.key))) {
      throw new HttpError(403, "The key is not this server's: open the address that it printed when it started");
    }
    if (!path.startsWith(LIVE_PATH)) return given.length > 0;
    if (given.length + cookies.length === 0) {
      throw new HttpError(403, "The key is missing: open the address that serve (or explain) printed");
    }
    // Ports of one host are one site, so a cookie alone does not tell who asks.
    const origin = fields.get("origin");
    const site = fields.get("sec-fetch-site") ?? "none";
    const isOwn = origin === undefined || origin === `http://${host}`;
    if (isOwn && (site === "same-origin" || site === "none")) return given.length > 0;
    throw new HttpError(403, `Only this page may ask, saw the origin ${JSON.stringify(origin ?? site)}`);
  }
}
