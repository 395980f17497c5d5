import assert from "node:assert/strict";
import { MORE } from "../../lib/http/scan.ts";
import { parseTarget, StartLine, type Target } from "../../lib/http/start_line.ts";
import { REQUEST_LIMITS } from "../../lib/limits.ts";
import { wireOctets } from "../wire_cases.ts";

Deno.test("the ends of a request line's parts are found", () => {
  const text = "..GET /a?b HTTP/1.0\r\nHost";
  const bytes = wireOctets(text);
  const line = new StartLine(REQUEST_LIMITS);
  assert.equal(line.scan("request", bytes, 2, bytes.length), text.indexOf("Host"));
  assert.equal(text.slice(2, 2 + line.firstEnd), "GET");
  assert.equal(text.slice(2 + line.firstEnd + 1, 2 + line.secondEnd), "/a?b");
  assert.equal(line.minor, 0);
});

Deno.test("the ends of a status line's parts are found", () => {
  const text = "HTTP/1.1 404 Not Found\r\n";
  const bytes = wireOctets(text);
  const line = new StartLine(REQUEST_LIMITS);
  assert.equal(line.scan("response", bytes, 0, bytes.length), text.length);
  assert.equal(text.slice(0, line.firstEnd), "HTTP/1.1");
  assert.equal(text.slice(line.firstEnd + 1, line.firstEnd + 4), "404");
  assert.equal(text.slice(line.secondEnd), "Not Found\r\n");
  assert.equal(line.minor, 1);
});

Deno.test("an incomplete line needs more bytes", () => {
  const request = wireOctets("GET /%41 HTTP/1.1\r\n");
  const status = wireOctets("HTTP/1.1 200 OK\r\n");
  const line = new StartLine(REQUEST_LIMITS);
  for (let end = 0; end < request.length; end++) assert.equal(line.scan("request", request, 0, end), MORE);
  for (let end = 0; end < status.length; end++) assert.equal(line.scan("response", status, 0, end), MORE);
});

for (const [text, byte, offset] of [["%x1", "x", 5], ["%1x", "x", 6], ["%41%4", " ", 9]] as const) {
  Deno.test(`the target ${text} is refused at its first octet that is no hexadecimal digit`, () => {
    const bytes = wireOctets(`GET ${text} HTTP/1.1\r\n`);
    const seen = byte === " " ? "SP" : JSON.stringify(byte);
    assert.throws(() => new StartLine(REQUEST_LIMITS).scan("request", bytes, 0, bytes.length), {
      status: 400,
      message: `Expected a hexadecimal digit after % in the target, saw ${seen}`,
      offset,
    });
  });
}

Deno.test("a wrong version is told with its first wrong character", () => {
  const bytes = wireOctets("GET / HTTP-1.1\r\n");
  assert.throws(() => new StartLine(REQUEST_LIMITS).scan("request", bytes, 0, bytes.length), {
    message: 'Expected the version HTTP/1.1 or HTTP/1.0, saw "-" as its character 5',
    offset: 10,
  });
});

// Targets have at most six octets here; a percent-encoded octet across the limit is refused.
const targets: [target: string, outcome: number | "MORE" | "fits"][] = [
  ["/aaaaa ", "fits"],
  ["/aaaaa", "MORE"],
  ["/aaaaaa", 414],
  ["/aaaaaa ", 414],
  ["/aa%41 ", "fits"],
  ["/aa%4", "MORE"],
  ["/aaa%41 ", 414],
  ["/aaa%4", "MORE"],
  ["/aaaa%41 ", 414],
  ["/aaaa%", "MORE"],
  ["/aaaaa%41 ", 414],
  ["/aaaaa%", 414],
];

for (const [target, outcome] of targets) {
  Deno.test(`of at most six octets, the target ${JSON.stringify(target)} has the outcome ${outcome}`, () => {
    const bytes = wireOctets(`GET ${target}`);
    const line = new StartLine({ ...REQUEST_LIMITS, maxTargetBytes: 6 });
    if (typeof outcome === "number") {
      assert.throws(() => line.scan("request", bytes, 0, bytes.length), { status: outcome, offset: 10 });
    } else {
      assert.equal(line.scan("request", bytes, 0, bytes.length), MORE);
      assert.equal(line.secondEnd > 0, outcome === "fits");
    }
  });
}

const parsed: [method: string, target: string, Target][] = [
  ["GET", "/", { authority: undefined, path: "/", query: undefined }],
  ["GET", "/a?b?c", { authority: undefined, path: "/a", query: "b?c" }],
  ["GET", "/a?", { authority: undefined, path: "/a", query: "" }],
  ["GET", "//a", { authority: undefined, path: "//a", query: undefined }],
  ["GET", "http://h:1/a?b", { authority: "h:1", path: "/a", query: "b" }],
  ["GET", "HTTPS://h", { authority: "h", path: "/", query: undefined }],
  ["GET", "http://h?b", { authority: "h", path: "/", query: "b" }],
  ["OPTIONS", "http://h", { authority: "h", path: "*", query: undefined }],
  ["OPTIONS", "*", { authority: undefined, path: "*", query: undefined }],
  ["CONNECT", "[::1]:443", { authority: "[::1]:443", path: "", query: undefined }],
];

for (const [method, target, parts] of parsed) {
  Deno.test(`RFC 9112 §3.2: ${method} ${target}`, () => assert.deepEqual(parseTarget(method, target, 0), parts));
}
