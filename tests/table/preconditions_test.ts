import assert from "node:assert/strict";
import { entityTag, preconditionsHold, readPreconditions } from "../../lib/table/preconditions.ts";
import { HttpError } from "../../lib/http/error.ts";
import { Fields, FieldSection } from "../../lib/http/fields.ts";
import { wireOctets } from "../wire_cases.ts";

function fieldsOf(lines: Record<string, string>): Fields {
  const text = `${Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const section = new FieldSection();
  section.reset(0);
  section.scan(wireOctets(text), 0, text.length, { maxBytes: 10_000, maxLines: 10, name: "header section" });
  return new Fields(text, section.spans);
}

function outcome(method: string, lines: Record<string, string>, version: number | undefined): number {
  const preconditions = readPreconditions(fieldsOf(lines));
  if (preconditions === undefined) return 200;
  try {
    return preconditionsHold(preconditions, method, version) ? 200 : 304;
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
  assert.equal(readPreconditions(fieldsOf({ "If-Range": '"1"' })), undefined);
});

Deno.test("the error names the current tag, or that nothing exists", () => {
  const ifMatch = { ifMatch: '"1"', ifNoneMatch: undefined };
  assert.throws(() => preconditionsHold(ifMatch, "PUT", undefined), {
    message: 'If-Match asks for "1", but nothing exists',
  });
  assert.throws(() => preconditionsHold(ifMatch, "PUT", 2), { message: 'If-Match asks for "1", but the tag is "2"' });
  const ifNoneMatch = { ifMatch: undefined, ifNoneMatch: "*" };
  assert.throws(() => preconditionsHold(ifNoneMatch, "PUT", 2), {
    message: 'If-None-Match asks that nothing exists, but the tag is "2"',
  });
});
