import assert from "node:assert/strict";
import { History, OVERHEAD_CHARACTERS } from "../../../lib/traffic/live/history.ts";
import type { PageEvent, PageMessage } from "../../../lib/traffic/live/page_events.ts";
import { octetString, wireOctets } from "../../wire_cases.ts";

function read(from: number, octets: string, connection = 1): [PageEvent, Uint8Array] {
  const told = { kind: "read", time: 0, connection, end: "server", direction: "request" } as const;
  return [{ ...told, from, to: from + octets.length }, wireOctets(octets)];
}

Deno.test("the history keeps as many events as it may, and tells what it forgets", () => {
  const forgotten: number[] = [];
  const history = new History(3, 1000, ({ event }) => forgotten.push(event.from!));
  assert.deepEqual([history.first, history.last], [1, 0]);
  for (let i = 0; i < 3; i++) history.add(...read(i, "a"));
  assert.deepEqual([history.first, history.last, forgotten], [1, 3, []]);
  for (let i = 3; i < 10; i++) history.add(...read(i, "a"));
  assert.deepEqual([history.first, history.last], [8, 10]);
  assert.deepEqual(forgotten, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(history.at(7), undefined);
  assert.deepEqual([8, 9, 10].map((number) => history.at(number)!.event.from), [7, 8, 9]);
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
  const history = new History(100, 4 * OVERHEAD_CHARACTERS, ({ event }) => forgotten.push(event.time));
  const message = { from: 0, to: 1, whole: true, title: "GET /" };
  const exchanges = [1, 2].map((number) => ({ number, request: message, responses: [] }));
  const rows = [["A", [["x", "1"]]], ["B", null]] as const;
  history.add({ kind: "fin", time: 1, connection: 1, end: "server", exchanges });
  assert.deepEqual(forgotten, []);
  history.add({ kind: "table", time: 2, connection: 0, end: "server", rows });
  assert.deepEqual(forgotten, [1]);
  history.add({ kind: "table", time: 3, connection: 0, end: "server", rows: [["C", [["x", "y".repeat(1000)]]]] });
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

/** A history of reads on connection 2, in pieces, with the messages that they make. */
function historyOf(pieces: string[], messages: string[]): History {
  const history = new History();
  let at = 0;
  const exchanges = messages.map((text, index) => {
    const request: PageMessage = { from: at, to: at += text.length, whole: true, title: "" };
    return { number: index + 1, request, responses: [] };
  });
  let from = 0;
  for (const piece of pieces) {
    const to = from + piece.length;
    const told = { kind: "read", time: 1, connection: 2, end: "server", direction: "request", from, to } as const;
    history.add({ ...told, exchanges }, wireOctets(piece));
    from = to;
  }
  return history;
}

const A = "GET /Momo HTTP/1.1\r\nHost: a\r\n\r\n";
const B = "GET /Rex HTTP/1.1\r\nHost: a\r\nCookie: momo=secret\r\n\r\n";

const cases: [what: string, text: string, shown: boolean, places: string[]][] = [
  ["in one message", "/momo", false, ["2 1"]],
  ["at the start of each", "get /", false, ["2 1", "2 2"]],
  ["in both", "HOST: A", false, ["2 1", "2 2"]],
  ["across two reads", "rex http", false, ["2 2"]],
  ["that is nowhere", "Pingping", false, []],
  ["across two messages", "\r\n\r\nGET", false, []],
  ["in a credential", "secret", false, []],
  ["that ends in a credential", "Cookie: momo", false, []],
  ["in a credential that is shown", "secret", true, ["2 2"]],
  ["in UTF-8", "é", false, []],
];

for (const [what, text, shown, places] of cases) {
  Deno.test(`text ${what} is found where it may be`, async () => {
    const history = historyOf([A + B.slice(0, 7), B.slice(7)], [A, B]);
    assert.deepEqual(await history.find(text, shown), places);
  });
}

Deno.test("text of UTF-8 is found by its characters", async () => {
  const octets = "POST / HTTP/1.1\r\nHost: a\r\n\r\n\xed\x95\x91";
  assert.deepEqual(await historyOf([octets], [octets]).find("핑", false), ["2 1"]);
});
