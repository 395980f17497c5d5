/**
 * The table as it was at the current event, with what that event changed.
 *
 * @import { Cells, PageEvent } from "./state.js"
 */

import { FollowedTable } from "./followed_table.js";
import { state } from "./state.js";
import { counted, element, part, replaceSome, shift, visible } from "./text.js";

/** So many characters may need more than three lines. */
const LONG = 40;

let drawn = "";
/** Whether the rows are shown though nothing has changed them, or the other way round. */
let isTurned = false;
let isOpen = false;
part("table-button").addEventListener("click", () => {
  isTurned = !isTurned;
  showRows();
});

/** The rows take one line until one is changed. */
function showRows() {
  const shown = isOpen !== isTurned;
  part("table-button").setAttribute("aria-expanded", String(shown));
  part("table-box").hidden = !shown;
}
/** Rows that are drawn, by their names, and what they were drawn from. @typedef {{ cells: Cells | null, known:
 * Cells | undefined, mark: string, columns: string, node: HTMLElement }} DrawnRow @type {Map<string, DrawnRow>} */
let drawnRows = new Map();

/** @param {PageEvent | undefined} event The current one.
 * @param {number} place Its place among those that are shown, from 1. */
export function drawTable(event, place) {
  const { base, chosen, current, events, followed, latest } = state;
  const at = current === 0 ? events.at(-1)?.number ?? 0 : event?.number ?? 0;
  // The change of the exchange that is open stays marked.
  const marking = events.findLast((one) =>
    one.number <= at && one.rows !== undefined && one.connection === chosen?.connection &&
    one.exchanges?.some(({ number }) => number === chosen?.exchange)
  );
  const newest = events.findLast((one) => one.rows !== undefined)?.number;
  const moment = current === 0 ? "live" : `${at} ${place}`;
  const from = `${moment} ${marking?.number} ${followed} ${latest.total} ${newest} ${state.keeps}`;
  if (from === drawn) return;
  drawn = from;
  const table = current === 0 ? latest : tableBefore(at + 1);
  const before = marking?.rows === undefined ? new FollowedTable() : tableBefore(marking.number);
  part("table-title").textContent = current === 0 ? "table now" : `table after event ${place}`;
  part("table-size").textContent = counted(table.total, "row");
  const unfollowed = followed || state.keeps === 0 ? "" : "not followed: too much at once, or not asked for yet";
  part("table-note").textContent = unfollowed || (table.large ? "the rows touched last" : "");
  if (isOpen !== (marking !== undefined)) {
    isOpen = marking !== undefined;
    isTurned = false;
  }
  showRows();
  drawRows(table, before, new Map(marking?.rows ?? []));

  /** @param {number} number */
  function tableBefore(number) {
    const table = base.copy();
    for (const one of events) {
      if (one.number >= number) break;
      table.follow(one);
    }
    return table;
  }
}

/** @param {FollowedTable} table @param {FollowedTable} before @param {Map<string, Cells | null>} changes */
function drawRows(table, before, changes) {
  // Of a large table only the number shows whether a row that was not shown is new.
  const isMore = !table.large || table.total > before.total;
  // A row that is gone is still shown where it was.
  const shown = table.large ? table.rows : new Map([...before.rows, ...table.rows]);
  const rows = [...shown].filter(([name]) => table.rows.has(name) || changes.get(name) === null);
  const names = [...new Set(rows.flatMap(([, cells]) => (cells ?? []).map(([name]) => name)))]
    .filter((name) => name !== "").slice(0, 50);
  const titles = ["name", ...names].map((name) => {
    return Object.assign(element("th", "", ...visible(name)), { scope: "col" });
  });
  const head = element("tr", "", ...titles);
  part("table-head").replaceChildren(...rows.length === 0 ? [] : [head]);
  const columns = JSON.stringify(names);
  /** @type {typeof drawnRows} */
  const next = new Map();
  for (const [name, cells] of rows) {
    const known = before.rows.get(name) ?? undefined;
    const mark = markOf(cells, changes.get(name), known !== undefined || !isMore);
    const last = drawnRows.get(name);
    const isSame = last?.cells === cells && last.known === known && last.mark === mark && last.columns === columns;
    const node = isSame ? last.node : drawRow(name, names, { cells, known, mark });
    next.set(name, { cells, known, mark, columns, node });
  }
  drawnRows = next;
  const body = part("table-rows");
  replaceSome(body, [...next.values()].map(({ node }) => node));
  const row = body.querySelector("tr.added, tr.changed, tr.removed")?.getBoundingClientRect();
  if (row === undefined) return;
  const box = /** @type {HTMLElement} */ (body.closest(".scroll"));
  const { top, bottom } = box.getBoundingClientRect();
  box.scrollTop += shift(row.top, row.bottom, top + part("table-head").offsetHeight, bottom);
}

/** The mark of a row: how the change affects it. @param {Cells | null} cells What the row holds.
 * @param {Cells | null | undefined} change What the change made of it, if it is one of its rows.
 * @param {boolean} wasThere */
function markOf(cells, change, wasThere) {
  if (cells === null || change === null) return "removed";
  return change === undefined ? "" : wasThere ? "changed" : "added";
}

/** @param {string} name @param {string[]} columns @param {Pick<DrawnRow, "cells" | "known" | "mark">} row */
function drawRow(name, columns, { cells, known, mark }) {
  const row = element("tr", mark);
  const title = Object.assign(element("th", "", clamped(name)), { scope: "row" });
  const sign = { added: "+", changed: "~", removed: "−" }[mark];
  if (sign !== undefined) title.append(element("span", "hidden", ` (${mark})`));
  if (sign !== undefined) title.dataset.sign = sign;
  const old = new Map(known ?? []);
  const values = new Map(cells ?? []);
  /** @param {string} member */
  const cellOf = (member) => {
    const value = values.get(member) ?? "";
    const isChanged = mark === "changed" && (old.get(member) ?? "") !== value;
    return element("td", isChanged ? "changed" : "", clamped(value));
  };
  const whole = cells?.length === 1 && cells[0][0] === "" ? cellOf("") : undefined;
  // What is too long to be shown member by member has no columns of its own.
  if (whole) whole.setAttribute("colspan", String(Math.max(1, columns.length)));
  row.append(title, ...whole ? [whole] : columns.map(cellOf));
  return row;
}

/** Text of three lines at most, whole when it is pointed at. @param {string} text */
function clamped(text) {
  const box = element("div", "clamped", ...visible(text));
  if (text.length > LONG) box.title = text;
  return box;
}
