/**
 * The rows of a backup, of any size: JSON objects with rows as members, such as a listing of the table, or one of each
 * row.
 *
 * The file is cut between rows, which are read as the lines of a POST are.
 */

import { isUtf8 } from "node:buffer";
import { ByteBuffer, counted, readPieces, type Source, withoutMark } from "../bytes.ts";
import { HttpError } from "../http_message.ts";
import { isBlank } from "../json.ts";
import { type NewRow, type Store, StoreError } from "../store.ts";
import { Pacer } from "../turns.ts";
import { readEach } from "./bulk_rows.ts";
import type { RowLimits } from "./row_schema.ts";

/** Octets of a file read at a time. */
const PIECE_BYTES = 64 * 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [OPEN_BRACKET, CLOSE_BRACKET] = [0x5b, 0x5d];
const [OPEN_BRACE, CLOSE_BRACE] = [0x7b, 0x7d];

/** A file that has not the rows of a table. The message names the row. */
export class RowsFileError extends Error {}

/** A file that is read in pieces, and again from its start. */
export interface RowsFile extends Source {
  /** Goes back to the start; `undefined` for pipes and the like. */
  readonly rewind?: () => Promise<unknown>;
}

/**
 * Inserts the rows of a file into an empty store, once the whole file was checked: each row, and that no name is given
 * twice.
 *
 * @throws {RowsFileError} If something is wrong with the file: then nothing was written. If the store takes only some
 * rows at a time and fails, the error says how many were written.
 */
export async function insertFile(
  store: Store,
  file: RowsFile,
  limits: RowLimits & { readonly inPieces: boolean },
): Promise<void> {
  if (file.rewind === undefined) throw new RowsFileError("it is read twice, which a pipe or a terminal cannot be");
  let count = 0;
  for await (const rows of rowsOf(file, limits)) count += rows.length;
  await file.rewind();
  const rows = rowsOf(file, limits);
  if (limits.inPieces) await insertInPieces(store, rows, count);
  else await store.insert(rows);
}

async function insertInPieces(store: Store, parts: AsyncIterable<readonly NewRow[]>, count: number): Promise<void> {
  let most = Infinity;
  let written = 0;
  for await (const rows of parts) {
    for (let at = 0; at < rows.length;) {
      const piece = rows.slice(at, at + most);
      try {
        const [taken] = await store.insert(piece) ?? [];
        if (taken !== undefined) throw new StoreError("unavailable", `others wrote the row ${JSON.stringify(taken)}`);
        at += piece.length;
        written += piece.length;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        most = error.maxRows ?? Infinity;
        if (most < piece.length) continue;
        throw new RowsFileError(`only the first ${written} of ${counted(count, "row")} were written: ${error.message}`);
      }
    }
  }
}

async function* rowsOf(file: Source, limits: RowLimits): AsyncGenerator<readonly NewRow[]> {
  try {
    yield* readEach(new RowCutter(limits.maxRowBytes).rows(file), "row", limits, new Pacer());
  } catch (error) {
    throw error instanceof HttpError ? new RowsFileError(error.message) : error;
  }
}

/** Cuts a file into texts of one row each: objects with one member. Only what is outside of rows is checked here. */
class RowCutter {
  readonly #maxRowBytes: number;
  readonly #row = new ByteBuffer(PIECE_BYTES);
  /** The rows that were cut from the current piece of the file, and how many were before. */
  #rows: Uint8Array[] = [];
  #before = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Whether the current object had no row before. */
  #isFirst = true;

  constructor(maxRowBytes: number) {
    // A row may be sent with blanks and escapes.
    this.#maxRowBytes = 2 * maxRowBytes + PIECE_BYTES;
  }

  async *rows(file: Source): AsyncGenerator<readonly Uint8Array[]> {
    let isStart = true;
    for await (const octets of readPieces(file, PIECE_BYTES)) {
      this.#cut(isStart ? withoutMark(octets) : octets);
      isStart = false;
      yield this.#rows;
      this.#before += this.#rows.length;
      this.#rows = [];
    }
    if (this.#depth > 0) throw this.#wrong("the file ends before it does");
  }

  #cut(octets: Uint8Array): void {
    let start = 0;
    for (let i = 0; i < octets.length; i++) {
      const octet = octets[i];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (octet === BACKSLASH) this.#escaped = true;
        else if (octet === QUOTE) this.#inString = false;
      } else if (this.#depth === 0) {
        if (isBlank(octet)) continue;
        if (octet !== OPEN_BRACE) {
          const saw = octet === OPEN_BRACKET ? "an array" : "something else";
          throw this.#wrong(`expected {"NAME":{…}}, all rows in one or one in each line, saw ${saw}`);
        }
        this.#depth = 1;
        this.#isFirst = true;
        start = i + 1;
      } else if (octet === QUOTE) this.#inString = true;
      else if (octet === OPEN_BRACE || octet === OPEN_BRACKET) this.#depth++;
      else if (octet === COMMA ? this.#depth === 1 : isClosing(octet) && --this.#depth === 0) {
        this.#add(octets.subarray(start, i));
        this.#endRow(octet);
        start = i + 1;
      }
    }
    if (this.#depth > 0) this.#add(octets.subarray(start));
  }

  #add(octets: Uint8Array): void {
    // Room for a brace on either side.
    this.#row.reserve(octets.length + 2);
    if (this.#row.length === 0) this.#row.bytes[this.#row.length++] = OPEN_BRACE;
    this.#row.append(octets);
    if (this.#row.length <= this.#maxRowBytes) return;
    throw this.#wrong(`it has more than the ${this.#maxRowBytes} octets that are read of one`);
  }

  #endRow(octet: number): void {
    this.#row.bytes[this.#row.length++] = octet === COMMA ? CLOSE_BRACE : octet;
    const row = this.#row.bytes.slice(0, this.#row.length);
    if (!isUtf8(row)) throw this.#wrong("it is not UTF-8");
    // Only an object without any row has none before its end.
    const isRow = octet !== CLOSE_BRACE || !this.#isFirst || !row.subarray(1, -1).every(isBlank);
    if (isRow) this.#rows.push(row);
    this.#isFirst = false;
    this.#row.clear(PIECE_BYTES);
  }

  #wrong(problem: string): RowsFileError {
    return new RowsFileError(`row ${this.#before + this.#rows.length + 1}: ${problem}`);
  }
}

function isClosing(octet: number): boolean {
  return octet === CLOSE_BRACE || octet === CLOSE_BRACKET;
}
