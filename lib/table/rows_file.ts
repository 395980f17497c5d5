/**
 * The rows of a backup, of any size: one JSON object with all rows as members, as a listing of the table is, or one
 * such object a line, with a row each.
 *
 * The file is cut between rows into objects of some size, which are read as the content of a POST is.
 */

import { ByteBuffer, counted, type Source, withoutMark } from "../bytes.ts";
import { HttpError } from "../http_message.ts";
import { isBlank } from "../json.ts";
import { type NewRow, type Store, StoreError } from "../store.ts";
import { Pacer } from "../turns.ts";
import { BareRow, readRows } from "./bulk_rows.ts";
import type { RowLimits } from "./row_schema.ts";

/** Octets of a file read at a time, and of rows put into one object. */
const PIECE_BYTES = 64 * 1024;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const LF = 0x0a;
const OPEN = [0x7b, 0x5b];
const [OPEN_BRACE] = OPEN;
const CLOSE = [0x7d, 0x5d];
const [CLOSE_BRACE] = CLOSE;

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
  const names = new Set<string>();
  for await (const rows of rowsOf(file, limits)) addNames(names, rows);
  await file.rewind();
  const rows = rowsOf(file, limits);
  if (limits.inPieces) await insertInPieces(store, rows, names.size);
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
  for await (const piece of new RowCutter(limits.maxRowBytes).pieces(file)) {
    try {
      for await (const rows of readRows(piece.content, limits, new Pacer())) yield rows;
    } catch (error) {
      throw await firstWrong(piece, limits) ?? wrongRow(piece.before + 1, error);
    }
  }
}

interface Piece {
  readonly content: Uint8Array;
  /** How many rows are before it in the file. */
  readonly before: number;
  /** Where each of its rows ends. */
  readonly ends: readonly number[];
}

/** Returns what is wrong with a piece: with the first row that is wrong by itself, or that is given twice. */
async function firstWrong({ content, before, ends }: Piece, limits: RowLimits): Promise<RowsFileError | undefined> {
  const names = new Set<string>();
  for (const [i, end] of ends.entries()) {
    const row = content.slice(i === 0 ? 0 : ends[i - 1], end + 1);
    row[0] = OPEN_BRACE;
    row[row.length - 1] = CLOSE_BRACE;
    try {
      for await (const rows of readRows(row, limits, new Pacer())) addNames(names, rows);
    } catch (error) {
      return wrongRow(before + i + 1, error);
    }
  }
}

function addNames(names: Set<string>, rows: readonly NewRow[]): void {
  for (const { name } of rows) {
    if (names.has(name)) throw new RowsFileError(`the row ${JSON.stringify(name)} is given twice`);
    names.add(name);
  }
}

function wrongRow(number: number, error: unknown): RowsFileError {
  if (error instanceof BareRow) return new RowsFileError(`row ${number} must be an object with the row's fields`);
  if (!(error instanceof HttpError)) throw error;
  const [problem] = error.errors ?? [];
  if (problem === undefined) return new RowsFileError(`row ${number}: ${error.message}`);
  return new RowsFileError(`row ${number}, ${JSON.stringify(problem.field)}, ${problem.detail}`);
}

/** Cuts a file between rows. Only what is outside of rows is checked here. */
class RowCutter {
  readonly #maxRowBytes: number;
  readonly #content = new ByteBuffer(PIECE_BYTES);
  #ends: number[] = [];
  #before = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** Objects at the outermost level, and the members of the current one. */
  #objects = 0;
  #members = 0;
  /** Whether the first object had one member, so that more may follow, each in a line of its own. */
  #mayHaveLines = false;
  #lineEnded = false;

  constructor(maxRowBytes: number) {
    // A row may be sent with blanks and escapes.
    this.#maxRowBytes = 2 * maxRowBytes + PIECE_BYTES;
  }

  async *pieces(file: Source): AsyncGenerator<Piece> {
    const buffer = new Uint8Array(PIECE_BYTES);
    let isFirst = true;
    for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
      const octets = buffer.subarray(0, count);
      this.#scan(isFirst ? withoutMark(octets) : octets);
      isFirst = false;
      if (this.#ends.length > 0 && this.#content.length > PIECE_BYTES) yield this.#piece();
    }
    if (this.#depth > 0) throw new RowsFileError(`the file ends in the middle of row ${this.#number}`);
    if (this.#ends.length > 0) yield this.#piece();
  }

  get #number(): number {
    return this.#before + this.#ends.length + 1;
  }

  get #start(): number {
    return this.#ends.at(-1) ?? 0;
  }

  #scan(octets: Uint8Array): void {
    let start = 0;
    for (let i = 0; i < octets.length; i++) {
      const octet = octets[i];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (octet === BACKSLASH) this.#escaped = true;
        else if (octet === QUOTE) this.#inString = false;
      } else if (this.#depth === 0) {
        this.#between(octet);
        start = i + 1;
      } else if (octet === QUOTE) this.#inString = true;
      else if (OPEN.includes(octet)) this.#depth++;
      else if (octet === COMMA && this.#depth === 1 || CLOSE.includes(octet) && --this.#depth === 0) {
        this.#add(octets.subarray(start, i));
        this.#endRow(octet);
        start = i + 1;
      }
    }
    if (this.#depth > 0) this.#add(octets.subarray(start));
  }

  /** Handles an octet outside of the objects. */
  #between(octet: number): void {
    if (octet === LF) this.#lineEnded = true;
    if (isBlank(octet)) return;
    if (this.#objects > 0 && !(this.#mayHaveLines && this.#lineEnded)) {
      throw new RowsFileError(`more octets follow the object with ${counted(this.#before + this.#ends.length, "row")}`);
    }
    if (octet !== OPEN_BRACE) {
      const saw = octet === OPEN[1] ? "an array" : "something else";
      throw new RowsFileError(
        `row ${this.#number}: expected {"NAME":{…}}, all rows in one or one in each line, saw ${saw}`,
      );
    }
    this.#depth = 1;
    this.#objects++;
    this.#members = 0;
    this.#lineEnded = false;
  }

  #add(octets: Uint8Array): void {
    // The octet before a row: a comma, which becomes the brace of its piece where that starts.
    if (this.#content.length === 0) this.#content.append(Uint8Array.of(COMMA));
    this.#content.append(octets);
    if (this.#content.length - this.#start <= this.#maxRowBytes) return;
    throw new RowsFileError(`row ${this.#number} has more than the ${this.#maxRowBytes} octets that are read of one`);
  }

  #endRow(octet: number): void {
    const isLast = octet !== COMMA;
    if (isLast && octet !== CLOSE_BRACE) throw new RowsFileError(`row ${this.#number}: saw ] where } is expected`);
    // Only an object without any row has none before its end.
    if (this.#content.view(this.#start + 1).every(isBlank)) {
      if (!isLast || this.#members > 0) {
        throw new RowsFileError(`row ${this.#number}: expected "NAME":{…}, saw ${isLast ? "}" : "a comma"}`);
      }
      this.#content.length = this.#start + 1;
    } else {
      this.#members++;
      this.#ends.push(this.#content.length);
      this.#content.append(Uint8Array.of(COMMA));
    }
    if (!isLast) return;
    if (this.#objects === 1) this.#mayHaveLines = this.#members === 1;
    else if (this.#members !== 1) {
      const before = this.#before + this.#ends.length - this.#members;
      throw new RowsFileError(`row ${before + 1}: expected one row in its line, saw ${this.#members}`);
    }
  }

  /** Returns the rows so far as an object, and begins another one. */
  #piece(): Piece {
    const ends = this.#ends;
    const end = ends[ends.length - 1];
    const content = this.#content.bytes.slice(0, end + 1);
    content[0] = OPEN_BRACE;
    content[end] = CLOSE_BRACE;
    const piece = { content, before: this.#before, ends };
    const rest = this.#content.bytes.slice(end, this.#content.length);
    this.#content.clear(PIECE_BYTES);
    this.#content.append(rest);
    this.#before += ends.length;
    this.#ends = [];
    return piece;
  }
}
