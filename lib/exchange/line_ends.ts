/**
 * Turns each bare LF of heads, chunk lines and trailer sections into CR LF, and leaves content as it is.
 *
 * The messages may be broken in other ways, because they may be meant to be sent so: their framing is read leniently, by
 * the first rule of RFC 9112 §6.3 that applies.
 *
 * @module
 */

import { ByteBuffer, octetString } from "../bytes.ts";
import { isContentless, isInterim, leavesHttp, LF } from "../http_message.ts";

const CRLF = new Uint8Array([13, 10]);
const RESPONSE_START = "HTTP/";
/** Characters of a line that are looked at. */
const LINE_CHARACTERS = 1024;
/** Requests that may wait for their responses. */
const MOST_METHODS = 1000;

/** Converts messages of one direction, or of both in turn. */
export class LineEnds {
  readonly #give: (octets: Uint8Array) => void;
  readonly #answers: () => string | undefined;
  #phase: "start" | "head" | "chunk line" | "chunk end" | "trailers" = "start";
  /** Octets of content, or of a chunk, still to come. */
  #left = 0;
  /** The start of the line so far, and its last octet. */
  #line = "";
  #last = "";
  /** Methods of requests without a response. */
  readonly #methods: string[] = [];
  #head = { status: 0, length: 0, hasLength: false, chunked: false, expects: false };
  /** The content of a request with Expect: a response may precede it. */
  #expected: { readonly phase: "start" | "chunk line"; readonly left: number; interrupted: boolean } | undefined;

  /**
   * Gives converted octets to a function; they are valid during the call.
   *
   * @param answers Returns the method that a response answers whose request is not there.
   */
  constructor(give: (octets: Uint8Array) => void, answers: () => string | undefined = () => undefined) {
    this.#give = give;
    this.#answers = answers;
  }

  /** Receives octets. */
  receive(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#expected?.interrupted === false) this.#interrupt(octetString(bytes, at, at + RESPONSE_START.length));
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        this.#give(bytes.subarray(at, end));
        this.#left -= end - at;
        at = end;
        continue;
      }
      const lf = bytes.indexOf(LF, at);
      const end = lf < 0 ? bytes.length : lf;
      if (end > at) {
        if (this.#line.length < LINE_CHARACTERS) {
          this.#line += octetString(bytes, at, Math.min(end, at + LINE_CHARACTERS));
        }
        this.#last = octetString(bytes, end - 1, end);
        this.#give(bytes.subarray(at, end));
      }
      if (lf < 0) return;
      this.#give(this.#last === "\r" ? CRLF.subarray(1) : CRLF);
      const line = this.#line.replace(/\r$/, "");
      this.#line = this.#last = "";
      this.#lineEnded(line);
      at = lf + 1;
    }
  }

  /** Decides by the first octets behind a head with Expect whether a response precedes the content. */
  #interrupt(start: string): void {
    if (start === RESPONSE_START) {
      this.#expected!.interrupted = true;
      this.#left = 0;
      this.#phase = "start";
    } else this.#expected = undefined;
  }

  #lineEnded(line: string): void {
    switch (this.#phase) {
      case "start":
        // Empty lines before a request are ignored (RFC 9112 §2.2).
        if (line !== "") this.#start(line);
        break;
      case "head":
        if (line === "") this.#headEnded();
        else this.#field(line);
        break;
      case "chunk end":
        this.#phase = "chunk line";
        break;
      case "chunk line": {
        const size = parseInt(line, 16);
        this.#phase = size === 0 ? "trailers" : "chunk end";
        // What is no size has no end.
        this.#left = size >= 0 ? size : Infinity;
        break;
      }
      case "trailers":
        if (line === "") this.#phase = "start";
    }
  }

  #start(line: string): void {
    const status = line.startsWith(RESPONSE_START) ? Number(/^\S+ +(\d{3})/.exec(line)?.[1] ?? 200) : 0;
    this.#head = { status, length: 0, hasLength: false, chunked: false, expects: false };
    this.#phase = "head";
    if (status === 0 && this.#methods.push(line.split(/[ \t]/, 1)[0]) > MOST_METHODS) this.#methods.shift();
  }

  #field(line: string): void {
    const [, name, value] = /^([^:]*?)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    const head = this.#head;
    switch (name?.toLowerCase()) {
      case "content-length":
        head.hasLength = true;
        head.length = Number(/^\d+/.exec(value)?.[0] ?? 0);
        break;
      case "transfer-encoding":
        head.chunked = /(?:^|[, \t])chunked$/i.test(value);
        break;
      case "expect":
        head.expects = true;
    }
  }

  #headEnded(): void {
    const { status, length, hasLength, chunked, expects } = this.#head;
    this.#phase = "start" as "start" | "chunk line";
    if (isInterim(status) && status !== 101) {
      ({ phase: this.#phase, left: this.#left } = this.#expected ?? { phase: "start", left: 0 });
      this.#expected = undefined;
      return;
    }
    const method = status === 0 ? "" : this.#methods.shift() ?? this.#answers() ?? "GET";
    if (status > 0) {
      if (leavesHttp(status, method)) return void (this.#left = Infinity);
      if (method === "HEAD" || isContentless(status)) return;
    }
    if (chunked) this.#phase = "chunk line";
    else this.#left = hasLength || status === 0 ? length : Infinity;
    this.#expected = expects ? { phase: this.#phase, left: this.#left, interrupted: false } : undefined;
  }
}

/** Returns requests with CR LF wherever a bare LF is no content. */
export function withLineEnds(octets: Uint8Array): Uint8Array {
  const converted = new ByteBuffer(octets.length);
  new LineEnds((piece) => converted.append(piece)).receive(octets);
  return converted.view();
}
