import assert from "node:assert/strict";
import { History } from "../../../lib/traffic/live/history.ts";
import type { ToldMessage } from "../../../lib/traffic/live/told.ts";
import { wireOctets } from "../../wire_cases.ts";

/** A history of reads on connection 2, in pieces, with the messages that they make. */
function historyOf(pieces: string[], messages: string[]): History {
  const history = new History();
  let at = 0;
  const exchanges = messages.map((text, index) => {
    const request: ToldMessage = { from: at, to: at += text.length, whole: true, title: "", status: 0 };
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
