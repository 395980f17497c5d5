import assert from "node:assert/strict";
import { Explainer } from "../../lib/exchange.ts";
import { wireOctets } from "../wire_cases.ts";

/** Returns what the last response is said to hold, if anything. */
function held(...messages: string[]): string | undefined {
  const explainer = new Explainer();
  for (const message of messages) {
    const direction = message.startsWith("HTTP/") ? "response" : "request";
    explainer.octets(direction, wireOctets(`${message}${direction === "request" ? "\r\nHost: a" : ""}\r\n\r\n`));
  }
  return explainer.take().at(-1)!.findings.find(({ text }) => text.includes("holds"))?.text;
}

const GET = "GET /a HTTP/1.1";
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "x"';
const cases: [what: string, messages: string[], held: string | undefined][] = [
  ["by its own tag", [GET, OK, GET, 'HTTP/1.1 304 No\r\nETag: "x"'], 'the tag "x" of response 1 still holds'],
  ["by a weak one", [GET, OK, GET, 'HTTP/1.1 304 No\r\nETag: W/"x"'], 'the tag "x" of response 1 still holds'],
  [
    "by a tag of the request",
    [GET, OK, `${GET}\r\nIf-None-Match: "y,z", "x"`, "HTTP/1.1 304 No"],
    'the tag "x" of response 1 still holds',
  ],
  [
    "that had it last",
    [GET, OK, GET, OK, GET, 'HTTP/1.1 304 No\r\nETag: "x"'],
    'the tag "x" of response 2 still holds',
  ],
  ["not of another target", [GET, OK, "GET /b HTTP/1.1", 'HTTP/1.1 304 No\r\nETag: "x"'], undefined],
  ["not of another tag", [GET, OK, GET, 'HTTP/1.1 304 No\r\nETag: "y"'], undefined],
  ["not of an error", [GET, OK.replace("200", "404"), GET, 'HTTP/1.1 304 No\r\nETag: "x"'], undefined],
  ["not of POST, whose tag is another resource's", [
    GET.replace("GET", "POST"),
    OK,
    GET,
    'HTTP/1.1 304 No\r\nETag: "x"',
  ], undefined],
  ["not without a tag", [GET, OK, GET, "HTTP/1.1 304 No"], undefined],
  ["not of another status", [GET, OK, GET, OK], undefined],
];

for (const [what, messages, expected] of cases) {
  Deno.test(`a 304 names the response that still holds, ${what}`, () => assert.equal(held(...messages), expected));
}

Deno.test("only so many tags are remembered", () => {
  const many = Array.from({ length: 1001 }, (_, i) => [`GET /${i} HTTP/1.1`, OK]).flat();
  const not = 'HTTP/1.1 304 No\r\nETag: "x"';
  assert.equal(held(...many, "GET /0 HTTP/1.1", not), undefined);
  assert.equal(held(...many, "GET /1 HTTP/1.1", not), 'the tag "x" of response 2 still holds');
});
