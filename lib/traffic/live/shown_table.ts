/** The table as it is shown: rows by name, changed by one exchange after the other. */

import type { FieldLine } from "../../http_message.ts";
import { FollowedTable } from "../page/followed_table.js";
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

export class ShownTable extends FollowedTable {
  /**
   * Changes a row. Returns whether anything changed.
   *
   * @param how Whether it was `created`, `removed`, or what else happened to it.
   */
  apply(row: ShownRow, how: string): boolean {
    const [name, cells] = row;
    const known = this.rows.get(name) ?? undefined;
    if (cells === null) {
      if (known === undefined && !(this.large && how === "removed")) return false;
      this.total--;
    } else {
      if (known !== undefined && JSON.stringify(known) === JSON.stringify(cells)) return false;
      if (known === undefined && (!this.large || how === "created")) this.total++;
    }
    if (!this.large && cells !== null && known === undefined && this.rows.size === PAGE_ROWS) {
      this.rows.clear();
      this.large = true;
    }
    this.set(row);
    return true;
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
