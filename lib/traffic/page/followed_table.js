/**
 * A table that follows what is told of it: the page's, and the server's own of what it has told.
 *
 * @import { PageEvent } from "../live/page_events.ts"
 * @import { Cells, ShownRow } from "../live/shown_table.ts"
 */

/** Rows of a table that are shown; of a larger one, those that were touched last. */
const MAX_ROWS = 500;

export class FollowedTable {
  /** In the table's order. @type {Map<string, Cells | null>} */
  rows = new Map();
  total = 0;
  /** Whether it is too large to be shown: there are only the rows that were touched last. */
  large = false;

  /** Takes over what an event says: all of the table, or what has changed.
   * @param {Pick<PageEvent, "kind" | "rows" | "total" | "large">} event */
  follow({ kind, rows, total = 0, large = false }) {
    if (rows === undefined) return;
    if (kind === "table" || large && !this.large) this.rows.clear();
    this.total = total;
    this.large = large;
    for (const row of rows) this.set(row);
  }

  /** @param {ShownRow} row */
  set([name, cells]) {
    if (this.large || cells === null) this.rows.delete(name);
    if (this.large || cells !== null) this.rows.set(name, cells);
    if (this.rows.size > MAX_ROWS) this.rows.delete(/** @type {string} */ (this.rows.keys().next().value));
  }

  copy() {
    return Object.assign(new FollowedTable(), this, { rows: new Map(this.rows) });
  }
}
