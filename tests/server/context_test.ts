import assert from "node:assert/strict";
import { LISTING_PIECE_BYTES } from "../../lib/limits.ts";
import { Budget, endedListings } from "../../lib/server/context.ts";
import { CLOSE_REASONS } from "../../lib/server/errors.ts";

/** Returns a budget with holders of bytes that may be ended, and the number of those that were. */
function budgetOf(most: number, held: number[]) {
  const budget = new Budget(most);
  for (const bytes of held) budget.take(bytes);
  let ended = 0;
  budget.reclaim = () => {
    if (ended === held.length) return false;
    budget.take(-held[ended++]);
    return true;
  };
  return { budget, ended: () => ended };
}

Deno.test("holders are ended only as long as that is needed", () => {
  const { budget, ended } = budgetOf(100, [40, 40, 20]);
  assert(budget.has(50));
  assert.equal(ended(), 2);
  assert(!budget.has(101), "more than all");
  assert.equal(ended(), 2, "it would not help");
});

Deno.test("a text fits by its exact size before a holder is ended for its largest possible one", () => {
  const { budget, ended } = budgetOf(100, [40]);
  assert(budget.fits("x".repeat(60)));
  assert.equal(ended(), 0);
  assert(budget.fits("é".repeat(31)));
  assert.equal(ended(), 1);
  assert(!budget.fits("é".repeat(51)));
});

Deno.test("a stream fits if one of its pieces does, and no content always", () => {
  const stream = { async *[Symbol.asyncIterator]() {} };
  const { budget } = budgetOf(LISTING_PIECE_BYTES, []);
  assert(budget.fits(stream));
  budget.take(1);
  assert(!budget.fits(stream));
  budget.take(LISTING_PIECE_BYTES);
  assert(budget.fits(undefined));
});

Deno.test("only listings that were ended for lack of memory are reported", () => {
  const lines: string[] = [];
  const observer = endedListings((line) => lines.push(line));
  for (const reason of Object.values(CLOSE_REASONS)) observer.closed!(1, reason, 1);
  assert.deepEqual(lines, ["A listing that was not read was ended: --max-buffered was reached"]);
});
