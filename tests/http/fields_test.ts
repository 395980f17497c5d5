import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { Fields, FieldSection } from "../../lib/http/fields.ts";
import { REQUEST_LIMITS } from "../../lib/limits.ts";
import { MORE } from "../../lib/http/scan.ts";
import { wireOctets } from "../wire_cases.ts";

const LIMITS = { ...REQUEST_LIMITS, maxHeadBytes: 100, maxFieldLines: 4 };

function read(text: string): Fields {
  const bytes = wireOctets(text);
  const section = new FieldSection(LIMITS);
  section.reset(0);
  assert.equal(section.scan(bytes, 0, bytes.length), bytes.length);
  return section.fields(text);
}

Deno.test("a field is found in any case, and its lines are joined", () => {
  const fields = read("Accept: a\r\nhost: b\r\nACCEPT:c\r\n\r\n");
  assert.equal(fields.get("accept"), "a, c");
  assert.equal(fields.get("host"), "b");
  assert.equal(fields.get("ost"), undefined);
  assert.equal(fields.count("accept"), 2);
  assert.equal(fields.count("hosts"), 0);
  assert.equal(fields.size, 3);
});

Deno.test("a name with other bytes than letters does not match one with letters", () => {
  assert.equal(read("X_Y: a\r\n\r\n").get("x-y"), undefined);
  assert.equal(read("A-B: a\r\n\r\n").get("a-b"), "a");
});

Deno.test("a name of any length is found, also beyond 32 octets", () => {
  for (const length of [1, 31, 32, 33, 64]) {
    const fields = read(`${"a".repeat(length)}: v\r\n\r\n`);
    for (const asked of [1, 31, 32, 33, 64, 65]) {
      assert.equal(fields.get("a".repeat(asked)), asked === length ? "v" : undefined, `${asked} of ${length}`);
    }
  }
});

Deno.test("lines are text with one blank after the colon and a line end", () => {
  assert.equal(read("B:2\r\na: \t1 \r\nb:\r\n\r\n").lines, "B: 2\r\na: 1\r\nb: \r\n");
  assert.equal(Fields.EMPTY.lines, "");
});

Deno.test("lines are iterated as received", () => {
  assert.deepEqual([...read("B: 2\r\na:1\r\nb: \r\n\r\n")], [["B", "2"], ["a", "1"], ["b", ""]]);
  assert.deepEqual([...Fields.EMPTY], []);
});

Deno.test("a value's offset is that of its last line", () => {
  const fields = read("A: 1\r\nA: 2\r\n\r\n");
  assert.equal(fields.valueOffset("a"), 9);
  assert.equal(fields.valueOffset("b"), -1);
});

Deno.test("a section in pieces is read incrementally", () => {
  const bytes = wireOctets("xxA: 1\r\nB: 2\r\n\r\nyy");
  const section = new FieldSection(LIMITS);
  section.reset(0);
  for (let end = 2; end < 16; end++) assert.equal(section.scan(bytes, 2, end), MORE);
  assert.equal(section.scan(bytes, 2, 18), 16);
  assert.deepEqual([...section.fields("A: 1\r\nB: 2")], [["A", "1"], ["B", "2"]]);
});

Deno.test("the error of a limit names the section, the limit and the offset", () => {
  const bytes = wireOctets(`A: ${"b".repeat(200)}`);
  const section = new FieldSection(LIMITS);
  section.reset(0);
  assert.throws(() => section.scan(bytes, 0, bytes.length), (error) => {
    assert(error instanceof HttpError);
    assert.equal(error.status, 431);
    assert.equal(error.offset, 100);
    assert.equal(error.message, "The header section is longer than 100 octets");
    return true;
  });
});
