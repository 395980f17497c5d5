import assert from "node:assert/strict";
import { FileExplainer } from "../../../lib/exchange.ts";
import { painterFor } from "../../../lib/terminal.ts";
import { afterBareLine, bareFirstLine, messagesText } from "../../../lib/traffic/explain/messages.ts";
import { wireOctets } from "../../wire_cases.ts";

const POST = "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\na\n";

function textOf(file: string): string {
  const octets = wireOctets(file);
  const line = bareFirstLine(octets)!;
  const explainer = new FileExplainer({ answers: () => undefined, crlf: true });
  explainer.receive(octets);
  explainer.end();
  const view = messagesText({ width: 80, all: false, painter: painterFor(false) });
  return afterBareLine(line, explainer.take(), true, true).map((placed) => view(placed)).join("");
}

Deno.test("behind a first line that ends in LF, the rest is explained, and the fix names --crlf", () => {
  const text = textOf("GET / HTTP/1.1\nHost: a\n\nGET /b HTTP/1.1\nHost: a\n\n");
  assert.match(text, /^ {4}0 GET \/ HTTP\/1\.1\\n\n {20}\^ octet 14\n {6}!! A bare LF follows the HTTP version: /);
  assert.match(text, /\n {6}fix: .*--crlf.*unix2dos/);
  assert.match(text, /\n {3}16 Host: a\\r\\n +which site this is for/);
  assert.match(text, /\n\nrequest 2, from octet 27 on\n {4}0 GET [^]*\n {4}4 \/b [^]*\n {3}17 Host: a/);
  assert.equal(text.split("!!").length, 2);
});

Deno.test("unix2dos is not named where it would change content", () => {
  const text = textOf(POST);
  assert.match(text, /fix: .*--crlf/);
  assert.match(text, /\n {3}\d+ a\\n +content\n/);
  assert.doesNotMatch(text, /unix2dos/);
});

Deno.test("two readings are shown of a head whose lines end in LF", () => {
  assert.match(textOf(POST), /two readings[^]*by CR LF alone: [^]*by LF as a line end: /);
});

Deno.test("another fault of a message with LF is explained behind the first line", () => {
  const text = textOf("GET / HTTP/1.1\nHost : a\n\n");
  assert.match(text, /!! A bare LF[^]*request 1, from octet 0 on\n[^]*GET [^]*Host : a\\r\\n\n[^]*!! /);
});

for (const start of ["GET / HTTP/1.1\r\nHost: a\n\n", "GET /\nHost: a\n\n", "GET /", "", "\nGET / HTTP/1.1\n"]) {
  Deno.test(`${JSON.stringify(start)} is explained as it is`, () => {
    assert.equal(bareFirstLine(wireOctets(start)), undefined);
  });
}
