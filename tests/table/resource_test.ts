import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { Fields, FieldSection } from "../../lib/http/fields.ts";
import { REQUEST_LIMITS } from "../../lib/limits.ts";
import {
  allCreatedResponse,
  createdResponse,
  entityTag,
  hasPreconditions,
  nameProblem,
  preconditionsHold,
  refuseMethod,
  refuseStoreError,
  requireContent,
  rowName,
  rowPath,
  rowResponse,
  writtenResponse,
} from "../../lib/table/resource.ts";
import { wireOctets } from "../wire_cases.ts";
import { StoreError, type StoreFault } from "../../lib/store.ts";
import { requestOf } from "../support.ts";

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof HttpError) return `${error.status} ${error.message}`;
    throw error;
  }
  return "none";
}

Deno.test("a name is percent-decoded from a path, and encoded into one", () => {
  for (const name of ["Pingping", "핑핑", "a b", "100%", "a?b#c", "...", "🐌", "\u{10ffff}"]) {
    assert.equal(rowName(rowPath(name)), name);
  }
  assert.equal(rowPath("핑핑"), "/%ED%95%91%ED%95%91");
});

const paths: [path: string, refusal: string][] = [
  ["/a/b", "404 Nothing is at /a/b: a row is at /NAME, and a name has no /"],
  ["//me:ab@b", "404 Nothing is at //me:(2 octets)@b: a row is at /NAME, and a name has no /"],
  ["//b", "404 Nothing is at //b: a row is at /NAME, and a name has no /"],
  ["/a%2Fb", "400 The row's name must not contain a /"],
  ["/.", "400 The row's name must not be ., which stands for another place in a path"],
  ["/%2E.", "400 The row's name must not be .., which stands for another place in a path"],
  ["/%00", "400 The row's name must not contain control characters"],
  ["/a%1Bb", "400 The row's name must not contain control characters"],
  ["/%C2%85", "400 The row's name must not contain control characters"],
  ["/%FF", '400 The row\'s name must be percent-encoded UTF-8, saw "%FF"'],
  ["/%ED%A0%80", '400 The row\'s name must be percent-encoded UTF-8, saw "%ED%A0%80"'],
  [`/${"a".repeat(257)}`, "400 The row's name has at most 256 octets of UTF-8, saw 257"],
  [`/${"%ED%95%91".repeat(86)}`, "400 The row's name has at most 256 octets of UTF-8, saw 258"],
];

for (const [path, expected] of paths) {
  Deno.test(`the path ${path.slice(0, 30)} names no row`, () => assert.equal(refusal(() => rowName(path)), expected));
}

Deno.test("a name has 1 to 256 bytes and is well-formed", () => {
  assert.equal(nameProblem("a".repeat(256)), undefined);
  assert.equal(nameProblem("핑".repeat(85)), undefined);
  assert.equal(nameProblem(""), "must not be empty");
  for (const control of ["\x00", "\x1f", "\x7f", "\x9f"]) {
    assert.match(nameProblem(`a${control}`)!, /control characters/);
  }
  for (const visible of [" ", "~", "\xa0"]) assert.equal(nameProblem(`a${visible}`), undefined);
  assert.match(nameProblem("\ud800")!, /half of a surrogate pair/);
});

Deno.test("media types are compared without case and parameters", () => {
  const text = "Content-Type: Application/JSON ; charset=utf-8\r\n\r\n";
  const fields = new Fields(text, [0, 12, 14, 46]);
  requireContent(fields, ["application/json"]);
  assert.match(refusal(() => requireContent(fields, ["text/plain"])), /^415 .* text\/plain, saw "Application\/JSON/);
  assert.match(refusal(() => requireContent(Fields.EMPTY, ["text/plain"])), /^415 .* saw no Content-Type/);
});

function fieldsOf(lines: Record<string, string>): Fields {
  const text = `${Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const section = new FieldSection(REQUEST_LIMITS);
  section.reset(0);
  section.scan(wireOctets(text), 0, text.length);
  return section.fields(text);
}

function outcome(method: string, lines: Record<string, string>, version: number | undefined): number {
  const fields = fieldsOf(lines);
  if (!hasPreconditions(fields)) return 200;
  try {
    return preconditionsHold({ method, fields }, version) ? 200 : 304;
  } catch (error) {
    if (error instanceof HttpError) return error.status;
    throw error;
  }
}

/** Method, fields, current version, and result: 200 means that the request is performed. */
const cases: [method: string, lines: Record<string, string>, version: number | undefined, outcome: number][] = [
  ["GET", {}, 1, 200],
  ["PUT", { "If-Match": '"1"' }, 1, 200],
  ["PUT", { "If-Match": '"2"' }, 1, 412],
  ["PUT", { "If-Match": '"2" , "1"' }, 1, 200],
  ["PUT", { "If-Match": 'W/"1"' }, 1, 412],
  ["PUT", { "If-Match": "*" }, 1, 200],
  ["PUT", { "If-Match": "*" }, undefined, 412],
  ["PUT", { "If-Match": '"1"' }, undefined, 412],
  ["GET", { "If-Match": '"2"' }, 1, 412],
  ["GET", { "If-None-Match": '"1"' }, 1, 304],
  ["HEAD", { "If-None-Match": '"1"' }, 1, 304],
  ["GET", { "If-None-Match": 'W/"1"' }, 1, 304],
  ["GET", { "If-None-Match": '"2", W/"1"' }, 1, 304],
  ["GET", { "If-None-Match": '"2"' }, 1, 200],
  ["GET", { "If-None-Match": "*" }, 1, 304],
  ["PUT", { "If-None-Match": "*" }, 1, 412],
  ["PUT", { "If-None-Match": "*" }, undefined, 200],
  ["PUT", { "If-None-Match": '"1"' }, 1, 412],
  ["DELETE", { "If-None-Match": '"1"' }, 2, 200],
  // If-Match is evaluated first, then If-None-Match (§13.2.2).
  ["GET", { "If-Match": '"1"', "If-None-Match": '"1"' }, 1, 304],
  ["GET", { "If-None-Match": '"1"', "If-Match": '"2"' }, 1, 412],
  // Rows have no dates, so these are ignored (§13.1.3, §13.1.4).
  ["GET", { "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT" }, 1, 200],
  ["PUT", { "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:37 GMT" }, 1, 200],
  // Tags may contain commas, and lists empty members (§5.6.1.2).
  ["PUT", { "If-Match": '"a,b", "1"' }, 1, 200],
  ["PUT", { "If-Match": ', "1",, ' }, 1, 200],
  // A tag without quotes is malformed: an error is better than a guess.
  ["PUT", { "If-Match": "1" }, 1, 400],
  ["PUT", { "If-Match": "" }, 1, 400],
  ["PUT", { "If-Match": '"1' }, 1, 400],
  ["PUT", { "If-Match": 'w/"1"' }, 1, 400],
  ["PUT", { "If-Match": '"1" "2"' }, 1, 400],
  ["PUT", { "If-Match": '*, "1"' }, 1, 400],
  ["GET", { "If-None-Match": "1" }, 1, 400],
  ["GET", { "If-None-Match": Array(100).fill('"2"').join() }, 1, 200],
  ["GET", { "If-None-Match": Array(101).fill('"2"').join() }, 1, 400],
];

for (const [method, lines, version, expected] of cases) {
  const fields = JSON.stringify(lines).slice(0, 80);
  Deno.test(`RFC 9110 §13: ${method} with ${fields} of ${version ?? "nothing"}: ${expected}`, () => {
    assert.equal(outcome(method, lines, version), expected);
  });
}

Deno.test("a long malformed list is refused at once", () => {
  assert.equal(outcome("PUT", { "If-Match": `"1",${" ".repeat(9000)}x` }, 1), 400);
});

Deno.test("an entity tag is strong", () => {
  assert.equal(entityTag(17), '"17"');
  assert.equal(hasPreconditions(fieldsOf({ "If-Range": '"1"' })), false);
});

Deno.test("the error names the current tag, or that nothing exists", () => {
  const ifMatch = { method: "PUT", fields: fieldsOf({ "If-Match": '"1"' }) };
  assert.throws(() => preconditionsHold(ifMatch, undefined), {
    message: 'If-Match asks for "1", but nothing exists',
  });
  assert.throws(() => preconditionsHold(ifMatch, 2), { message: 'If-Match asks for "1", but the tag is "2"' });
  const ifNoneMatch = { method: "PUT", fields: fieldsOf({ "If-None-Match": "*" }) };
  assert.throws(() => preconditionsHold(ifNoneMatch, 2), {
    message: 'If-None-Match asks that nothing exists, but the tag is "2"',
  });
});

const ROW = { name: "a b", content: '{"a b":{}}', version: 7 };

const faults: [fault: StoreFault, status: number, retries: boolean][] = [
  ["full", 507, false],
  ["too-large", 413, false],
  ["damaged", 500, false],
  ["unavailable", 503, true],
];

for (const [fault, status, retries] of faults) {
  Deno.test(`a store that is ${fault} is a ${status}`, () => {
    assert.throws(() => refuseStoreError(new StoreError(fault, "x", { maxRows: 3 })), {
      status,
      maxRows: 3,
      fields: retries ? [["Retry-After", "1"]] : [],
    });
  });
}

Deno.test("an error that is not the store's stays what it is", () => {
  assert.throws(() => refuseStoreError(new TypeError("x")), TypeError);
});

Deno.test("a write has a validator only if what was put is what is stored", () => {
  const put = (content: string, created: boolean) =>
    writtenResponse({ row: ROW, created }, new TextEncoder().encode(content));
  assert.equal(put(ROW.content, false).etag, 7);
  assert.equal(put('{"a b": {}}', false).etag, undefined);
  assert.deepEqual(put(ROW.content, true).fields, [["Location", "/a%20b"], ["ETag", '"7"']]);
  assert.deepEqual(put("{}", true).fields, [["Location", "/a%20b"]]);
});

Deno.test("what is not there, or there already, is refused", () => {
  const get = requestOf("GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal(rowResponse(get, "a b", ROW).status, 200);
  assert.throws(() => rowResponse(get, "a b", undefined), { status: 404 });
  assert.throws(() => createdResponse("a", undefined), { status: 409 });
  assert.throws(() => allCreatedResponse(2, ["a"]), {
    status: 409,
    errors: [{ field: "a", detail: "already exists" }],
  });
  assert.throws(() => refuseMethod("TRACE", "/", ["GET"]), { status: 405 });
  assert.throws(() => refuseMethod("BREW", "/", ["GET"]), { status: 501 });
});
