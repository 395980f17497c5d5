import assert from "node:assert/strict";
import { Conversation, type Direction } from "../../lib/traffic/conversation.ts";
import { wireOctets } from "../wire_cases.ts";

const GET = "GET /A HTTP/1.1\r\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Returns the exchanges after the steps, each as `number request > responses`. */
function run(steps: [Direction, string | null][]) {
  const conversation = new Conversation();
  const exchanges = new Map<number, string>();
  const complete: string[] = [];
  for (const [direction, octets] of steps) {
    const progress = octets === null ? conversation.fin(direction) : conversation.octets(direction, wireOctets(octets));
    for (const { number, request, responses } of progress.changed) {
      const told = [request, ...responses].map((one) =>
        one === undefined
          ? "nothing"
          : `${one.from}-${one.to}${one.whole ? "" : "…"} ${one.title}${one.fault ? ` ! ${one.fault.offset}` : ""}`
      );
      exchanges.set(number, told.join(" > "));
    }
    for (const { request, status } of progress.complete) complete.push(`${request.method} ${status}`);
  }
  return { exchanges: [...exchanges.values()], complete, conversation };
}

Deno.test("octets become exchanges, whole or in pieces", () => {
  const whole = run([["request", GET], ["response", OK]]);
  assert.deepEqual(whole.exchanges, ["0-28 GET /A > 0-40 200 OK"]);
  assert.deepEqual(whole.complete, ["GET 200"]);
  const pieces = run([
    ...[...GET].map((octet): [Direction, string] => ["request", octet]),
    ...[...OK].map((octet): [Direction, string] => ["response", octet]),
  ]);
  assert.deepEqual(pieces.exchanges, whole.exchanges);
  assert.deepEqual(pieces.complete, whole.complete);
});

Deno.test("requests of one read are separate exchanges, answered in order", () => {
  const { exchanges, complete } = run([["request", GET + GET.replace("/A", "/B")], ["response", OK + OK]]);
  assert.deepEqual(exchanges, ["0-28 GET /A > 0-40 200 OK", "28-56 GET /B > 40-80 200 OK"]);
  assert.deepEqual(complete, ["GET 200", "GET 200"]);
});

Deno.test("an incomplete request is reported as far as it has arrived", () => {
  assert.deepEqual(run([["request", "GET /A HT"]]).exchanges, ["0-9… "]);
  assert.deepEqual(run([["request", "PUT /A HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"]]).exchanges, [
    "0-49… PUT /A",
  ]);
});

Deno.test("an invalid request has its first line as title, and the offset of the error", () => {
  const { exchanges, complete } = run([
    ["request", "GET /A HTTP/1.1\nHost: a\r\n\r\n"],
    ["response", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"],
  ]);
  assert.deepEqual(exchanges, ["0-27… GET /A ! 15 > 0-47 400 Bad Request"]);
  assert.deepEqual(complete, [], "it does nothing to the table");
});

Deno.test("interim responses come before the final one", () => {
  const { exchanges, complete } = run([["request", GET], ["response", `HTTP/1.1 100 Continue\r\n\r\n${OK}`]]);
  assert.deepEqual(exchanges, ["0-28 GET /A > 0-25 100 Continue > 25-65 200 OK"]);
  assert.deepEqual(complete, ["GET 200"]);
});

Deno.test("a response to HEAD has no content", () => {
  const { exchanges } = run([
    ["request", GET.replace("GET", "HEAD") + GET],
    ["response", `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${OK}`],
  ]);
  assert.deepEqual(exchanges, ["0-29 HEAD /A > 0-38 200 OK", "29-57 GET /A > 38-78 200 OK"]);
});

Deno.test("an unsolicited response has no request", () => {
  assert.deepEqual(run([["response", OK]]).exchanges, ["nothing > 0-40 200 OK"]);
});

Deno.test("content that ends with the connection is complete at the FIN", () => {
  const response = "HTTP/1.1 200 OK\r\n\r\nabc";
  assert.deepEqual(run([["request", GET], ["response", response]]).exchanges, ["0-28 GET /A > 0-22… 200 OK"]);
  const { exchanges, complete } = run([["request", GET], ["response", response], ["response", null]]);
  assert.deepEqual(exchanges, ["0-28 GET /A > 0-22 200 OK"]);
  assert.deepEqual(complete, ["GET 200"]);
});

Deno.test("a FIN in the middle of a request is a fault of the request", () => {
  const { exchanges, conversation } = run([["request", "GET /A"], ["request", null]]);
  assert.match(exchanges[0], /^0-6… GET \/A ! /);
  assert(conversation.unanswered);
});
