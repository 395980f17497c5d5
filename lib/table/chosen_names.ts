/**
 * Names that the server chooses for rows that are sent without one: r1, r2 and so on (RFC 9110 §9.3.3).
 *
 * @module
 */

import { HttpError } from "../http_message.ts";
import { type Page, START, type Store } from "../store.ts";
import type { Pacer } from "./pacer.ts";
import { StoredRows } from "./stored_rows.ts";

const ENCODER = new TextEncoder();
const LOWER_R = 0x72;
const QUOTE = 0x22;
/** The digits of 2^53 - 1, the largest number that is counted with. */
const MAX_DIGITS = 16;

/** The numbers of names of this form that have existed since the server's start. */
export class ChosenNames {
  readonly #store: Store;
  #last = 0;
  #found: Promise<void> | undefined;

  /** Chooses names that a store does not have. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Takes note of a name that was written or removed: no later name has its number, or a lower one. */
  note(name: string): void {
    if (name.charCodeAt(0) !== LOWER_R || name.length > MAX_DIGITS + 1 || !/^r(?:0|[1-9]\d*)$/.test(name)) return;
    const number = Number(name.slice(1));
    if (number > this.#last && Number.isSafeInteger(number)) this.#last = number;
  }

  /**
   * Returns the next name. The first time, all names in the store are looked at.
   *
   * @throws {HttpError} 507 if there is no further number.
   */
  async next(pacer: Pacer): Promise<string> {
    await (this.#found ??= this.#find(pacer).catch((error) => {
      this.#found = undefined;
      throw error;
    }));
    if (this.#last === Number.MAX_SAFE_INTEGER) {
      throw new HttpError(507, `The server cannot choose a name above r${this.#last}: send the row under a name`);
    }
    return `r${++this.#last}`;
  }

  async #find(pacer: Pacer): Promise<void> {
    if (this.#store.largestNumber !== undefined) return this.note(`r${await this.#store.largestNumber()}`);
    const snapshot = await this.#store.snapshot();
    try {
      for (let cursor: number | undefined = START; cursor !== undefined;) {
        const { content, next }: Page<string | Uint8Array> = await snapshot.json(cursor);
        const rows = new StoredRows(typeof content === "string" ? ENCODER.encode(content) : content);
        while (rows.next()) this.#noteAt(rows);
        await pacer.after(content.length);
        cursor = next;
      }
    } finally {
      snapshot.close();
    }
  }

  /** Takes note of the current row's name, of which most are of another form. */
  #noteAt({ bytes, start }: StoredRows): void {
    if (bytes[start + 1] !== LOWER_R) return;
    const end = bytes.indexOf(QUOTE, start + 2);
    if (end - start <= MAX_DIGITS + 2) this.note(String.fromCharCode(...bytes.subarray(start + 1, end)));
  }
}
