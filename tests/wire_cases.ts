/**
 * The format of the wire cases under `testdata/`, and the shorthand for their events.
 *
 * A case has octets (one character each; a `[text, count]` pair is repeated) and the events that the decoder must
 * return for them, in the shorthand of {@linkcode eventsOf}.
 */

import { octetString } from "../lib/bytes.ts";
import { Decoder } from "../lib/http/decoder.ts";
import { HttpError } from "../lib/http/error.ts";
import type { Fields } from "../lib/http/fields.ts";
import type { HttpEvent, MessageKind } from "../lib/http/message.ts";
import { type MessageLimits, REQUEST_LIMITS } from "../lib/limits.ts";

export { octetString };

export interface WireCase {
  /** The claim. It is the test's name, after the section. */
  name: string;
  /** The section of the specification that decides. */
  section: string;
  /** By default `request`. */
  kind?: MessageKind;
  /** The method that a response answers. */
  answers?: string;
  /** Limits other than the defaults. */
  limits?: Partial<MessageLimits>;
  /** Whether the connection ends after the octets. */
  closed?: boolean;
  wire: string | (string | [string, number])[];
  events: string[];
}

export function wireOctets(wire: WireCase["wire"]): Uint8Array {
  const text = typeof wire === "string"
    ? wire
    : wire.map((part) => typeof part === "string" ? part : part[0].repeat(part[1])).join("");
  return Uint8Array.from(text, (character) => {
    const octet = character.charCodeAt(0);
    if (octet > 0xff) throw new Error(`Not an octet in a wire case: ${JSON.stringify(character)}`);
    return octet;
  });
}

export function readCases(): { file: string; cases: WireCase[] }[] {
  const folder = new URL("./testdata/", import.meta.url);
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).filter((name) => name.endsWith(".json")).sort()
    .map((file) => ({ file, cases: JSON.parse(Deno.readTextFileSync(new URL(file, folder))) }));
}

export function decoderFor(wireCase: Pick<WireCase, "kind" | "limits" | "answers">): Decoder {
  const decoder = new Decoder(wireCase.kind ?? "request", { ...REQUEST_LIMITS, ...wireCase.limits });
  decoder.expectResponseTo(wireCase.answers ?? "GET");
  return decoder;
}

/**
 * Feeds the pieces and writes down every event:
 *
 * - `GET /a HTTP/1.1 (Host: b) 5 bytes, close`: a head; the content's length or `chunked`, and whether the connection ends
 * - `"abc"`: content, its pieces joined; `end` or `end (Name: value)`; `closed`
 * - `400 at 12 by RFC 9112 §3`: an error
 */
export function eventsOf(decoder: Decoder, pieces: Iterable<Uint8Array>, closed = false): string[] {
  const log: string[] = [];
  let content: string | undefined;
  const note = (line: string) => {
    if (content !== undefined) log.push(JSON.stringify(content));
    content = undefined;
    log.push(line);
  };
  const take = () => {
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
      if (event.kind === "content") content = (content ?? "") + octetString(event.bytes);
      else if (event.kind !== "closed") note(describe(event));
      else if (log.at(-1) === "closed") return;
      else note("closed");
    }
  };
  try {
    for (const piece of pieces) {
      const lent = piece.slice();
      decoder.receive(lent);
      take();
      // Overwrites the lent bytes: the decoder must not read them again.
      lent.fill(0xee);
    }
    if (closed) {
      decoder.close();
      take();
    }
    if (content !== undefined) log.push(JSON.stringify(content));
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    note(`${error.status} at ${error.offset} by ${error.rule}`);
  }
  return log;
}

function describe(event: Exclude<HttpEvent, { kind: "content" | "closed" }>): string {
  switch (event.kind) {
    case "request":
      return `${event.method} ${event.target} HTTP/1.${event.minor} ${head(event)}`;
    case "response":
      return `HTTP/1.${event.minor} ${event.status} ${event.reason} ${head(event)}`;
    case "end":
      return event.trailers.size === 0 ? "end" : `end ${section(event.trailers)}`;
  }
}

function head(event: { fields: Fields; contentLength: number | undefined; persistent: boolean }): string {
  const length = event.contentLength === undefined ? "unknown length" : `${event.contentLength} bytes`;
  return `${section(event.fields)} ${length}${event.persistent ? "" : ", close"}`;
}

function section(fields: Fields): string {
  return `(${[...fields].map(([name, value]) => `${name}: ${value}`).join("; ")})`;
}
