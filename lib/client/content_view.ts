/**
 * Content for a terminal: text as received, long JSON indented, coded content decoded, and one line for binary content.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ByteBuffer, octetsToText, octetString, withoutMark } from "../bytes.ts";
import { LF } from "../http_message.ts";
import {
  MAX_DECODED_SHOWN_BYTES,
  MAX_HELD_CONTENT_BYTES,
  MAX_HELD_CONTENT_MS,
  MAX_SNIFF_MS,
  SHOWN_PIECE_BYTES,
  SNIFFED_CONTENT_BYTES,
} from "../limits.ts";
import { ContentText, displayWidth, escapeJson, escapeOctet, escapeText, type Painter } from "../terminal.ts";
import { CharsetDecoder, charsetOf, hasPlainSigns, isUtf8Start } from "./charset.ts";
import { ContentDecoder } from "./content_coding.ts";
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
  /** What can be done about content that is not shown; by default that it can be saved. */
  readonly hint?: string;
  /** Tells the user, beside the output, that not all of the content was decoded. */
  readonly tell?: (line: string) => Promise<void>;
}

const JSON_TYPE = /[/+]json$/;
const TEXT_TYPE =
  /^text\/|[/+](?:json|xml|javascript|ecmascript|yaml|x-www-form-urlencoded|x-ndjson|toml|csv|graphql)$/;
const BINARY_TYPE = /^(?:image\/(?!svg)|audio\/|video\/|font\/|application\/(?:octet-stream|zip|gzip|pdf|wasm))/;

/** Shows the content of one message. */
export class ContentView {
  /** Whether the output so far ends with a line end; true at the beginning. */
  endsLine = true;
  readonly #options: ContentViewOptions;
  readonly #type: string;
  /** The content codings, as `gzip, br`; empty without any. */
  readonly #coding: string;
  /** Decodes the content; `undefined` if it is not coded, or shown as it is. */
  #decoder: ContentDecoder | undefined;
  /** Whether the octets are not of the coding, or that is not known. */
  #isMiscoded = false;
  /** Decodes the text; `undefined` if it is UTF-8, or shown as it is. */
  #charset: CharsetDecoder | undefined;
  /** Coded octets, held until the kind of the decoded ones is known. */
  #coded = new ByteBuffer(0);
  readonly #text = new ContentText();
  /** Decoded bytes that are held until their kind is known, and JSON for longer. */
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
    const names = options.coding?.toLowerCase().split(",").map((name) => name.trim()) ?? [];
    const codings = names.filter((name) => name !== "" && name !== "identity");
    this.#coding = codings.join(", ");
    if (codings.length === 0) return;
    this.#decoder = ContentDecoder.for(codings);
    this.#isMiscoded = this.#decoder === undefined;
  }

  /** Shows another piece, or holds it. */
  add(bytes: Uint8Array): Promise<void> {
    return this.#step(async () => {
      this.#bytes += bytes.length;
      for (const piece of pieces(bytes)) await this.#add(piece);
    });
  }

  /** Shows what was held, and a note on the content if needed. */
  end(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#step(() => this.#end()).finally(() => this.#decoder?.close());
  }

  /** Shows what was held of content that is not shown to its end. */
  cut(): Promise<void> {
    clearTimeout(this.#timer);
    return this.#step(async () => {
      await this.#release();
      if (!this.#isBinary) await this.#endText();
    }).finally(() => this.#decoder?.close());
  }

  #step(run: () => Promise<void>): Promise<void> {
    return this.#steps = this.#steps.then(run);
  }

  async #add(bytes: Uint8Array): Promise<void> {
    if (this.#decoder === undefined || this.#isBinary) return await this.#addDecoded(bytes);
    if (this.#isBinary === undefined) this.#coded.append(bytes);
    await this.#decode(bytes);
  }

  async #decode(bytes: Uint8Array | "end"): Promise<void> {
    const decoder = this.#decoder!;
    for await (const piece of decoder.decode(bytes)) {
      await this.#addDecoded(piece);
      if (this.#isBinary) return;
    }
    if (this.#isBinary !== undefined) return;
    if (decoder.state === "invalid" && (this.#held.length === 0 || !isBinary(this.#coded.view(), ""))) {
      // What was never coded is shown as it came, if it is text.
      decoder.close();
      this.#decoder = undefined;
      this.#isMiscoded = true;
      this.#held = new ByteBuffer(0);
      await this.#addDecoded(this.#coded.view());
    } else if (this.#held.length === 0 && this.#coded.length > MAX_HELD_CONTENT_BYTES) await this.#releaseBinary();
  }

  async #addDecoded(bytes: Uint8Array): Promise<void> {
    if (this.#isBinary) return await this.#pass(bytes);
    if (!this.#holds) return await this.#show(bytes);
    this.#held.append(bytes);
    this.#timer ??= setTimeout(
      // An error of writing is thrown by the next step.
      () => void this.#step(() => this.#release()).catch(() => {}),
      this.#mayIndent() ? MAX_HELD_CONTENT_MS : MAX_SNIFF_MS,
    );
    if (this.#held.length < SNIFFED_CONTENT_BYTES) return;
    this.#classify();
    if (this.#isBinary || !this.#mayIndent() || this.#held.length > MAX_HELD_CONTENT_BYTES) await this.#release();
  }

  async #end(): Promise<void> {
    if (this.#bytes === 0) return;
    if (this.#decoder !== undefined && !this.#isBinary) await this.#decode("end");
    this.#classify();
    const indented = this.#holds && !this.#isBinary ? this.#indented(this.#held.view()) : undefined;
    if (indented !== undefined) {
      for (const piece of indented) await this.#writeOctets(piece);
      await this.#write("\n");
    } else {
      await this.#release();
      if (this.#isBinary) return await this.#sayUnshown();
      await this.#endText();
    }
    await this.#sayHow(indented !== undefined);
  }

  #mayIndent(): boolean {
    return this.#options.indent !== "never" && (JSON_TYPE.test(this.#type) || this.#type === "");
  }

  /** Decides by what is held whether content is binary, and which charset text is in. */
  #classify(): void {
    if (!this.#holds) return;
    const start = this.#held.view();
    const { type = "", writeExactly } = this.#options;
    const isText = /charset=/i.test(type) || TEXT_TYPE.test(this.#type);
    const charset = isText && !BINARY_TYPE.test(this.#type) ? charsetOf(type, start) : undefined;
    // Octets under a wrong coding are text only if they look like it.
    this.#isBinary ??= charset === undefined && isBinary(start, this.#isMiscoded ? "" : this.#type);
    // JSON that is UTF-8 is UTF-8, whatever its type says (RFC 8259 §11).
    const isUtf8 = JSON_TYPE.test(this.#type) && isUtf8Start(start) && !start.includes(0);
    const label = this.#isBinary || isUtf8 || writeExactly !== undefined ? undefined : charset;
    this.#charset = label === undefined ? undefined : new CharsetDecoder(label);
  }

  /** Shows what is held; what follows is shown as it comes. */
  async #release(): Promise<void> {
    if (!this.#holds) return;
    this.#classify();
    if (this.#isBinary) return await this.#releaseBinary();
    const held = this.#held.view();
    this.#held = new ByteBuffer(0);
    this.#holds = false;
    await this.#show(held);
  }

  /** Passes what is held, still coded; what follows is passed as it comes. */
  async #releaseBinary(): Promise<void> {
    this.#isBinary = true;
    if (!this.#holds) return;
    const held = this.#decoder === undefined ? this.#held : this.#coded;
    this.#holds = false;
    await this.#pass(held.view());
  }

  async #pass(bytes: Uint8Array): Promise<void> {
    const { writeExactly } = this.#options;
    if (writeExactly === undefined) return;
    await writeExactly(bytes);
    this.endsLine = bytes.at(-1) === LF;
  }

  async #show(bytes: Uint8Array): Promise<void> {
    if (this.#options.writeExactly !== undefined) return await this.#pass(bytes);
    for (const piece of pieces(bytes)) {
      await this.#write(this.#text.add(this.#charset?.decode(piece, false) ?? piece));
    }
  }

  async #endText(): Promise<void> {
    if (this.#options.writeExactly !== undefined) return;
    if (this.#charset !== undefined) await this.#write(this.#text.add(this.#charset.decode(new Uint8Array(0), true)));
    await this.#write(this.#text.end());
    if (!this.endsLine) await this.#write("\n");
  }

  async #write(text: string): Promise<void> {
    if (text === "") return;
    await this.#options.write(text);
    this.endsLine = text.endsWith("\n");
  }

  /** Writes octets, one character each, exactly into a file; for a terminal they are text already. */
  async #writeOctets(octets: string): Promise<void> {
    const { writeExactly } = this.#options;
    if (writeExactly === undefined) await this.#write(octets);
    else await writeExactly(Buffer.from(octets, "latin1"));
  }

  /** Writes a line on the content, on a terminal. */
  async #say(line: string): Promise<void> {
    if (this.#options.writeExactly === undefined) await this.#write(`${this.#options.painter("dim", line)}\n`);
  }

  /** Returns content indented; `undefined` if it is shown as received. */
  #indented(bytes: Uint8Array): Iterable<string> | undefined {
    const { indent, columns, painter, writeExactly, type = "" } = this.#options;
    if (!this.#mayIndent() || bytes.length > MAX_HELD_CONTENT_BYTES) return undefined;
    const charset = writeExactly === undefined || isUtf8Start(bytes) ? undefined : charsetOf(type, bytes);
    if (charset !== undefined && !hasPlainSigns(bytes, charset)) return undefined;
    const json = withoutMark(this.#charset?.decode(bytes, true) ?? bytes);
    const octets = octetString(json);
    const fits = displayWidth(octetsToText(octets)) <= columns && !octets.trimEnd().includes("\n");
    if (indent === "long" && fits) return undefined;
    if (writeExactly === undefined) {
      return indentJson(octets, painter, (token) => escapeJson(octetsToText(token, escapeOctet)));
    }
    const indented = indentJson(octets, painter, (token) => token);
    return indented && [octetString(bytes, 0, bytes.length - json.length), ...indented];
  }

  /** Says how shown text differs from the octets on the wire. */
  async #sayHow(isIndented: boolean): Promise<void> {
    const octets = `${grouped(this.#bytes)} octets`;
    const coding = escapeText(this.#coding);
    const state = this.#decoder?.state ?? (this.#charset?.isValid === false ? "invalid" : "going");
    const far = {
      going: "",
      cut: ` up to ${grouped(MAX_DECODED_SHOWN_BYTES)} octets`,
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
    const wire = coded !== "" || isIndented ? `; ${octets}${coded} on the wire` : "";
    const line = `(${how}${wire})`;
    if (state !== "going" && this.#options.writeExactly !== undefined) await this.#options.tell?.(line);
    else await this.#say(line);
  }

  async #sayUnshown(): Promise<void> {
    const coded = this.#coding === "" ? "" : ` coded with ${escapeText(this.#coding)}`;
    const type = this.#type === "" ? "binary content" : escapeText(this.#type);
    const { hint = "; save with > FILE" } = this.#options;
    const isInvalid = this.#isMiscoded && ContentDecoder.for(this.#coding.split(", ")) !== undefined;
    const invalid = isInvalid ? `: they are not valid ${escapeText(this.#coding)}` : "";
    await this.#say(`${grouped(this.#bytes)} octets of ${type}${coded}, not shown${invalid}${hint}`);
  }
}

/** Cuts bytes into pieces that are small enough to be escaped at once. */
function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += SHOWN_PIECE_BYTES) {
    yield bytes.subarray(start, start + SHOWN_PIECE_BYTES);
  }
}

/** Whether content is binary, by its type and its first octets. */
function isBinary(bytes: Uint8Array, type: string): boolean {
  const start = bytes.subarray(0, SNIFFED_CONTENT_BYTES);
  if (start.includes(0)) return true;
  if (BINARY_TYPE.test(type)) return true;
  if (TEXT_TYPE.test(type)) return false;
  return !isUtf8Start(start);
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
