/**
 * Content for a terminal: text as received, long JSON indented, coded content decoded, and one line for binary content.
 *
 * @module
 */

import {
  MAX_DECODED_SHOWN_BYTES,
  MAX_HELD_CONTENT_BYTES,
  MAX_HELD_CONTENT_MS,
  SNIFFED_CONTENT_BYTES,
} from "../limits.ts";
import { ContentText, escapeText, type Painter } from "../terminal.ts";
import { indentJson } from "./json_view.ts";

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
}

/** Content codings (RFC 9110 §8.4.1, RFC 7932), and their names for DecompressionStream. */
const CODINGS: Record<string, string> = { gzip: "gzip", "x-gzip": "gzip", deflate: "deflate", br: "brotli" };
const TEXT_TYPE =
  /^text\/|[/+](?:json|xml|javascript|ecmascript|yaml|x-www-form-urlencoded|x-ndjson|toml|csv|graphql)$/;
const BINARY_TYPE = /^(?:image\/(?!svg)|audio\/|video\/|font\/|application\/(?:octet-stream|zip|gzip|pdf|wasm))/;

/** Shows the content of one message. */
export class ContentView {
  /** Whether the output so far ends with a line end; true at the beginning. */
  endsLine = true;
  readonly #options: ContentViewOptions;
  readonly #type: string;
  readonly #coding: string;
  readonly #text = new ContentText();
  /** Bytes that are held until their kind is known. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #holds = true;
  #isBinary: boolean | undefined;
  #since: number | undefined;
  #bytes = 0;

  /** Starts showing content. */
  constructor(options: ContentViewOptions) {
    this.#options = options;
    this.#type = options.type?.split(";", 1)[0].trim().toLowerCase() ?? "";
    const coding = options.coding?.trim().toLowerCase() ?? "identity";
    this.#coding = coding === "identity" ? "" : coding;
  }

  /** Shows another piece, or holds it. */
  async add(bytes: Uint8Array): Promise<void> {
    this.#bytes += bytes.length;
    if (this.#isBinary && this.#coding === "") return;
    if (!this.#holds) return await this.#show(bytes);
    this.#since ??= performance.now();
    this.#held.push(bytes.slice());
    this.#heldBytes += bytes.length;
    if (this.#coding !== "") {
      if (this.#heldBytes > MAX_DECODED_SHOWN_BYTES) this.#held = [];
      return;
    }
    if (this.#heldBytes < SNIFFED_CONTENT_BYTES && !this.#isLate()) return;
    this.#isBinary ??= isBinary(this.#joined(), this.#type);
    if (this.#isBinary) this.#held = [];
    else if (!this.#mayIndent() || this.#heldBytes > MAX_HELD_CONTENT_BYTES || this.#isLate()) await this.#release();
  }

  /** Shows what was held, and a note on the content if needed. */
  async end(): Promise<void> {
    if (this.#bytes === 0) return;
    if (this.#coding !== "") return await this.#showDecoded();
    if (this.#holds) {
      const bytes = this.#joined();
      this.#isBinary ??= isBinary(bytes, this.#type);
      if (this.#isBinary) return await this.#sayUnshown();
      this.#holds = false;
      if (await this.#showJson(bytes)) return;
      await this.#show(bytes);
    }
    await this.#endText();
  }

  #isLate(): boolean {
    return performance.now() - this.#since! > MAX_HELD_CONTENT_MS;
  }

  #mayIndent(): boolean {
    return this.#options.indent !== "never" && (/[/+]json$/.test(this.#type) || this.#type === "");
  }

  #joined(): Uint8Array {
    if (this.#held.length === 1) return this.#held[0];
    const bytes = new Uint8Array(this.#heldBytes);
    let at = 0;
    for (const piece of this.#held) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  async #release(): Promise<void> {
    const bytes = this.#joined();
    this.#held = [];
    this.#holds = false;
    await this.#show(bytes);
  }

  async #show(bytes: Uint8Array): Promise<void> {
    await this.#write(this.#text.add(bytes));
  }

  async #endText(): Promise<void> {
    await this.#write(this.#text.end());
    if (!this.endsLine) await this.#write("\n");
  }

  async #write(text: string): Promise<void> {
    if (text === "") return;
    await this.#options.write(text);
    this.endsLine = text.endsWith("\n");
  }

  async #say(line: string): Promise<void> {
    await this.#write(`${this.#options.painter("dim", line)}\n`);
  }

  /** Shows held content indented, if it is JSON to be indented. */
  async #showJson(bytes: Uint8Array): Promise<boolean> {
    const { indent, columns, painter } = this.#options;
    if (!this.#mayIndent() || bytes.length > MAX_HELD_CONTENT_BYTES) return false;
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    const fits = text.length <= columns && !text.trimEnd().includes("\n");
    if (indent === "long" && fits) return false;
    const shown = indentJson(text, painter);
    if (shown === undefined) return false;
    await this.#write(`${shown}\n`);
    await this.#say(`(shown indented; ${this.#bytes} octets on the wire)`);
    return true;
  }

  /** Shows coded content decoded, if the coding is known and the content is text. */
  async #showDecoded(): Promise<void> {
    const format = Object.hasOwn(CODINGS, this.#coding) ? CODINGS[this.#coding] : undefined;
    const decoded = format === undefined || this.#heldBytes > MAX_DECODED_SHOWN_BYTES
      ? undefined
      : await decode(this.#joined(), format);
    if (decoded === undefined || isBinary(decoded, this.#type)) return await this.#sayUnshown();
    const view = new ContentView({ ...this.#options, coding: undefined });
    // The note on the content follows below.
    await view.add(decoded.subarray(0, MAX_DECODED_SHOWN_BYTES));
    await view.end();
    this.endsLine = true;
    await this.#say(
      `(decoded for display; ${grouped(this.#bytes)} octets coded with ${escapeText(this.#coding)} on the wire)`,
    );
  }

  async #sayUnshown(): Promise<void> {
    const coded = this.#coding === "" ? "" : ` coded with ${escapeText(this.#coding)}`;
    const type = this.#type === "" ? "binary content" : escapeText(this.#type);
    await this.#say(`${grouped(this.#bytes)} octets of ${type}${coded}, not shown; save with > FILE`);
  }
}

/** Whether content is binary, by its type and its first octets. */
function isBinary(bytes: Uint8Array, type: string): boolean {
  const start = bytes.subarray(0, SNIFFED_CONTENT_BYTES);
  if (start.includes(0)) return true;
  if (BINARY_TYPE.test(type)) return true;
  if (TEXT_TYPE.test(type)) return false;
  try {
    // The last character may be incomplete.
    new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: true });
    return false;
  } catch {
    return true;
  }
}

/** Decodes content, up to the limit for display; `undefined` if it is invalid in its coding. */
async function decode(bytes: Uint8Array, format: string): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
    for await (const piece of source.pipeThrough(new DecompressionStream(format as CompressionFormat))) {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_DECODED_SHOWN_BYTES) break;
    }
  } catch {
    return undefined;
  }
  const decoded = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    decoded.set(piece, at);
    at += piece.length;
  }
  return decoded;
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
