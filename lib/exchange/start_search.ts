/**
 * Finds the first start line in octets whose beginning is missing.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import { MAX_SEARCHED_LINE_BYTES } from "../limits.ts";
import type { Direction } from "./messages.ts";
import { kindOfLine } from "./start_lines.ts";

/** Octets, and the packet that they came from. */
export interface Piece<P> {
  /** The octets. */
  readonly bytes: Uint8Array;
  /** The packet. */
  readonly packet: P;
}

/** A start line that was found. */
export interface Found<P> {
  /** Whether it starts a request or a response. */
  readonly direction: Direction;
  /** The octets from its first one on, the last of them valid during the call. */
  readonly pieces: readonly Piece<P>[];
}

/** The beginning of one of the two. */
const BEGINNING = /^[!-~]+(?: [\t -~\x80-\xff]*\r?)?$/;

/** Searches one direction of a connection, and holds at most the beginning of a line. */
export class StartLineSearch<P> {
  /** Octets before the start line. */
  skipped = 0;
  #held: Piece<P>[] = [];
  #line = "";

  /**
   * Searches octets.
   *
   * @param wanted The direction that the start line must have, if known.
   */
  receive(bytes: Uint8Array, packet: P, wanted: Direction | undefined): Found<P> | undefined {
    const text = octetString(bytes);
    // A message usually starts with a packet, but its start line may be cut in two.
    return this.#continued(text, bytes, packet, wanted) ?? this.#inside(text, bytes, packet, wanted);
  }

  /** Gives up what is held. Returns the number of octets skipped in all. */
  end(): number {
    this.skipped += this.#line.length;
    this.#held = [];
    this.#line = "";
    return this.skipped;
  }

  #continued(
    text: string,
    bytes: Uint8Array,
    packet: P,
    wanted: Direction | undefined,
  ): Found<P> | undefined {
    if (this.#line === "") return undefined;
    const direction = directionOf(this.#line + text.substring(0, text.indexOf("\n") + 1), wanted);
    if (direction !== undefined) return { direction, pieces: [...this.#held, { bytes, packet }] };
    return undefined;
  }

  #inside(text: string, bytes: Uint8Array, packet: P, wanted: Direction | undefined): Found<P> | undefined {
    let at = 0;
    for (let end = text.indexOf("\n") + 1; end > 0; end = text.indexOf("\n", at) + 1) {
      const direction = directionOf(text.substring(at, end), wanted);
      if (direction !== undefined) {
        this.end();
        this.skipped += at;
        return { direction, pieces: [{ bytes: bytes.subarray(at), packet }] };
      }
      at = end;
    }
    this.#hold(text, bytes, at, packet);
    return undefined;
  }

  /** Holds the line that has not ended, if it may be a start line. */
  #hold(text: string, bytes: Uint8Array, at: number, packet: P): void {
    const line = at === 0 ? this.#line + text : text.substring(at);
    if (at === 0 && this.#line !== "" && mayBegin(line)) {
      this.#held.push({ bytes: bytes.slice(), packet });
      this.#line = line;
      return;
    }
    this.end();
    const rest = text.substring(at);
    const isBeginning = mayBegin(rest);
    this.skipped += isBeginning ? at : text.length;
    if (!isBeginning) return;
    this.#held = [{ bytes: bytes.slice(at), packet }];
    this.#line = rest;
  }
}

function mayBegin(line: string): boolean {
  return line.length <= MAX_SEARCHED_LINE_BYTES && BEGINNING.test(line);
}

/** Returns what a line with its end starts, if that is wanted. */
function directionOf(line: string, wanted: Direction | undefined): Direction | undefined {
  const kind = kindOfLine(line);
  return wanted === undefined || wanted === kind ? kind : undefined;
}
