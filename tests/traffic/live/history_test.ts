import assert from "node:assert/strict";
import { PAGE_TOLD_CHARACTERS } from "../../../lib/limits.ts";
import { History } from "../../../lib/traffic/live/history.ts";
import type { Told } from "../../../lib/traffic/live/told.ts";
import { octetString, wireOctets } from "../../wire_cases.ts";

function read(from: number, octets: string, connection = 1): [Told, Uint8Array] {
  const told = { kind: "read", time: 0, connection, end: "server", direction: "request" } as const;
  return [{ ...told, from, to: from + octets.length }, wireOctets(octets)];
}

Deno.test("the history keeps as many events as it may, and tells what it forgets", () => {
  const forgotten: number[] = [];
  const history = new History(3, 1000, ({ number }) => forgotten.push(number));
  assert.deepEqual([history.first, history.last], [1, 0]);
  for (let i = 0; i < 3; i++) history.add(...read(i, "a"));
  assert.deepEqual([history.first, history.last, forgotten], [1, 3, []]);
  for (let i = 3; i < 10; i++) history.add(...read(i, "a"));
  assert.deepEqual([history.first, history.last], [8, 10]);
  assert.deepEqual(forgotten, [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(history.at(7), undefined);
  assert.deepEqual([8, 9, 10].map((number) => history.at(number)!.told.from), [7, 8, 9]);
  assert.equal(history.at(11), undefined);
});

Deno.test("the history keeps as many octets as it may", () => {
  const history = new History(100, 10);
  history.add(...read(0, "abcde"));
  history.add(...read(5, "fghij"));
  assert.equal(history.first, 1);
  history.add(...read(10, "k"));
  assert.equal(history.first, 2);
});

Deno.test("exchanges and rows count like octets: one read may bring thousands of them", () => {
  const forgotten: number[] = [];
  const history = new History(100, 4 * PAGE_TOLD_CHARACTERS, ({ number }) => forgotten.push(number));
  const message = { from: 0, to: 1, whole: true, status: 0, title: "GET /" };
  const exchanges = [1, 2].map((number) => ({ number, request: message, responses: [] }));
  const rows = [["A", [["x", "1"]]], ["B", null]] as const;
  history.add({ kind: "fin", time: 0, connection: 1, end: "server", exchanges });
  assert.deepEqual(forgotten, []);
  history.add({ kind: "table", time: 0, connection: 0, end: "server", rows });
  assert.deepEqual(forgotten, [1]);
  history.add({ kind: "table", time: 0, connection: 0, end: "server", rows: [["C", [["x", "y".repeat(1000)]]]] });
  assert.deepEqual(forgotten, [1, 2, 3]);
});

Deno.test("octets are found across reads, as long as they are kept", () => {
  const history = new History(3, 1000);
  history.add(...read(0, "abc"));
  history.add(...read(0, "XYZ", 2));
  history.add(...read(3, "def"));
  assert.equal(octetString(history.octets(1, "request", 2, 5)!), "cde");
  assert.equal(history.octets(1, "request", 2, 7), undefined, "not there yet");
  assert.equal(history.octets(1, "response", 2, 5), undefined);
  history.add(...read(6, "ghi"));
  assert.equal(history.octets(1, "request", 2, 5), undefined, "no longer there");
  assert.equal(octetString(history.octets(1, "request", 4, 8)!), "efgh");
});
