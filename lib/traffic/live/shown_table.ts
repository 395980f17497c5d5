/** The table as it is shown: rows by name, changed by one exchange after the other. */

import type { FieldLine } from "../../http_message.ts";
import {
  PAGE_CONTENT_BYTES,
  PAGE_ROW_CHARACTERS,
  PAGE_ROW_MEMBERS,
  PAGE_ROWS,
  PAGE_VALUE_CHARACTERS,
} from "../../limits.ts";

/** Bytes of a long row that hold its name, escaped, and a value as it is shown. */
const LONG_BYTES = 8 * 1024;
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** A row's members as they are shown: names and values, long ones cut. */
export type Cells = readonly FieldLine[];

/** A row: what it holds now; `null` if it is gone. */
export type ShownRow = readonly [name: string, cells: Cells | null];

/** The rows, as far as they are shown. */
export class ShownTable {
  /** In the table's order. */
  readonly #rows = new Map<string, Cells | null>();
  total = 0;
  /** Whether it is too large to be shown: there are only the rows that were touched last. */
  large = false;

  get rows(): ShownRow[] {
    return [...this.#rows];
  }

  /** Starts with all rows, in the table's order; `undefined` if they are too long to be shown. */
  reset(rows: readonly ShownRow[] | undefined, total: number): void {
    const large = rows === undefined || total > PAGE_ROWS;
    this.follow(large ? [] : rows, total, large, true);
  }

  /** Takes over what was said of another table. */
  follow(rows: readonly ShownRow[], total: number, large: boolean, whole: boolean): void {
    if (whole || large && !this.large) this.#rows.clear();
    this.total = total;
    this.large = large;
    for (const row of rows) this.#set(row);
  }

  /**
   * Changes a row. Returns whether anything changed.
   *
   * @param created Whether the row was new, as far as that is known; false for one that was removed.
   */
  apply(row: ShownRow, created: boolean | undefined): boolean {
    const [name, cells] = row;
    const known = this.#rows.get(name) ?? undefined;
    if (cells === null) {
      if (known === undefined && !(this.large && created === false)) return false;
      this.total--;
    } else {
      if (known !== undefined && isSame(known, cells)) return false;
      if (known === undefined && (!this.large || created)) this.total++;
    }
    if (!this.large && cells !== null && known === undefined && this.#rows.size === PAGE_ROWS) {
      this.#rows.clear();
      this.large = true;
    }
    this.#set(row);
    return true;
  }

  #set([name, cells]: ShownRow): void {
    if (this.large || cells === null) this.#rows.delete(name);
    if (this.large || cells !== null) this.#rows.set(name, cells);
    if (this.#rows.size > PAGE_ROWS) this.#rows.delete(this.#rows.keys().next().value!);
  }
}

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

/** Reads a row under its name, `{"Pingping":{…}}`; of a long or damaged one, the beginning is shown as it is. */
export function rowOf(content: string | Uint8Array): ShownRow {
  const isLong = content.length > PAGE_CONTENT_BYTES;
  const text = typeof content === "string" ? content : UTF8.decode(isLong ? content.subarray(0, LONG_BYTES) : content);
  const [row] = rowsOf(text) ?? [];
  if (row !== undefined) return row;
  const [start, name] = /^\{("(?:[^"\\]|\\.)*"):/.exec(text)!;
  return [JSON.parse(name), [["", cut(text.slice(start.length))]]];
}

/** Reads rows as an object with one member each; `undefined` if they are long together, or one is damaged. */
export function rowsOf(json: string | Uint8Array): ShownRow[] | undefined {
  if (json.length > PAGE_CONTENT_BYTES) return undefined;
  try {
    const rows = JSON.parse(typeof json === "string" ? json : UTF8.decode(json));
    return Object.entries(rows).map(([name, row]) => [name, cellsOf(row)]);
  } catch {
    return undefined;
  }
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
