import assert from "node:assert/strict";
import { type Direction, StartLineSearch } from "../../lib/exchange.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

/** Returns what is found in packets: direction, octets with the packet each comes from, octets skipped. */
function search(packets: readonly string[], wanted?: Direction): string {
  const searched = new StartLineSearch<number>();
  for (const [i, text] of packets.entries()) {
    const lent = wireOctets(text);
    const found = searched.receive(lent, i + 1, wanted);
    if (found !== undefined) {
      const pieces = found.pieces.map(({ bytes, packet }) => `${packet}: ${JSON.stringify(octetString(bytes))}`);
      return `${found.direction} ${pieces.join(", ")} after ${searched.skipped}`;
    }
    lent.fill(0);
  }
  return `nothing in ${searched.giveUp()}`;
}

const GET = "GET / HTTP/1.1\r\n";
const OK = "HTTP/1.1 200 OK\r\n";
const cases: [name: string, packets: string[], wanted: Direction | undefined, found: string][] = [
  ["at the start of a packet", [GET], undefined, `request 1: ${JSON.stringify(GET)} after 0`],
  ["of a response", [`${OK}A: b`], undefined, `response 1: ${JSON.stringify(`${OK}A: b`)} after 0`],
  ["after the end of a message", [`x: y\r\n\r\n${GET}`], undefined, `request 1: ${JSON.stringify(GET)} after 8`],
  ["in a later packet", ["a\0b", "c", OK], undefined, `response 3: ${JSON.stringify(OK)} after 4`],
  ["behind text without a line end", ["content", OK], undefined, `response 2: ${JSON.stringify(OK)} after 7`],
  ["cut in two", ["x\nGET / H", "TTP/1.1\r\nA"], undefined, `request 1: "GET / H", 2: "TTP/1.1\\r\\nA" after 2`],
  ["cut in three", ["HTTP", "/1.1 404", " \r\n"], undefined, `response 1: "HTTP", 2: "/1.1 404", 3: " \\r\\n" after 0`],
  ["cut, but another", ["GET / H", GET], undefined, `request 2: ${JSON.stringify(GET)} after 7`],
  ["without a reason", ["HTTP/1.0 304\n"], undefined, `response 1: "HTTP/1.0 304\\n" after 0`],
  ["of the wanted direction", [OK, GET], "request", `request 2: ${JSON.stringify(GET)} after ${OK.length}`],
  ["of the other wanted direction", [GET, OK], "response", `response 2: ${JSON.stringify(OK)} after ${GET.length}`],
  ["that never ends", ["GET /", "abc"], undefined, "nothing in 8"],
  ["that is too long", [`GET /${"a".repeat(9 * 1024)} HTTP/1.1\r\n`], undefined, "nothing in 9232"],
  ["that grows too long", ["GET /", "a".repeat(9 * 1024), " HTTP/1.1\r\n"], undefined, "nothing in 9232"],
  ["of another version", ["GET / HTTP/2.0\r\n"], undefined, "nothing in 16"],
];

for (const [name, packets, wanted, found] of cases) {
  Deno.test(`a start line is found: ${name}`, () => assert.equal(search(packets, wanted), found));
}
