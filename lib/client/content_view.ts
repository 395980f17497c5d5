/**
 * Content for a terminal: text as received, long JSON indented, coded content decoded, and one line for binary content.
 *
 * @module
 */

import { ByteBuffer } from "../bytes.ts";
import { LF } from "../http_message.ts";
import {
  MAX_DECODED_SHOWN_BYTES,
  MAX_HELD_CONTENT_BYTES,
  MAX_HELD_CONTENT_MS,
  MAX_SNIFF_MS,
  SNIFFED_CONTENT_BYTES,
} from "../limits.ts";
import { ContentText, displayWidth, escapeText, type Painter } from "../terminal.ts";
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
  /**
   * Writes content that is neither indented nor decoded: octet by octet, as into a file. Without it, as on a terminal,
   * text is escaped, one line stands for binary content, and notes say what differs from the octets on the wire.
   */
  readonly writeExactly?: (bytes: Uint8Array) => Promise<void>;
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
  #held = new ByteBuffer(0);
  #holds = true;
  /** Ends the holding of a stream that pauses. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The steps so far: the timer's must not run within another one. */
  #steps = Promise.resolve();
  #isBinary: boolean | undefined;
  #bytes = 0;

  /** Starts showing content. */
  constructor(options: ContentViewOptions) {
    this.#options = options;
    this.#type = options.type?.split(";", 1)[0].trim().toLowerCase() ?? "";
    const coding = options.coding?.trim().toLowerCase() ?? "identity";
    this.#coding = coding === "identity" ? "" : coding;
  }

  /** Shows another piece, or holds it. */
  add(bytes: Uint8Array): Promise<void> {
    return this.#step(() => this.#add(bytes));
  }

  /** Shows what was held, and a note on the content if needed. */
  end(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#step(() => this.#end());
  }

  #step(run: () => Promise<void>): Promise<void> {
    return this.#steps = this.#steps.then(run);
  }

  async #add(bytes: Uint8Array): Promise<void> {
    this.#bytes += bytes.length;
    if (!this.#holds) return this.#isBinary ? await this.#pass(bytes) : await this.#show(bytes);
    this.#held.append(bytes);
    if (this.#coding !== "") {
      if (this.#held.length > MAX_DECODED_SHOWN_BYTES) await this.#releaseBinary();
      return;
    }
    this.#timer ??= setTimeout(
      // An error of writing is thrown by the next step.
      () => void this.#step(() => this.#release()).catch(() => {}),
      this.#mayIndent() ? MAX_HELD_CONTENT_MS : MAX_SNIFF_MS,
    );
    if (this.#held.length < SNIFFED_CONTENT_BYTES) return;
    this.#isBinary ??= isBinary(this.#held.view(), this.#type);
    if (this.#isBinary || !this.#mayIndent() || this.#held.length > MAX_HELD_CONTENT_BYTES) await this.#release();
  }

  async #end(): Promise<void> {
    if (this.#bytes === 0) return;
    if (this.#holds && this.#coding !== "") return await this.#showDecoded();
    if (this.#holds && !this.#isBinary && await this.#showJson(this.#held.view())) return;
    await this.#release();
    if (this.#isBinary) await this.#sayUnshown();
    else await this.#endText();
  }

  #mayIndent(): boolean {
    return this.#options.indent !== "never" && (/[/+]json$/.test(this.#type) || this.#type === "");
  }

  /** Takes what is held; what follows is not held. */
  #takeHeld(): Uint8Array {
    const held = this.#held.view();
    this.#held = new ByteBuffer(0);
    this.#holds = false;
    return held;
  }

  /** Shows what is held; what follows is shown as it comes. */
  async #release(): Promise<void> {
    if (!this.#holds) return;
    this.#isBinary ??= isBinary(this.#held.view(), this.#type);
    if (this.#isBinary) await this.#releaseBinary();
    else await this.#show(this.#takeHeld());
  }

  async #releaseBinary(): Promise<void> {
    this.#isBinary = true;
    await this.#pass(this.#takeHeld());
  }

  async #pass(bytes: Uint8Array): Promise<void> {
    const { writeExactly } = this.#options;
    if (writeExactly === undefined) return;
    await writeExactly(bytes);
    this.endsLine = bytes.at(-1) === LF;
  }

  async #show(bytes: Uint8Array): Promise<void> {
    if (this.#options.writeExactly !== undefined) return await this.#pass(bytes);
    await this.#write(this.#text.add(bytes));
  }

  async #endText(): Promise<void> {
    if (this.#options.writeExactly !== undefined) return;
    await this.#write(this.#text.end());
    if (!this.endsLine) await this.#write("\n");
  }

  async #write(text: string): Promise<void> {
    if (text === "") return;
    await this.#options.write(text);
    this.endsLine = text.endsWith("\n");
  }

  /** Writes a line on the content, on a terminal. */
  async #say(line: string): Promise<void> {
    if (this.#options.writeExactly === undefined) await this.#write(`${this.#options.painter("dim", line)}\n`);
  }

  /** Shows content indented, if it is JSON to be indented. */
  async #showJson(bytes: Uint8Array): Promise<boolean> {
    const shown = this.#indented(bytes);
    if (shown === undefined) return false;
    await this.#write(`${shown}\n`);
    await this.#say(`(shown indented; ${this.#bytes} octets on the wire)`);
    return true;
  }

  /** Returns JSON indented; `undefined` if the content is shown as received. */
  #indented(bytes: Uint8Array): string | undefined {
    const { indent, columns, painter } = this.#options;
    if (!this.#mayIndent() || bytes.length > MAX_HELD_CONTENT_BYTES) return undefined;
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    const fits = displayWidth(text) <= columns && !text.trimEnd().includes("\n");
    return indent === "long" && fits ? undefined : indentJson(text, painter);
  }

  /** Shows coded content decoded, if the coding is known and the content is text. */
  async #showDecoded(): Promise<void> {
    const format = Object.hasOwn(CODINGS, this.#coding) ? CODINGS[this.#coding] : undefined;
    const decoded = format === undefined ? undefined : await decode(this.#held.view(), format);
    if (decoded === undefined || isBinary(decoded, this.#type)) {
      await this.#releaseBinary();
      return await this.#sayUnshown(format !== undefined && decoded === undefined);
    }
    const shown = this.#indented(decoded);
    if (shown !== undefined) await this.#write(`${shown}\n`);
    else {
      await this.#show(decoded.subarray(0, MAX_DECODED_SHOWN_BYTES));
      await this.#endText();
    }
    const cut = decoded.length > MAX_DECODED_SHOWN_BYTES ? ` up to ${grouped(MAX_DECODED_SHOWN_BYTES)} octets` : "";
    await this.#say(
      `(decoded for display${cut}${shown === undefined ? "" : ", shown indented"}; ` +
        `${grouped(this.#bytes)} octets coded with ${escapeText(this.#coding)} on the wire)`,
    );
  }

  async #sayUnshown(isInvalid = false): Promise<void> {
    const coded = this.#coding === "" ? "" : ` coded with ${escapeText(this.#coding)}`;
    const type = this.#type === "" ? "binary content" : escapeText(this.#type);
    const invalid = isInvalid ? `: they are not valid ${escapeText(this.#coding)}` : "";
    await this.#say(`${grouped(this.#bytes)} octets of ${type}${coded}, not shown${invalid}; save with > FILE`);
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
  const decoded = new ByteBuffer(0);
  try {
    const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream();
    for await (const piece of source.pipeThrough(new DecompressionStream(format as CompressionFormat))) {
      decoded.append(piece);
      if (decoded.length > MAX_DECODED_SHOWN_BYTES) break;
    }
  } catch {
    return undefined;
  }
  return decoded.view();
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
