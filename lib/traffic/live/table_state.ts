/**
 * The table as this server answered: rows by name, changed by one exchange after the other.
 *
 * @module
 */

import { type FieldLine, type Fields, percentDecoded, type RequestHead } from "../../http_message.ts";
import { PAGE_ROW_CHARACTERS, PAGE_ROW_MEMBERS, PAGE_ROWS, PAGE_VALUE_CHARACTERS } from "../../limits.ts";

/** A complete exchange. */
export interface Complete {
  /** The request's head. */
  readonly request: RequestHead;
  /** The request's content; `undefined` if it is too long to keep. */
  readonly sent: Uint8Array | undefined;
  /** The final response's status. */
  readonly status: number;
  /** The final response's header section. */
  readonly fields: Fields;
  /** The final response's content; `undefined` if it is too long to keep. */
  readonly received: Uint8Array | undefined;
}

/** A row's members as they are shown: names and values, long ones cut. */
export type Cells = readonly FieldLine[];

/** What happened to one row. */
export interface RowChange {
  /** The row's name. */
  readonly name: string;
  /** What it holds now; `null` if it is gone. */
  readonly cells: Cells | null;
  /** Its version, if the answer told it. */
  readonly version?: number;
}

/** The table all at once. */
export interface WholeTable {
  /** The first rows, in the table's order; `undefined` if they are too long to be shown. */
  readonly rows: readonly RowChange[] | undefined;
  /** How many rows there are in all. */
  readonly total: number;
}

/** The rows, as far as they are shown. */
export class TableState {
  #rows = new Map<string, RowChange>();
  /** How many rows the table has. */
  total = 0;
  /** Whether it is too large to be shown: there are only the rows that were touched last. */
  large = false;

  /** The rows in their order. */
  get rows(): RowChange[] {
    return [...this.#rows.values()];
  }

  /** Starts with the whole table. */
  reset({ rows, total }: WholeTable): void {
    this.large = rows === undefined || total > PAGE_ROWS;
    this.total = total;
    this.#rows = new Map(rows === undefined || this.large ? [] : rows.map((row) => [row.name, row]));
  }

  /** Starts again with the whole table, unless it is too large, and tells what is different. */
  replace({ rows, total }: WholeTable): RowChange[] {
    if (this.large || rows === undefined || total > PAGE_ROWS) return [];
    const gone = this.rows.filter(({ name }) => !rows.some((row) => row.name === name));
    const changes: RowChange[] = gone.map(({ name }) => ({ name, cells: null }));
    for (const row of rows) {
      const known = this.#rows.get(row.name)?.cells;
      if (!known || !isSame(known, row.cells!)) changes.push(row);
    }
    const known = this.#rows;
    this.#rows = new Map(rows.map((row) => [row.name, { ...row, version: known.get(row.name)?.version }]));
    this.total = total;
    return changes;
  }

  /** Takes over what was told of another table. */
  follow(
    rows: readonly (readonly [name: string, cells: Cells | null])[],
    total: number,
    large: boolean,
    whole: boolean,
  ): void {
    if (whole || large && !this.large) this.#rows = new Map();
    this.total = total;
    this.large = large;
    for (const [name, cells] of rows) {
      if (large) this.#touch({ name, cells });
      else if (cells === null) this.#rows.delete(name);
      else this.#rows.set(name, { name, cells });
    }
  }

  /** Changes a row. Returns whether anything changed: an answer that is older than what is known changes nothing. */
  apply(change: RowChange, created: boolean | undefined): boolean {
    const { name, cells, version } = change;
    const known = this.#rows.get(name);
    const knownVersion = known?.version;
    if (version !== undefined && knownVersion !== undefined && version < knownVersion) return false;
    const was = known !== undefined && known.cells !== null;
    if (cells === null) {
      const existed = this.large ? created === false || was : was;
      if (existed) this.total--;
      if (!this.large) this.#rows.delete(name);
      else if (existed) this.#touch(change);
      return existed;
    }
    if (was && isSame(known.cells!, cells)) {
      this.#rows.set(name, change);
      return false;
    }
    if (this.large ? created === true && !was : !was) this.total++;
    if (this.large) this.#touch(change);
    else this.#rows.set(name, change);
    if (!this.large && this.#rows.size > PAGE_ROWS) this.#becomeLarge();
    return true;
  }

  #touch(change: RowChange): void {
    this.#rows.delete(change.name);
    this.#rows.set(change.name, change);
    if (this.#rows.size > PAGE_ROWS) this.#rows.delete(this.#rows.keys().next().value!);
  }

  #becomeLarge(): void {
    this.large = true;
    const touched = [...this.#rows].slice(-1);
    this.#rows = new Map(touched);
  }
}

/** What an exchange does to the table. */
export type Effect =
  | { readonly kind: "nothing" }
  /** It wrote something that its messages do not show: the table has to be asked for. */
  | { readonly kind: "unknown" }
  | { readonly kind: "rows"; readonly changes: readonly RowChange[]; readonly created: boolean | undefined }
  | { readonly kind: "table"; readonly table: WholeTable };

const NOTHING: Effect = { kind: "nothing" };
const UNKNOWN: Effect = { kind: "unknown" };

/** Whether a request of this method may change the table. */
export function writes(method: string): boolean {
  return ["POST", "PUT", "PATCH", "DELETE"].includes(method);
}

/** What an exchange does to the table, or tells of it. */
export function effectOf({ request, sent, status, fields, received }: Complete): Effect {
  const { method, path, query } = request;
  const isWrite = writes(method);
  if (isWrite && (status < 200 || status > 299)) return NOTHING;
  if (path === "/") {
    if (method === "POST") return rowsEffect(sent, undefined, true) ?? UNKNOWN;
    if (method !== "GET" || query !== undefined || status !== 200) return NOTHING;
    return tableEffect(received);
  }
  const name = percentDecoded(path.slice(1));
  if (name === undefined || !path.startsWith("/")) return NOTHING;
  if (method === "DELETE") return removed(name, false);
  if (method === "GET" && status === 404) return removed(name, undefined);
  if (!isWrite && !(method === "GET" && status === 200)) return NOTHING;
  const version = versionOf(fields.get("etag"));
  return rowsEffect(received, { name, version }, status === 201 || undefined) ?? (isWrite ? UNKNOWN : NOTHING);
}

function removed(name: string, created: boolean | undefined): Effect {
  return { kind: "rows", changes: [{ name, cells: null }], created };
}

/** A row's members as they are shown. */
export function cellsOf(row: unknown): Cells {
  if (typeof row !== "object" || row === null) return [["", cut(textOf(row))]];
  const cells: FieldLine[] = [];
  let left = PAGE_ROW_CHARACTERS;
  for (const name of Object.keys(row).slice(0, PAGE_ROW_MEMBERS)) {
    const cell = [cut(name), cut(textOf((row as Record<string, unknown>)[name]), left)] as const;
    cells.push(cell);
    left -= cell[0].length + cell[1].length;
    if (left <= 0) break;
  }
  return cells;
}

/** A row that is too long to be parsed, as it is shown: the beginning of its JSON. */
export function cellsOfLong(json: string): Cells {
  return [["", cut(json)]];
}

/** Rows as an object with one member each. */
export function rowsOf(json: Uint8Array | string | undefined): RowChange[] | undefined {
  if (json === undefined) return undefined;
  try {
    const value = JSON.parse(typeof json === "string" ? json : new TextDecoder().decode(json));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.entries(value).map(([name, row]) => ({ name, cells: cellsOf(row) }));
  } catch {
    return undefined;
  }
}

function rowsEffect(
  json: Uint8Array | undefined,
  only: { name: string; version: number | undefined } | undefined,
  created: boolean | undefined,
): Effect | undefined {
  const rows = rowsOf(json);
  if (rows === undefined) return undefined;
  if (only === undefined) return { kind: "rows", changes: rows, created };
  const row = rows.find(({ name }) => name === only.name);
  return row && { kind: "rows", changes: [{ ...row, version: only.version }], created };
}

function tableEffect(json: Uint8Array | undefined): Effect {
  const rows = rowsOf(json);
  return rows === undefined ? NOTHING : { kind: "table", table: { rows, total: rows.length } };
}

/** The version in an entity tag that is a number. */
function versionOf(tag: string | undefined): number | undefined {
  const digits = /^"(\d{1,16})"$/.exec(tag ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cut(text: string, left = Infinity): string {
  const most = Math.max(0, Math.min(PAGE_VALUE_CHARACTERS, left));
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}

function isSame(a: Cells, b: Cells): boolean {
  return a.length === b.length && a.every(([name, value], i) => name === b[i][0] && value === b[i][1]);
}
