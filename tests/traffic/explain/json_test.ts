import assert from "node:assert/strict";
import { ALL_KEPT, FileExplainer } from "../../../lib/exchange.ts";
import { jsonText, messagesJson, octetsForJson } from "../../../lib/traffic/explain/json.ts";
import { wireOctets } from "../../wire_cases.ts";

/** Returns the lines of a file's messages, read in pieces of a size. */
function linesOf(file: string, { all = false, size = Infinity } = {}): string[] {
  const octets = wireOctets(file);
  const explainer = new FileExplainer({ answers: () => undefined, crlf: false, ...all && { kept: ALL_KEPT } });
  const view = messagesJson(all);
  let text = "";
  const print = () => {
    for (const placed of explainer.take()) text += view(placed);
  };
  for (let at = 0; at < octets.length; at += size) {
    explainer.receive(octets.subarray(at, at + size));
    print();
  }
  explainer.end();
  print();
  return (text + view()).split("\n").slice(0, -1);
}

const GET = "GET /a HTTP/1.1\r\nHost: a\r\nHost2: b\r\n\r\n";
const NOTES = ["stays open: HTTP/1.1 and no Connection: close (RFC 9112 §9.3)"];
const GET_JSON = {
  ...{ offset: 0, method: "GET", target: "/a", version: "HTTP/1.1" },
  fields: [["Host", "a"], ["Host2", "b"]],
  ...{ contentLength: 0, whole: true },
  findings: ["no content: neither Content-Length nor Transfer-Encoding (RFC 9112 §6.3)", ...NOTES],
  fault: null,
};
const CHUNKED = "HTTP/1.1 200 O\xe9\r\nTransfer-Encoding: chunked\r\nX: \x80\xff\r\n\r\n2\r\n\xe9\n\r\n0\r\n\r\n";
const CHUNKED_JSON = {
  ...{ offset: GET.length, status: 200, reason: "O\xe9", version: "HTTP/1.1" },
  fields: [["Transfer-Encoding", "chunked"], ["X", "\x80\xff"]],
  ...{ contentLength: 2, whole: true },
  findings: ["2 octets of content in 1 chunk", ...NOTES],
  fault: null,
};

Deno.test("an exchange is one line of JSON, with its keys in their order", () => {
  for (const size of [1, 7, Infinity]) {
    const [line, ...more] = linesOf(GET + CHUNKED, { size });
    assert.deepEqual(more, []);
    assert.equal(JSON.stringify(JSON.parse(line)), JSON.stringify({ request: GET_JSON, response: CHUNKED_JSON }));
    // Octets are told from characters: the rules keep their §.
    assert(line.includes(String.raw`"reason":"O\u00e9"`) && line.includes(String.raw`"\u0080\u00ff"`));
    assert(line.includes("(RFC 9112 §9.3)"));
  }
});

Deno.test("content and rows are there if all is asked for", () => {
  const { request, response } = JSON.parse(linesOf(GET + CHUNKED, { all: true })[0]);
  assert.deepEqual([request.content, response.content], ["", "\xe9\n"]);
  assert.deepEqual(request.rows[0], {
    ...{ start: 0, end: 4, kind: "start", octets: "GET ", label: "method: give me a representation; safe, idempotent" },
    rule: "RFC 9110 §9.3.1",
  });
  assert.equal(response.rows.map(({ octets }: { octets: string }) => octets).join(""), CHUNKED);
});

Deno.test("interim responses stand before the final one", () => {
  const early = "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n";
  const [line] = linesOf(GET + early + early + CHUNKED);
  const { interim, response } = JSON.parse(line);
  assert.deepEqual(interim.map(({ status }: { status: number }) => status), [103, 103]);
  assert.equal(response.status, 200);
  assert.deepEqual(Object.keys(JSON.parse(line)), ["request", "interim", "response"]);
});

Deno.test("what is missing is null, and a fault is described", () => {
  const [line] = linesOf("GET / HTTP/1.1\r\nHost : a\r\n\r\n");
  const { request, response } = JSON.parse(line);
  assert.equal(response, null);
  assert.deepEqual([request.method, request.target, request.version, request.fields], ["GET", null, null, []]);
  const { detail, ...fault } = request.fault;
  assert.deepEqual(fault, { cause: "blank-before-colon", rule: "RFC 9112 §5.1", degree: "must", octet: 20 });
  assert.match(detail, /colon/);
  assert.equal(request.whole, false);
  const [answer] = linesOf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  const { request: none, response: { whole, contentLength } } = JSON.parse(answer);
  assert.deepEqual([none, whole, contentLength], [null, false, 2]);
});

Deno.test("every request has a line, even if nobody answers them", () => {
  const lines = linesOf(GET.repeat(2500));
  assert.equal(lines.length, 2500);
  assert(lines.every((line, i) => JSON.parse(line).request.offset === i * GET.length));
});

Deno.test("control characters and octets beyond ASCII are escaped", () => {
  assert.equal(
    jsonText({ a: octetsForJson("\0\x1b\x7f\x9b\xff"), b: "§é" }),
    String.raw`{"a":"\u0000\u001b\u007f\u009b\u00ff","b":"§é"}`,
  );
});
