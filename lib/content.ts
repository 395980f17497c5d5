/**
 * Content for a terminal: text as received, long JSON indented, coded content decoded, and one line for binary content.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ByteBuffer, NO_BYTES, octetsToText, octetString, withoutMark } from "./bytes.ts";
import { CharsetDecoder, charsetOf, ContentDecoder, isUtf8Start } from "./content/decoding.ts";
import { indentJson } from "./content/json_view.ts";
import { MAX_DECODED_SHOWN_BYTES, MAX_HELD_CONTENT_OCTETS } from "./limits.ts";
import { ContentText, displayWidth, escapeJson, escapeOctet, escapeText, type Painter } from "./terminal.ts";

export type { Painter, Style } from "./terminal.ts";

/** Options for showing content. */
export interface ContentViewOptions {
  /** The media type (Content-Type), if any. */
  readonly type: string | undefined;
  /** The content coding (Content-Encoding), if any. */
  readonly coding: string | undefined;
  /** Whether JSON is indented: always, never, or if it does not fit one line. */
  readonly indent: "always" | "never" | "long";
  /** The width of the terminal in characters. */
  readonly columns: number;
  /** Colours JSON. */
  readonly painter: Painter;
  /** Writes text. */
  readonly write: (text: string) => Promise<void>;
  /**
   * Writes content that is neither indented nor decoded: octet by octet, as into a file. Without it, as on a terminal,
   * text is escaped, one line stands for binary content, and notes say what differs from the octets on the wire.
   */
  readonly writeExactly?: (octets: Uint8Array) => Promise<void>;
  /** What can be done about content that is not shown; by default that it can be saved. */
  readonly hint?: string;
  /** Notes, beside the output, that not all of the content was decoded. */
  readonly note?: (line: string) => Promise<void>;
}

const JSON_TYPE = /[/+]json$/;
const TEXT_TYPE =
  /^text\/|[/+](?:json|xml|javascript|ecmascript|yaml|x-www-form-urlencoded|x-ndjson|toml|csv|graphql)$/;
const BINARY_TYPE = /^(?:image\/(?!svg)|audio\/|video\/|font\/|application\/(?:octet-stream|zip|gzip|pdf|wasm))/;
/** Octets of content that decide whether it is text. */
const SNIFFED_OCTETS = 1024;
/** How long content is held until it has so many, in milliseconds; and how long JSON, to indent it. */
const SNIFFED_MS = 50;
const JSON_HELD_MS = 1000;
/** Octets that are escaped and written at once: escaped, they take several times the memory. */
const PIECE_OCTETS = 16 * 1024;
const LF = 0x0a;

/** Shows the content of one message. */
export class ContentView {
  /** Whether the output so far ends with a line end; true at the beginning. */
  endsLine = true;
  readonly #type: string;
  /** The names of the content codings, in the order in which they were applied. */
  readonly #codings: readonly string[];
  /** Undoes the codings; `undefined` if there are none, or content is shown as it is. */
  #decoder: ContentDecoder | undefined;
  /** Decodes the text; `undefined` if it is UTF-8, or shown as it is. */
  #charset: CharsetDecoder | undefined;
  /** Coded octets, held until the kind of the decoded ones is known. */
  #coded = new ByteBuffer(0);
  readonly #text = new ContentText();
  /** Decoded octets that are held until their kind is known, and JSON for longer. */
  #held = new ByteBuffer(0);
  #holds = true;
  /** Ends the holding of a stream that pauses. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The steps so far: the timer's must not run within another one. */
  #steps = Promise.resolve();
  #isBinary: boolean | undefined;
  #octets = 0;

  /** Starts showing content. */
  constructor(private readonly options: ContentViewOptions) {
    this.#type = options.type?.split(";", 1)[0].trim().toLowerCase() ?? "";
    const names = options.coding?.toLowerCase().split(",").map((name) => name.trim()) ?? [];
    this.#codings = names.filter((name) => name !== "" && name !== "identity");
    if (this.#codings.length > 0) this.#decoder = ContentDecoder.for(this.#codings);
  }

  /** Shows another piece, or holds it. */
  add(octets: Uint8Array): Promise<void> {
    return this.#step(async () => {
      this.#octets += octets.length;
      for (const piece of pieces(octets)) {
        if (this.#decoder === undefined || this.#isBinary) await this.#addDecoded(piece);
        else await this.#decode(piece);
      }
    });
  }

  /** Shows what was held, and a note on the content if needed; without one if more content came, but is not shown. */
  end(isCut = false): Promise<void> {
    clearTimeout(this.#timer);
    return this.#step(() => isCut ? this.#cut() : this.#end()).finally(() => this.#decoder?.close());
  }

  #step(run: () => Promise<void>): Promise<void> {
    return this.#steps = this.#steps.then(run);
  }

  async #decode(octets: Uint8Array | "end"): Promise<void> {
    const decoder = this.#decoder!;
    if (octets !== "end" && this.#isBinary === undefined) this.#coded.append(octets);
    for await (const piece of decoder.decode(octets)) {
      await this.#addDecoded(piece);
      if (this.#isBinary) return;
    }
    if (this.#isBinary !== undefined) return;
    if (decoder.state === "invalid" && (this.#held.length === 0 || !isBinary(this.#coded.view(), ""))) {
      // Content that was never coded is shown as it came, if it is text.
      decoder.close();
      this.#decoder = undefined;
      this.#held = new ByteBuffer(0);
      await this.#addDecoded(this.#coded.view());
    } else if (this.#held.length === 0 && this.#coded.length > MAX_HELD_CONTENT_OCTETS) {
      this.#isBinary = true;
      await this.#release();
    }
  }

  async #addDecoded(octets: Uint8Array): Promise<void> {
    if (this.#isBinary) return await this.#pass(octets);
    if (!this.#holds) return await this.#show(octets);
    this.#held.append(octets);
    this.#timer ??= setTimeout(
      // An error of writing is thrown by the next step.
      () => void this.#step(() => this.#release()).catch(() => {}),
      this.#mayIndent ? JSON_HELD_MS : SNIFFED_MS,
    );
    if (this.#held.length < SNIFFED_OCTETS) return;
    this.#classify();
    if (this.#isBinary || !this.#mayIndent || this.#held.length > MAX_HELD_CONTENT_OCTETS) await this.#release();
  }

  async #end(): Promise<void> {
    if (this.#octets === 0) return;
    if (this.#decoder !== undefined && !this.#isBinary) await this.#decode("end");
    this.#classify();
    const indented = this.#holds && !this.#isBinary ? this.#indented(this.#held.view()) : undefined;
    if (indented !== undefined) {
      const isText = this.options.writeExactly === undefined;
      for (const piece of indented) await (isText ? this.#write(piece) : this.#pass(Buffer.from(piece, "latin1")));
      await this.#write("\n");
    } else await this.#cut();
    await (this.#isBinary ? this.#sayUnshown() : this.#sayHow(indented !== undefined));
  }

  /** Shows the rest of what is not indented. */
  async #cut(): Promise<void> {
    await this.#release();
    if (this.#isBinary || this.options.writeExactly !== undefined) return;
    if (this.#charset !== undefined) await this.#write(this.#text.add(this.#charset.decode(NO_BYTES, true)));
    await this.#write(this.#text.end());
    if (!this.endsLine) await this.#write("\n");
  }

  /** Whether the octets are not in the coding, or the coding is not known. */
  get #isMiscoded(): boolean {
    return this.#codings.length > 0 && this.#decoder === undefined;
  }

  get #mayIndent(): boolean {
    return this.options.indent !== "never" && (JSON_TYPE.test(this.#type) || this.#type === "");
  }

  /** Decides by what is held whether content is binary, and which charset text is in. */
  #classify(): void {
    if (!this.#holds) return;
    const start = this.#held.view();
    const { type = "", writeExactly } = this.options;
    const isText = (/charset=/i.test(type) || TEXT_TYPE.test(this.#type)) && !BINARY_TYPE.test(this.#type);
    const charset = isText ? charsetOf(type, start) : undefined;
    // Octets under a wrong coding are text only if they look like it.
    this.#isBinary ??= charset === undefined && isBinary(start, this.#isMiscoded ? "" : this.#type);
    // JSON that is UTF-8 is UTF-8, whatever its type says (RFC 8259 §11).
    const isUtf8 = JSON_TYPE.test(this.#type) && isUtf8Start(start) && !start.includes(0);
    const isExact = this.#isBinary || isUtf8 || writeExactly !== undefined;
    this.#charset = isExact || charset === undefined ? undefined : new CharsetDecoder(charset);
  }

  /** Shows what is held, or passes it as it came; so is what follows. */
  async #release(): Promise<void> {
    if (!this.#holds) return;
    this.#classify();
    const held = this.#isBinary && this.#decoder !== undefined ? this.#coded : this.#held;
    this.#held = new ByteBuffer(0);
    this.#holds = false;
    await (this.#isBinary ? this.#pass(held.view()) : this.#show(held.view()));
  }

  async #pass(octets: Uint8Array): Promise<void> {
    const { writeExactly } = this.options;
    if (writeExactly === undefined) return;
    await writeExactly(octets);
    this.endsLine = octets.at(-1) === LF;
  }

  async #show(octets: Uint8Array): Promise<void> {
    if (this.options.writeExactly !== undefined) return await this.#pass(octets);
    for (const piece of pieces(octets)) {
      await this.#write(this.#text.add(this.#charset?.decode(piece, false) ?? piece));
    }
  }

  async #write(text: string): Promise<void> {
    if (text === "") return;
    await this.options.write(text);
    this.endsLine = text.endsWith("\n");
  }

  async #say(line: string): Promise<void> {
    if (this.options.writeExactly === undefined) await this.#write(`${this.options.painter("dim", line)}\n`);
  }

  /** Returns content indented, one character for each octet if it is exact; `undefined` if it is shown as received. */
  #indented(held: Uint8Array): Iterable<string> | undefined {
    const { indent, columns, painter, writeExactly } = this.options;
    if (!this.#mayIndent || held.length > MAX_HELD_CONTENT_OCTETS) return undefined;
    const json = withoutMark(this.#charset?.decode(held, true) ?? held);
    const octets = octetString(json);
    const fits = displayWidth(octetsToText(octets)) <= columns && !octets.trimEnd().includes("\n");
    if (indent === "long" && fits) return undefined;
    if (writeExactly === undefined) {
      return indentJson(octets, painter, (token) => escapeJson(octetsToText(token, escapeOctet)));
    }
    const indented = indentJson(octets, painter, (token) => token);
    return indented && [octetString(held, 0, held.length - json.length), ...indented];
  }

  /** Says how shown text differs from the octets on the wire. */
  async #sayHow(isIndented: boolean): Promise<void> {
    const coding = escapeText(this.#codings.join(", "));
    const state = this.#decoder?.state ?? (this.#charset?.isValid === false ? "invalid" : "going");
    const far = {
      going: "",
      cut: ` up to ${octetCount(MAX_DECODED_SHOWN_BYTES)}`,
      invalid: ` as far as it is valid${this.#decoder === undefined ? "" : ` ${coding}`}`,
    }[state];
    const charset = this.#charset === undefined ? "" : `: charset ${escapeText(this.#charset.label)}`;
    const isDecoded = this.#decoder !== undefined || charset !== "";
    const how = [
      ...this.#isMiscoded ? [`shown as it came: not ${coding}`] : [],
      ...isDecoded ? [`decoded for display${far}${charset}`] : [],
      ...isIndented ? ["shown indented"] : [],
    ].join(", ");
    if (how === "") return;
    const coded = this.#decoder === undefined ? "" : ` coded with ${coding}`;
    const wire = coded !== "" || isIndented ? `; ${octetCount(this.#octets)}${coded} on the wire` : "";
    const line = `(${how}${wire})`;
    if (state !== "going" && this.options.writeExactly !== undefined) await this.options.note?.(line);
    else await this.#say(line);
  }

  async #sayUnshown(): Promise<void> {
    const coding = escapeText(this.#codings.join(", "));
    const type = this.#type === "" ? "binary content" : escapeText(this.#type);
    const coded = coding === "" ? "" : ` coded with ${coding}`;
    const isInvalid = this.#isMiscoded && ContentDecoder.for(this.#codings) !== undefined;
    const invalid = isInvalid ? `: they are not valid ${coding}` : "";
    const { hint = "; save with > FILE" } = this.options;
    await this.#say(`${octetCount(this.#octets)} of ${type}${coded}, not shown${invalid}${hint}`);
  }
}

function* pieces(octets: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < octets.length; start += PIECE_OCTETS) yield octets.subarray(start, start + PIECE_OCTETS);
}

function isBinary(octets: Uint8Array, type: string): boolean {
  const start = octets.subarray(0, SNIFFED_OCTETS);
  if (start.includes(0) || BINARY_TYPE.test(type)) return true;
  return !TEXT_TYPE.test(type) && !isUtf8Start(start);
}

function octetCount(count: number): string {
  return `${count.toLocaleString("en-US")} octet${count === 1 ? "" : "s"}`;
}
