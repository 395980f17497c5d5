/**
 * Random valid and invalid messages, and properties that must hold for all of them.
 *
 * Everything is generated from a seed, so that every failure can be reproduced.
 */

import assert from "node:assert/strict";
import { Decoder } from "../lib/http/decoder.ts";
import { Encoder } from "../lib/http/encoder.ts";
import type { FieldLine } from "../lib/http/grammar.ts";
import type { MessageKind } from "../lib/http/message.ts";
import { type MessageLimits, REQUEST_LIMITS } from "../lib/limits.ts";
import { eventsOf, octetString, readCases, wireOctets } from "./wire_cases.ts";

/** Small limits, so that random messages reach them. */
export const TIGHT_LIMITS: MessageLimits = {
  maxHeadBytes: 400,
  maxTargetBytes: 60,
  maxMethodBytes: 12,
  maxFieldLines: 6,
  maxContentBytes: 200,
  maxChunkLineBytes: 40,
  maxChunkExtensionsBytes: 60,
  maxTrailerBytes: 80,
};

/** A generator of random numbers with a seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Returns an integer from 0 to before `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) % end;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  octets(length: number): string {
    return Array.from({ length }, () => String.fromCharCode(this.below(256))).join("");
  }

  text(alphabet: string, least: number, most: number): string {
    return Array.from({ length: least + this.below(most - least + 1) }, () => this.pick([...alphabet])).join("");
  }
}

/** Typical parts of attacks. */
const TOKENS = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  " ",
  "\t",
  ":",
  ",",
  ";",
  "0",
  "\r\n\r\n",
  "0\r\n\r\n",
  "\x0b",
  "\xa0",
  "\x85",
  "\x7f",
  "%",
  "%0d%0a",
  "HTTP/1.1",
  "HTTP/1.0",
  "GET / HTTP/1.1\r\n",
  "Host: a\r\n",
  "Content-Length: ",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding:\tchunked\r\n",
  "Connection: close\r\n",
  "Expect: 100-continue\r\n",
  "99999999999999999999",
  "ffffffffffffffff",
  "-1",
  "+5",
  "0x5",
  "chunked",
  "identity",
  " \r\n",
  "\r\n ",
  "*",
  "http://a/",
];

export const CORPUS: readonly { kind: MessageKind; octets: string }[] = readCases().flatMap(({ cases }) =>
  cases.map(({ kind = "request", wire }) => ({ kind, octets: octetString(wireOctets(wire)).slice(0, 2000) }))
);

/** Returns messages of the corpus with random changes. */
export function brokenMessages(random: Random, kind: MessageKind): string {
  const messages = CORPUS.filter((message) => message.kind === kind);
  let text = Array.from({ length: 1 + random.below(3) }, () => random.pick(messages).octets).join("");
  for (let changes = random.below(6); changes > 0; changes--) {
    const at = random.below(text.length + 1);
    const length = random.below(12);
    const change = random.pick([
      () => text.slice(0, at) + random.pick(TOKENS) + text.slice(at),
      () => text.slice(0, at) + random.octets(1) + text.slice(at + 1),
      () => text.slice(0, at) + text.slice(at + length),
      () => text.slice(0, at) + text.slice(at, at + length).repeat(3) + text.slice(at + length),
      () => text.slice(0, at) + random.pick(messages).octets.slice(0, 40) + text.slice(at),
      () => text.slice(0, at),
    ]);
    text = change();
  }
  return text;
}

/** Splits bytes into random pieces, some of them empty. */
export function* inPieces(random: Random, bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const length = random.pick([0, 1, 1, 2, 3, 7, 50, 1000]);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

/** Checks that any bytes in any pieces give the same events, and that only HttpError is thrown. */
export function checkSplits(random: Random, kind: MessageKind, octets: string): void {
  const bytes = wireOctets(octets);
  const limits = random.pick([TIGHT_LIMITS, REQUEST_LIMITS]);
  const closed = random.below(2) === 0;
  const answers = random.pick(["GET", "HEAD", "CONNECT"]);
  const events = (pieces: Iterable<Uint8Array>) => {
    const decoder = new Decoder(kind, limits);
    decoder.expectResponseTo(answers);
    return eventsOf(decoder, pieces, closed);
  };
  assert.deepEqual(events(inPieces(random, bytes)), events([bytes]), JSON.stringify(octets));
}

const TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const VALUE = `${TOKEN}"(),/:;<=>?@[\\]{}\x80\xa0\xe9\xff`;

function randomFields(random: Random, most: number): FieldLine[] {
  return Array.from({ length: random.below(most + 1) }, (): FieldLine => {
    const words = Array.from({ length: random.below(3) }, () => random.text(VALUE, 1, 8));
    return [`X-${random.text(TOKEN, 1, 10)}`, words.join(random.pick([" ", "\t", "  "]))];
  });
}

/** Checks that encoding and decoding are inverse. */
export function checkRoundTrip(random: Random): void {
  const encoder = new Encoder();
  const fields: FieldLine[] = [["Host", "a"], ...randomFields(random, 5)];
  const content = random.below(3) === 0 ? undefined : wireOctets(random.octets(random.below(300)));
  const method = `X${random.text(TOKEN, 0, 10)}`;
  const target = `/${random.text("abc123-._~!$&'()*+,;=:@?/", 0, 30)}`;
  encoder.request({ method, target, fields, content });
  const shown = fields.map(([name, value]) => `${name}: ${value}`).join("; ");
  const length = content === undefined ? "" : `; Content-Length: ${content.length}`;
  const expected = [`${method} ${target} HTTP/1.1 (${shown}${length}) ${content?.length ?? 0} bytes`];
  if (content !== undefined && content.length > 0) expected.push(JSON.stringify(octetString(content)));
  const decoder = new Decoder("request", REQUEST_LIMITS);
  assert.deepEqual(eventsOf(decoder, inPieces(random, encoder.bytes())), [...expected, "end"]);
  checkResponseRoundTrip(random);
}

function checkResponseRoundTrip(random: Random): void {
  const encoder = new Encoder();
  const status = random.pick([200, 201, 204, 304, 404, 503]);
  const fields = randomFields(random, 5);
  const method = random.pick(["GET", "HEAD"]);
  const pieces = Array.from({ length: random.below(4) }, () => wireOctets(random.octets(random.below(100))));
  const chunked = random.below(2) === 0;
  const whole = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
  const stream = (async function* () {})();
  const context = { method, minor: 1, close: random.below(2) === 0, date: "d" } as const;
  const streams = encoder.response({ status, fields, content: chunked ? stream : whole }, context);
  if (streams) {
    for (const piece of pieces) encoder.chunk(piece);
    encoder.lastChunk();
  }
  const decoder = new Decoder("response", REQUEST_LIMITS);
  decoder.expectResponseTo(method);
  const [head, ...rest] = eventsOf(decoder, inPieces(random, encoder.bytes()));
  assert(head.startsWith(`HTTP/1.1 ${status} `), head);
  for (const [name, value] of fields) assert(head.includes(`${name}: ${value}`), head);
  assert.equal(head.endsWith(", close"), context.close);
  const hasContent = method !== "HEAD" && status !== 204 && status !== 304 && whole.length > 0;
  const content = hasContent ? [JSON.stringify(octetString(whole))] : [];
  assert.deepEqual(rest, [...content, "end", ...context.close ? ["closed"] : []]);
}
