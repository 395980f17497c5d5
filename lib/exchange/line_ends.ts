/**
 * Turns each bare LF of heads, chunk lines and trailer sections into CR LF, and leaves content as it is.
 *
 * The messages may be broken in other ways, because they may be meant to be sent so: their framing is read leniently, by
 * the first rule of RFC 9112 §6.3 that applies.
 */

import { ByteBuffer, NO_BYTES, octetString } from "../bytes.ts";
import { isContentless, isInterim, leavesHttp, LF } from "../http_message.ts";
import { RESPONSE_START } from "./start_lines.ts";

const CRLF = new Uint8Array([13, 10]);
/** Characters of a line that are looked at. */
const LINE_CHARACTERS = 1024;
/** Requests that may wait for their responses. */
const MOST_METHODS = 1000;

type Steps<Result = void> = Generator<void, Result>;

/** Converts messages of one direction, or of both in turn. */
export class LineEnds {
  /** The octets received last, and how many of them are read. */
  #bytes: Uint8Array = NO_BYTES;
  #at = 0;
  /** Methods of requests without a response. */
  readonly #methods: string[] = [];
  readonly #reading = this.#messages();

  /**
   * @param give Receives converted octets, which are valid during the call.
   * @param answers Returns the method that a response without its request answers.
   */
  constructor(
    private readonly give: (octets: Uint8Array) => void,
    private readonly answers: () => string | undefined = () => undefined,
  ) {}

  receive(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
    this.#reading.next();
  }

  *#messages(): Steps<never> {
    for (;;) yield* this.#message();
  }

  /** Converts the next message. Returns its status; 0 of a request. */
  *#message(): Steps<number> {
    let line = "";
    // Empty lines before a request are ignored (RFC 9112 §2.2).
    while (line === "") line = yield* this.#line();
    const status = line.startsWith(RESPONSE_START) ? Number(/^\S+ +(\d{3})/.exec(line)?.[1] ?? 200) : 0;
    const isRequest = status === 0;
    if (isRequest && this.#methods.push(line.split(/[ \t]/, 1)[0]) > MOST_METHODS) this.#methods.shift();
    let length = isRequest ? 0 : Infinity;
    let chunked = false;
    let expects = false;
    while ((line = yield* this.#line()) !== "") {
      const [, name = "", value] = /^([^:]*?)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line.toLowerCase()) ?? [];
      if (name === "content-length") length = Number(/^\d+/.exec(value)?.[0] ?? 0);
      if (name === "transfer-encoding") chunked = /(?:^|[, \t])chunked$/.test(value);
      expects ||= isRequest && name === "expect";
    }
    if (isInterim(status) && status !== 101) return status;
    const method = isRequest ? "" : this.#methods.shift() ?? this.answers() ?? "GET";
    if (leavesHttp(status, method)) yield* this.#content(Infinity);
    if (!isRequest && (method === "HEAD" || isContentless(status))) return status;
    // A response may precede the content of a request with Expect, and be the last one.
    if (expects && (yield* this.#comesResponse()) && !isInterim(yield* this.#message())) return status;
    if (chunked) yield* this.#chunks();
    else yield* this.#content(length);
    return status;
  }

  *#line(): Steps<string> {
    let line = "";
    let last = "";
    for (;;) {
      const bytes = yield* this.#more();
      const lf = bytes.indexOf(LF, this.#at);
      const end = lf < 0 ? bytes.length : lf;
      if (end > this.#at) {
        if (line.length < LINE_CHARACTERS) {
          line += octetString(bytes, this.#at, Math.min(end, this.#at + LINE_CHARACTERS));
        }
        last = octetString(bytes, end - 1, end);
        this.give(bytes.subarray(this.#at, end));
      }
      this.#at = end + 1;
      if (lf < 0) continue;
      this.give(last === "\r" ? CRLF.subarray(1) : CRLF);
      return line.replace(/\r$/, "");
    }
  }

  *#content(length: number): Steps {
    for (let left = length; left > 0;) {
      const bytes = yield* this.#more();
      const end = Math.min(bytes.length, this.#at + left);
      this.give(bytes.subarray(this.#at, end));
      left -= end - this.#at;
      this.#at = end;
    }
  }

  *#chunks(): Steps {
    for (;;) {
      const size = parseInt(yield* this.#line(), 16);
      if (size === 0) break;
      // Without a valid size, the content has no end.
      yield* this.#content(size >= 0 ? size : Infinity);
      yield* this.#line();
    }
    while (yield* this.#line());
  }

  /** Whether the next octets of one read begin a response. */
  *#comesResponse(): Steps<boolean> {
    const bytes = yield* this.#more();
    return octetString(bytes, this.#at, this.#at + RESPONSE_START.length) === RESPONSE_START;
  }

  /** Returns the octets received last, once some of them are not read. */
  *#more(): Steps<Uint8Array> {
    while (this.#at >= this.#bytes.length) yield;
    return this.#bytes;
  }
}

/** Returns requests with CR LF for every bare LF outside of content. */
export function withLineEnds(octets: Uint8Array): Uint8Array {
  const converted = new ByteBuffer(octets.length);
  new LineEnds((piece) => converted.append(piece)).receive(octets);
  return converted.view();
}
