// deno-lint-ignore-file no-control-regex -- other protocols start with control characters
/** Recognises and finds the start lines of messages in octets, and other protocols, before anything is decoded. */

import { octetString } from "../bytes.ts";
import { MAX_SEARCHED_LINE_OCTETS } from "../limits.ts";
import type { Direction } from "./messages.ts";
import { METHOD_MEANINGS } from "./words.ts";

/** What every response starts with. */
export const RESPONSE_START: string = "HTTP/";

const REQUEST_LINE = /^[!#$%&'*+.^_`|~\w-]+ [!-~]+ HTTP\/1\.[01]\r?\n$/;
const STATUS_LINE = /^HTTP\/1\.[01] [1-5]\d\d(?: [^\r\n]*)?\r?\n$/;
/** A known method and a blank begin a request line, whatever follows. */
const KNOWN_METHOD = new RegExp(`^(?:${Object.keys(METHOD_MEANINGS).join("|")})[ \t]`);
/** A request line of a method that is not known, perhaps broken. */
const ANY_METHOD = /^[!-~]+[ \t].*[ \t]HTTP\/\d(?:\.\d+)?[ \t]*\r?$/i;
const SIMPLE_REQUEST = /^GET [!-~]+\r?$/;

const PROXY_LINE = "a PROXY line (PROXY protocol §2)";
/** Other protocols, by what their first octets are. */
const OTHERS: readonly [name: string, client: RegExp, server?: RegExp][] = [
  ["TLS (RFC 8446 §5.1)", /^[\x14-\x17]\x03[\0-\x04]/, /^[\x14-\x17]\x03[\0-\x04]/],
  ["an SSLv2 hello (RFC 5246 §E.2)", /^[\x80-\xff].\x01(?:\0\x02|\x03[\0-\x04])/s],
  ["HTTP/2 (RFC 9113 §3.4)", /^PRI \* HTTP\/2\.0\r?\n/, /^\0\0.\x04\0{5}/s],
  ["RTSP (RFC 7826 §7.1)", /^[!-~]+ [!-~]+ RTSP\/\d\.\d\r?\n/, /^RTSP\/\d/],
  ["SIP (RFC 3261 §7.1)", /^[!-~]+ [!-~]+ SIP\/\d\.\d\r?\n/, /^SIP\/\d/],
  ["ICAP (RFC 3507 §4.3.2)", /^[!-~]+ [!-~]+ ICAP\/\d\.\d\r?\n/, /^ICAP\/\d/],
  ["SSH (RFC 4253 §4.2)", /^SSH-[12]\./, /^SSH-[12]\./],
  ["SMTP (RFC 5321 §3.1)", /^(?:EHLO|HELO)[ \r\n]/i, /^220[ -][^\r\n]*SMTP/i],
  // Its client's first words are those of FTP; Redis answers +OK alone.
  ["POP3 (RFC 1939 §4)", /^CAPA\r?\n/i, /^\+OK [^\r\n]*\r?\n/],
  ["FTP (RFC 959 §4.1)", /^USER [^ \r\n]+\r?\n/i, /^220[ -][^\r\n]*FTP/i],
  ["FastCGI (FastCGI 1.0 §3.3)", /^\x01\x01..\0\x08/s, /^\x01[\x03\x06\x07]../s],
  [PROXY_LINE, /^PROXY (?:TCP[46]|UNKNOWN)[ \r]|^\r\n\r\n\0\r\nQUIT\n/],
];
/** The beginning of a start line that has not ended. */
const BEGINNING = /^[!-~]+(?: [\t -~\x80-\xff]*\r?)?$/;
const SIMPLE_NAME = "HTTP/0.9 (RFC 1945 §4.1)";
/** How many octets are enough to name any of them that has control characters. */
const NAMING_OCTETS = 12;

/** Returns what a line with its end starts; `undefined` if it is no start line. */
export function kindOfLine(line: string): Direction | undefined {
  if (line.length > MAX_SEARCHED_LINE_OCTETS) return undefined;
  return STATUS_LINE.test(line) ? "response" : REQUEST_LINE.test(line) ? "request" : undefined;
}

/** Whether octets begin with a whole start line of this direction. */
export function startsMessage(octets: Uint8Array, direction: Direction): boolean {
  const start = octetString(octets, 0, Math.min(octets.length, MAX_SEARCHED_LINE_OCTETS));
  return kindOfLine(start.substring(0, start.indexOf("\n") + 1)) === direction;
}

/**
 * Returns what the first octets of a direction begin: `HTTP/1`, though it may be broken, another protocol by its name, or
 * `""` for neither; `undefined` if that needs more octets.
 */
export function protocolOf(octets: string, direction: Direction): string | undefined {
  const other = OTHERS.find(([, client, server]) => (direction === "request" ? client : server)?.test(octets));
  if (other !== undefined) return other[0];
  if (direction === "response") {
    return octets.startsWith(RESPONSE_START) ? "HTTP/1" : RESPONSE_START.startsWith(octets) ? undefined : "";
  }
  // Empty lines before a request are ignored (RFC 9112 §2.2).
  const start = octets.replace(/^(?:\r?\n)+/, "");
  const [line] = start.split("\n", 1);
  const isWhole = line.length < start.length || line.length > MAX_SEARCHED_LINE_OCTETS;
  // A start line has no control characters.
  const isText = /^[\t\r\x20-\x7e\x80-\xff]*$/.test(line);
  if (KNOWN_METHOD.test(line)) {
    if (isText && !isWhole) return undefined;
    return isWhole && SIMPLE_REQUEST.test(line) ? SIMPLE_NAME : "HTTP/1";
  }
  if (!isText) return octets.length < NAMING_OCTETS ? undefined : "";
  return !isWhole ? undefined : ANY_METHOD.test(line) ? "HTTP/1" : "";
}

/** Decides by the first octets of both directions whether a connection carries HTTP/1. */
export class Beginning {
  /** Whether it does: if a direction begins with a start line; `undefined` until that is known. */
  isHttp: boolean | undefined;
  /** What it carries instead, if that is known. */
  other: string | undefined;
  /** How many octets came until then. */
  readonly octets: Record<Direction, number> = { request: 0, response: 0 };
  /** The first octets of each direction, while they may begin a message. */
  readonly #starts: Record<Direction, string> = { request: "", response: "" };
  readonly #others = new Set<Direction>();
  /** Directions whose first octets are not known: a start line that begins a read shows that. */
  readonly #gaps = new Set<Direction>();

  /** Receives a gap before the next octets. */
  gap(direction: Direction): void {
    if (!this.#others.has(direction)) this.#gaps.add(direction);
  }

  /** Receives the next octets of a direction. */
  receive(direction: Direction, bytes: Uint8Array): void {
    if (this.isHttp) return;
    this.octets[direction] += bytes.length;
    if (this.isHttp === false || this.#others.has(direction)) return;
    if (this.#gaps.has(direction)) return void (this.isHttp = startsMessage(bytes, direction) || undefined);
    this.#starts[direction] += octetString(bytes, 0, Math.min(bytes.length, MAX_SEARCHED_LINE_OCTETS + 1));
    const protocol = protocolOf(this.#starts[direction], direction);
    if (protocol === undefined) return;
    this.#starts[direction] = "";
    if (protocol === "HTTP/1") return void (this.isHttp = true);
    this.#others.add(direction);
    this.other ||= protocol;
    // A server may answer another protocol in HTTP/1; what follows a PROXY line is not read.
    if (protocol === PROXY_LINE || this.#others.size === 2) this.isHttp = false;
  }

  /** Decides by the octets so far: there are no more. */
  end(): void {
    this.isHttp ??= KNOWN_METHOD.test(this.#starts.request) || this.other === SIMPLE_NAME && this.octets.response === 0;
  }
}

/** The message that a start line begins, and the octets from its first one on, the last of them valid during the call. */
export type FoundLine<Packet> = {
  readonly direction: Direction;
  readonly pieces: readonly { readonly bytes: Uint8Array; readonly packet: Packet }[];
};

/** Finds the first start line in octets whose beginning is missing, and holds at most the beginning of a line. */
export class StartLineSearch<Packet> {
  /** Octets before the start line. */
  skipped = 0;
  #held: FoundLine<Packet>["pieces"][number][] = [];
  #line = "";

  /** Searches octets for a start line, of a direction if that is known. */
  receive(bytes: Uint8Array, packet: Packet, wanted: Direction | undefined): FoundLine<Packet> | undefined {
    const held = this.#line.length;
    const all = this.#line + octetString(bytes);
    const pieceFrom = (at: number) => bytes.subarray(Math.max(0, at - held));
    let at = 0;
    // A message usually starts with a packet, but its start line may be cut in two.
    for (let end; (end = all.indexOf("\n", at) + 1) > 0; at = at < held ? held : end) {
      const direction = kindOfLine(all.substring(at, end));
      if (direction === undefined || direction !== (wanted ?? direction)) continue;
      if (at >= held) this.giveUp();
      this.skipped += Math.max(0, at - held);
      return { direction, pieces: [...this.#held, { bytes: pieceFrom(at), packet }] };
    }
    if (at < held && !mayBegin(all)) at = held;
    if (at >= held) this.giveUp();
    const line = all.substring(at);
    const isOpen = mayBegin(line);
    this.skipped += (isOpen ? Math.max(at, held) : all.length) - held;
    if (!isOpen) return undefined;
    this.#line = line;
    this.#held.push({ bytes: pieceFrom(at).slice(), packet });
  }

  /** Gives up what is held. Returns the number of octets skipped in all. */
  giveUp(): number {
    this.skipped += this.#line.length;
    this.#held = [];
    this.#line = "";
    return this.skipped;
  }
}

function mayBegin(line: string): boolean {
  return line.length <= MAX_SEARCHED_LINE_OCTETS && BEGINNING.test(line);
}
