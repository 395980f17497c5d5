/**
 * What a peer sent, as text for a terminal.
 *
 * A terminal takes some characters for orders: they move the cursor, change the title, or turn text around so that
 * it reads as something else. None of those gets through from a peer; they are shown escaped instead.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { styleText } from "node:util";

/**
 * C0 but tab and line feed, DEL, C1; line and paragraph separators; and all characters that show nothing themselves but
 * change how others are shown or hide between them (Unicode's Cf and other default-ignorable ones), but for the joiners
 * and the variation selectors that letters and emoji need.
 */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- these are the ones to be escaped
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/**
 * Text that a terminal shows and does not obey: other control characters stand as `\x1b` or `\u202e`, CR LF as a line
 * end.
 */
export function escapeText(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(UNSAFE, (character) => {
    const code = character.codePointAt(0)!;
    if (code === 0x0d) return "\\r";
    if (code > 0xffff) return `\\u{${code.toString(16)}}`;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** JSON text that a terminal shows and does not obey. It means what it meant: in JSON, any character may be escaped. */
export function escapeJson(json: string): string {
  return json.replace(
    UNSAFE,
    (character) => character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
  );
}

/** A field line whose value is a credential: its name, an authentication scheme if there is one, and the secret. */
const CREDENTIAL_LINE = /^((?:proxy-)?authorization|cookie|set-cookie)([ \t]*:[ \t]*)([^\r\n]*)/gim;

/**
 * Text, or octets one character each, with credentials in field lines replaced by their length:
 * `Authorization: Bearer (31 octets)`.
 */
export function maskCredentials(text: string): string {
  return text.replace(CREDENTIAL_LINE, (_line, name: string, colon: string, value: string) => {
    const [, scheme = ""] = /^([\w!#$%&'*+.^`|~-]+[ \t]+)\S/.exec(/cookie$/i.test(name) ? "" : value) ?? [];
    return `${name}${colon}${scheme}(${value.length - scheme.length} octets)`;
  });
}

/** Octets, one character each, as the UTF-8 text that they most likely are. What is not UTF-8 becomes U+FFFD. */
export function octetsToText(octets: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Buffer.from(octets, "latin1"));
}

/** Content that comes in pieces, as safe text: a character or a line end may be cut in two between them. */
export class ContentText {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #heldBack = "";
  /** Whether what was given so far ends a line; so it does if there was nothing. */
  endsLine = true;

  /** The piece's text, as far as it is certain. */
  add(bytes: Uint8Array): string {
    return this.#show(this.#decoder.decode(bytes, { stream: true }), false);
  }

  /** What was held back. */
  end(): string {
    return this.#show(this.#decoder.decode(), true);
  }

  #show(decoded: string, last: boolean): string {
    let text = this.#heldBack + decoded;
    this.#heldBack = "";
    if (!last && text.endsWith("\r")) {
      this.#heldBack = "\r";
      text = text.slice(0, -1);
    }
    if (text !== "") this.endsLine = text.endsWith("\n");
    return escapeText(text);
  }
}

/** What text may look like. */
export type Style = "bold" | "dim" | "blue" | "green" | "cyan" | "yellow" | "red";

/** Colours text for a terminal, or leaves it as it is. */
export type Painter = (style: Style, text: string) => string;

/** A painter that colours, or one that does not. */
export function painterFor(colored: boolean): Painter {
  return colored ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;
}

const STATUS_STYLES: readonly Style[] = ["dim", "dim", "green", "cyan", "yellow", "red"];

/** A head as safe text, its start line in the colour of its meaning, its field names set apart. */
export function showHead(head: string, painter: Painter): string {
  const [startLine, ...fieldLines] = escapeText(octetsToText(head)).split("\n");
  const status = /^HTTP\/\d\.\d (\d)/.exec(startLine)?.[1];
  const style: Style = status === undefined ? "bold" : STATUS_STYLES[Number(status)] ?? "red";
  const shown = fieldLines.map((line) => {
    const colon = line.indexOf(":");
    return colon < 0 ? line : painter("blue", line.slice(0, colon)) + line.slice(colon);
  });
  return [painter(style, startLine), ...shown].join("\n");
}
