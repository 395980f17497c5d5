/**
 * The table as it was at the current event, with what that event changed.
 *
 * @import { Cells, Table, Told } from "./state.js"
 */

import { applyRows, copyOf, emptyTable, state } from "./state.js";
import { element, part, replaceSome, shift, visible } from "./text.js";

let drawn = "";
/**
 * Rows that are drawn, by their names, and what they were drawn from.
 *
 * @typedef {{ cells: Cells | null, known: Cells | undefined, mark: string, columns: string, node: HTMLElement }} DrawnRow
 * @type {Map<string, DrawnRow>}
 */
let drawnRows = new Map();

/**
 * @param {Told | undefined} event The current one.
 * @param {number} place Its place among those that are shown, from 1.
 */
export function drawTable(event, place) {
  const { base, current, events, followed, latest } = state;
  const at = current === 0 ? events.at(-1)?.number ?? 0 : event?.number ?? 0;
  // Live, the last change stays marked until the next one.
  const marking = current === 0
    ? events.findLast((one) => one.rows !== undefined && one.kind !== "table")
    : events.find((one) => one.number === at && one.kind !== "table");
  const newest = events.findLast((one) => one.rows !== undefined)?.number;
  const from = `${
    current === 0 ? "live" : `${at} ${place}`
  } ${marking?.number} ${followed} ${latest.total} ${newest} ${state.keeps}`;
  if (from === drawn) return;
  drawn = from;
  const table = current === 0 ? latest : tableBefore(at + 1);
  const before = marking?.rows === undefined ? emptyTable() : tableBefore(marking.number);
  part("table-title").textContent = current === 0 ? "table now" : `table after event ${place}`;
  part("table-size").textContent = table.total === 1 ? "1 row" : `${table.total} rows`;
  part("table-note").textContent = state.keeps === 0
    ? ""
    : !followed
    ? "not followed: too much at once, or not asked for yet"
    : table.large
    ? "as this server answered: the rows touched last"
    : "as this server answered";
  drawRows(table, before, new Map(marking?.rows ?? []));

  /** @param {number} number */
  function tableBefore(number) {
    const table = copyOf(base);
    for (const one of events) {
      if (one.number >= number) break;
      applyRows(table, one);
    }
    return table;
  }
}

/**
 * @param {Table} table
 * @param {Table} before
 * @param {Map<string, Cells | null>} changes
 */
function drawRows(table, before, changes) {
  // Of a large table only the number tells whether a row that was not shown is new.
  const isMore = !table.large || table.total > before.total;
  // A row that is gone is still shown where it was.
  const shown = table.large ? table.rows : new Map([...before.rows, ...table.rows]);
  const rows = [...shown].filter(([name]) => table.rows.has(name) || changes.get(name) === null);
  const names = [...new Set(rows.flatMap(([, cells]) => (cells ?? []).map(([name]) => name)))].slice(0, 50);
  const head = element(
    "tr",
    "",
    ...["name", ...names].map((name) => {
      const cell = element("th", "", ...visible(name));
      cell.setAttribute("scope", "col");
      return cell;
    }),
  );
  part("table-head").replaceChildren(...rows.length === 0 ? [] : [head]);
  const columns = JSON.stringify(names);
  /** @type {typeof drawnRows} */
  const next = new Map();
  for (const [name, cells] of rows) {
    const known = before.rows.get(name) ?? undefined;
    const mark = markOf(cells, changes.has(name) ? changes.get(name) : undefined, known !== undefined || !isMore);
    const last = drawnRows.get(name);
    const isSame = last?.cells === cells && last.known === known && last.mark === mark && last.columns === columns;
    const node = isSame ? last.node : drawRow(name, names, { cells, known, mark });
    next.set(name, { cells, known, mark, columns, node });
  }
  drawnRows = next;
  const body = part("table-rows");
  replaceSome(body, [...next.values()].map(({ node }) => node));
  const row = changes.size > 0 ? body.querySelector("[class]")?.getBoundingClientRect() : undefined;
  if (row === undefined) return;
  const box = /** @type {HTMLElement} */ (body.closest(".scroll"));
  const { top, bottom } = box.getBoundingClientRect();
  box.scrollTop += shift(row.top, row.bottom, top + part("table-head").offsetHeight, bottom);
}

/**
 * The mark of a row: how the change affects it.
 *
 * @param {Cells | null} cells What the row holds.
 * @param {Cells | null | undefined} change What the change made of it, if it is one of its rows.
 * @param {boolean} wasThere
 */
function markOf(cells, change, wasThere) {
  if (cells === null || change === null) return "removed";
  return change === undefined ? "" : wasThere ? "changed" : "added";
}

/**
 * @param {string} name
 * @param {string[]} columns
 * @param {Pick<DrawnRow, "cells" | "known" | "mark">} row
 */
function drawRow(name, columns, { cells, known, mark }) {
  const row = element("tr", mark);
  const title = element("th", "", ...visible(name));
  title.setAttribute("scope", "row");
  if (mark !== "") title.append(element("span", "hidden", ` (${mark})`));
  const old = new Map(known ?? []);
  const values = new Map(cells ?? []);
  row.append(
    title,
    ...columns.map((member) => {
      const value = values.get(member) ?? "";
      const isChanged = mark === "changed" && (old.get(member) ?? "") !== value;
      return element("td", isChanged ? "changed" : "", ...visible(value));
    }),
  );
  return row;
}
