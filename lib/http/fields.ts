/** Header and trailer sections: reads field lines from octets, and looks up fields by name. */

import { wireError } from "./error.ts";
import { octetString } from "../bytes.ts";
import {
  COLON,
  CR,
  type FieldLine,
  isBlank,
  isFieldContentOctet,
  isFramingField,
  isTokenOctet,
  LF,
  trimBlanks,
} from "./grammar.ts";
import { MORE, nameOctet, scanLineEnd } from "./scan.ts";
import type { MessageLimits } from "../limits.ts";

/**
 * A header or trailer section as received: its text and the positions of names and values. Strings are created only on
 * access. A field is looked up by its name in lower-case letters, digits and hyphens.
 */
export class Fields {
  /** A section with no lines. */
  static readonly EMPTY: Fields = new Fields("", [], 0);

  /** How many field lines the section has. */
  readonly size: number;

  /** Creates a section, as a {@linkcode FieldSection} has read it. */
  constructor(
    private readonly text: string,
    /** Four numbers per line: start and end of the name, start and end of the value. */
    private readonly spans: readonly number[],
    /** A bit mask of the lengths of names, modulo 32; a name of another length is absent. */
    private readonly nameLengths = -1,
    /** Whether a field's lines are folded (obs-fold): its value is then read as one line (RFC 9112 §5.2). */
    readonly folded = false,
  ) {
    this.size = spans.length / 4;
  }

  /** Returns the value of a field, its lines joined by `, ` in order (RFC 9110 §5.3); `undefined` if it is absent. */
  get(name: string): string | undefined {
    // Most fields that are looked up are absent, and most of their names have a length that no field's name has.
    if ((this.nameLengths & 1 << name.length) === 0) return undefined;
    let value: string | undefined;
    const spans = this.spans;
    for (let i = 0; i < spans.length; i += 4) {
      if (!this.#named(i, name)) continue;
      const line = this.#value(i);
      value = value === undefined ? line : `${value}, ${line}`;
    }
    return value;
  }

  /** Returns how many lines the field has. */
  count(name: string): number {
    let lines = 0;
    for (let i = 0; i < this.spans.length; i += 4) if (this.#named(i, name)) lines++;
    return lines;
  }

  /** Returns the offset of the value in the field's last line, from the section's start; -1 if the field is absent. */
  valueOffset(name: string): number {
    for (let i = this.spans.length - 4; i >= 0; i -= 4) if (this.#named(i, name)) return this.spans[i + 2];
    return -1;
  }

  /** Iterates over the lines: each one's name and value as received, in order. */
  *[Symbol.iterator](): Generator<FieldLine> {
    const text = this.text;
    const spans = this.spans;
    for (let i = 0; i < spans.length; i += 4) {
      yield [text.substring(spans[i], spans[i + 1]), this.#value(i)];
    }
  }

  /** The lines as text, each with its line end: values without blanks around them, and none folded. */
  get lines(): string {
    let text = "";
    for (const [name, value] of this) text += `${name}: ${value}\r\n`;
    return text;
  }

  /** Returns a line's value, each fold replaced by one space. */
  #value(span: number): string {
    const value = this.text.substring(this.spans[span + 2], this.spans[span + 3]);
    return this.folded ? value.split("\r\n").map(trimBlanks).filter((line) => line !== "").join(" ") : value;
  }

  /** Compares without case: field names are case-insensitive (RFC 9110 §5.1). */
  #named(span: number, name: string): boolean {
    const start = this.spans[span];
    if (this.spans[span + 1] - start !== name.length) return false;
    for (let i = 0; i < name.length; i++) {
      // Setting bit 5 lower-cases a letter and leaves `-` and digits unchanged.
      if ((this.text.charCodeAt(start + i) | 0x20) !== name.charCodeAt(i)) return false;
    }
    return true;
  }
}

/**
 * Reads `*( field-line CRLF ) CRLF` (RFC 9112 §2.1, §5). Only an incomplete line is read again, so a section that comes
 * octet by octet costs at most the square of its longest line.
 */
export class FieldSection {
  /** As in {@linkcode Fields}, counted from the section's start. */
  #spans: number[] = [];
  #nameLengths = 0;
  #folded = false;
  /** The start of the current line, counted from the section's start. */
  #line = 0;
  #isTrailer = false;

  constructor(
    private readonly limits: MessageLimits,
    /** Whether lines may be folded: user agents must read such responses, servers may refuse requests (RFC 9112 §5.2). */
    private readonly mayFold = false,
  ) {}

  /** Starts a new section: a header section begins with a start line of this length, a trailer section has none. */
  reset(startLine?: number): void {
    this.#spans = [];
    this.#nameLengths = 0;
    this.#folded = false;
    this.#line = startLine ?? 0;
    this.#isTrailer = startLine === undefined;
  }

  get isEmpty(): boolean {
    return this.#spans.length === 0;
  }

  fields(text: string): Fields {
    return new Fields(text, this.#spans, this.#nameLengths, this.#folded);
  }

  /** Reads all complete lines of the section that starts here. Returns its end, its empty line included. */
  scan(buffer: Uint8Array, start: number, end: number): number {
    const { maxFieldLines, maxHeadBytes, maxTrailerBytes } = this.limits;
    const maxBytes = this.#isTrailer ? maxTrailerBytes : maxHeadBytes;
    const stop = Math.min(end, start + maxBytes);
    for (;;) {
      let at = start + this.#line;
      if (at >= stop) break;
      const lineStart = at;
      while (at < stop && isTokenOctet(buffer[at])) at++;
      if (at >= stop) break;
      const nameEnd = at;
      if (nameEnd === lineStart) {
        if (buffer[at] === CR) {
          const sectionEnd = scanLineEnd(buffer, at, stop, "the section", "section-end");
          if (sectionEnd === MORE) break;
          return sectionEnd;
        }
        const isFold = this.mayFold && !this.isEmpty && isBlank(buffer[at]);
        if (!isFold) refuseLineStart(buffer[at], at, this.isEmpty);
      } else if (buffer[at] === COLON) at++;
      else {
        while (at < stop && isBlank(buffer[at])) at++;
        if (at >= stop) break;
        refuseName(buffer[nameEnd], nameEnd, buffer[at] === COLON);
      }
      while (at < stop && isBlank(buffer[at])) at++;
      const valueStart = at;
      while (at < stop && isFieldContentOctet(buffer[at])) at++;
      if (at >= stop) break;
      if (buffer[at] !== CR && buffer[at] !== LF) refuseValue(buffer[at], at);
      const lineEnd = scanLineEnd(buffer, at, stop, "a field line", "value-byte");
      if (lineEnd === MORE) break;
      if (nameEnd === lineStart) this.#fold(buffer, start, lineStart, at);
      else {
        let valueEnd = at;
        while (valueEnd > valueStart && isBlank(buffer[valueEnd - 1])) valueEnd--;
        if (this.#spans.length === 4 * maxFieldLines) {
          throw wireError("too-many-fields", lineStart, `The ${this.#name} has more than ${maxFieldLines} field lines`);
        }
        this.#spans.push(lineStart - start, nameEnd - start, valueStart - start, valueEnd - start);
        this.#nameLengths |= 1 << (nameEnd - lineStart);
      }
      this.#line = lineEnd - start;
    }
    if (stop < end || stop === start + maxBytes) {
      throw wireError("section-too-long", stop, `The ${this.#name} is longer than ${maxBytes} octets`);
    }
    return MORE;
  }

  get #name(): string {
    return this.#isTrailer ? "trailer section" : "header section";
  }

  /** Continues the last value, unless that has a second reading: as a framing field, or as the section's end. */
  #fold(buffer: Uint8Array, start: number, from: number, to: number): void {
    const [nameStart, nameEnd] = this.#spans.slice(-4);
    const line = trimBlanks(octetString(buffer, from, to));
    const name = octetString(buffer, start + nameStart, start + nameEnd);
    if (line === "" || isFramingField(name) || isFramingField(/^[\w-]*(?=[ \t]*:)/.exec(line)?.[0] ?? "")) {
      refuseLineStart(buffer[from], from, false);
    }
    this.#spans[this.#spans.length - 1] = to - start;
    this.#folded = true;
  }
}

function refuseLineStart(octet: number, offset: number, first: boolean): never {
  const name = nameOctet(octet);
  if (octet === LF) throw wireError("bare-lf", offset, "A line ends with a bare LF", "lines end with CR LF");
  if (!isBlank(octet)) throw wireError("field-name", offset, `Expected a field name or the empty line, saw ${name}`);
  if (first) {
    const seen = `Expected a field name or the empty line, saw ${name} at the line's start`;
    throw wireError("blank-first-line", offset, seen);
  }
  const allowed = "folded field lines (obs-fold) are not allowed";
  throw wireError("folded-line", offset, `A field line starts with ${name}`, allowed);
}

function refuseName(octet: number, offset: number, beforeColon: boolean): never {
  if (beforeColon) {
    const allowed = "the colon follows the name at once";
    throw wireError("blank-before-colon", offset, "A blank stands before the colon of a field", allowed);
  }
  const fault = isBlank(octet) ? "blank-in-name" : "no-colon";
  throw wireError(fault, offset, `Expected a colon after the field name, saw ${nameOctet(octet)}`);
}

function refuseValue(octet: number, offset: number): never {
  const seen = `A field value must not contain the control character ${nameOctet(octet)}`;
  throw wireError(octet === 0 ? "value-nul" : "value-byte", offset, seen);
}
