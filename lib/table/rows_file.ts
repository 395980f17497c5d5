/**
 * The rows of a backup, of any size: JSON objects with rows as members, such as a listing of the table, or one of each
 * row.
 *
 * The file is read through a window that holds the row which has not ended, and rows are read as those of a POST are.
 */

import { isUtf8 } from "node:buffer";
import { counted, NO_BYTES, type Source, withoutMark } from "../bytes.ts";
import { HttpError } from "../http_message.ts";
import { JsonScanner, UTF8 } from "../json.ts";
import { type NewRow, type Store, StoreError } from "../store.ts";
import { Pacer } from "../turns.ts";
import { RowsReader } from "./bulk_rows.ts";
import type { RowLimits } from "./row_schema.ts";

/** Octets of a file read at a time. */
const PIECE_BYTES = 64 * 1024;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;

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
  const reader = new RowsReader(limits, "row");
  const pacer = new Pacer();
  // A row may be sent with blanks and escapes.
  const most = 2 * limits.maxRowBytes + PIECE_BYTES;
  const scanner = new JsonScanner(NO_BYTES, 0, true);
  try {
    for (let count: number | null = -1, left = NO_BYTES; count !== null;) {
      if (left.length > most) throw wrongRow(reader, `it has more than the ${most} octets that are read of one`);
      const isStart = count < 0;
      // One octet longer than what is read, so that its end is not taken for that of the file. Rows stay in this memory.
      const window = new Uint8Array(left.length + Math.max(left.length, PIECE_BYTES) + 1);
      window.set(left);
      count = await file.read(window.subarray(left.length, -1));
      const end = left.length + (count ?? 0);
      scanner.moveTo(count === null ? window.subarray(0, end) : window, scanner.valueEnd);
      if (isStart) scanner.at = end - withoutMark(window.subarray(0, end)).length;
      yield* reader.parts(rowsIn(window, count === null ? end : tokenEnd(window, end), scanner, reader), pacer);
      left = window.subarray(scanner.valueEnd, end);
    }
    yield reader.end();
  } catch (error) {
    throw error instanceof HttpError ? new RowsFileError(error.message) : error;
  }
}

/** Reads the rows that have ended before the limit. */
function* rowsIn(text: Uint8Array, limit: number, scanner: JsonScanner, reader: RowsReader): Generator<number, void> {
  for (;;) {
    const scanned = scanner.next(limit);
    if (scanned === "error") throw notRows(text, limit, scanner, reader);
    if (scanned !== "member") return;
    const { nameStart, valueEnd } = scanner;
    if (!isUtf8(text.subarray(nameStart, valueEnd))) throw wrongRow(reader, "it is not UTF-8");
    reader.number++;
    yield valueEnd - nameStart;
    const steps = reader.take(text, scanner);
    if (steps !== undefined) yield* steps;
    scanner.forget();
  }
}

/** Returns how far a piece of text can be scanned: a number, a literal or an escape at its end may go on in the next. */
function tokenEnd(text: Uint8Array, end: number): number {
  let at = end;
  // All octets of these are from + to z, and no comma.
  while (at > 0 && text[at - 1] > 0x2a && text[at - 1] < 0x7b && text[at - 1] !== COMMA) at--;
  return at;
}

/** Creates the error for an octet that does not belong where it is, or is missing at the end of the file. */
function notRows(text: Uint8Array, end: number, { at, isOutside }: JsonScanner, reader: RowsReader): RowsFileError {
  if (at >= end) return wrongRow(reader, "the file ends in the middle of an object");
  if (isOutside) {
    const saw = text[at] === OPEN_BRACKET ? "an array" : "something else";
    return wrongRow(reader, `expected {"NAME":{…}}, all rows in one or one in each line, saw ${saw}`);
  }
  const octet = JSON.stringify(UTF8.decode(text.subarray(at, at + 1)));
  return new RowsFileError(`row ${reader.number + 1} is not JSON: unexpected ${octet}`);
}

function wrongRow({ number }: RowsReader, problem: string): RowsFileError {
  return new RowsFileError(`row ${number + 1}: ${problem}`);
}
