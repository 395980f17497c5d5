import assert from "node:assert/strict";
import { type NewRow, type Store, StoreError } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { insertFile, type RowsFile } from "../../lib/table/rows_file.ts";
import { listing } from "../store/contract.ts";

const LIMITS = { schema: RowSchema.parse("*"), maxRowBytes: 1000, inPieces: false };

/** A file with these octets, of which each read gives at most so many. */
function fileOf(octets: Uint8Array | string, most = 64 * 1024): RowsFile {
  const bytes = typeof octets === "string" ? new TextEncoder().encode(octets) : octets;
  let at = 0;
  return {
    read(buffer) {
      const piece = bytes.subarray(at, at + Math.min(most, buffer.length));
      buffer.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
    rewind: () => Promise.resolve(at = 0),
  };
}

const ROWS = '{"a":{"x":"},{\\"[","y":[{"z":1},{}]},"핑":{"x":"{"},"c":{}}';
const LINES = '{"a":{"x":"},{\\"[","y":[{"z":1},{}]}}\n{"핑":{"x":"{"}}\r\n\n{"c":{}}';
const files: [what: string, text: string, stored: string][] = [
  ["a listing", ROWS, ROWS],
  ["a listing with blanks", ROWS.replaceAll(',"', ' ,\n\t"').replaceAll(':{"x"', ' : {"x"'), ROWS],
  ["a listing with a byte order mark", `\ufeff${ROWS}\n`, ROWS],
  ["lines", LINES, ROWS],
  ["lines that end", `${LINES}\n`, ROWS],
  ["several objects", ROWS.replace(',"핑"', '}{"핑"'), ROWS],
  ["one row", '{"a":{}}\n', '{"a":{}}'],
  ["no row", "{ }", "{}"],
  ["no line", "", "{}"],
  ["blank lines", "\n \n", "{}"],
];

for (const [what, text, expected] of files) {
  Deno.test(`a file with ${what} is read, in pieces of any size`, async () => {
    // A mark is looked for in the first read.
    for (const most of [1, 2, 3, 7, 1000].filter((most) => most > 2 || !text.startsWith("\ufeff"))) {
      const store = new MemoryStore();
      await insertFile(store, fileOf(text, most), LIMITS);
      assert.equal(await listing(store), expected);
    }
  });
}

const INVALID = "No row was created: 1 is invalid, the first one";

const wrong: [what: string, text: string | Uint8Array, message: RegExp | string][] = [
  ["an array", '[{"a":{}}]', /^row 1: expected \{"NAME":\{…\}\}, .*, saw an array$/],
  ["a text", '"a"', /^row 1: expected .*, saw something else$/],
  ["an array in a line", '{"a":{}}\n[]', /^row 2: expected .*, saw an array$/],
  [
    "a row that is no object",
    '{"a":{},"b":1,"c":{}}',
    `${INVALID} "b": it must be an object with the row's fields (row 2)`,
  ],
  ["a name given twice", '{"a":{},"b":{},"a":{}}', `${INVALID} "a": it is given twice (row 3)`],
  ["a name given twice, once escaped", '{"a":{}}\n{"\\u0061":{}}', `${INVALID} "a": it is given twice (row 2)`],
  ["a name with a slash", '{"a/b":{}}', `${INVALID} "a/b": it must not contain a / (row 1)`],
  ["a comma too many", '{"a":{},}', 'row 2 is not JSON: unexpected "}"'],
  ["a comma only", "{,}", 'row 1 is not JSON: unexpected ","'],
  ["a wrong bracket", '{"a":{}]', 'row 2 is not JSON: unexpected "]"'],
  ["a wrong bracket after no row", "{ ]", /^row 1 is not JSON: /],
  ["brackets that do not match", '{"a":{"x":[}]}', /^row 1 is not JSON: /],
  ["no JSON", '{"a":{}, b:{}}', /^row 2 is not JSON: /],
  ["two rows without a comma", '{"a":{} "b":{}}', 'row 2 is not JSON: unexpected "\\""'],
  ["half a row", '{"a":{},"b":{"x":1', "row 2: the file ends in the middle of an object"],
  ["half an object", '{"a":{},"b":{}', "row 3: the file ends in the middle of an object"],
  ["half a number", '{"a":{"x":1', "row 1: the file ends in the middle of an object"],
  [
    "no UTF-8",
    Uint8Array.from(new TextEncoder().encode('{"a":{},"b":{"x":"?"}}'), (o) => o === 0x3f ? 0xff : o),
    "row 2: it is not UTF-8",
  ],
  [
    "a row that is too long",
    `{"a":{},"b":{"x":"${"x".repeat(1000)}"}}`,
    'The row "b" has 1014 bytes as it is stored: at most 1000 are allowed (--max-body) (row 2)',
  ],
  [
    "a row without an end",
    `{"a":{},"b":{"x":"${"x".repeat(200_000)}`,
    "row 2: it has more than the 67536 octets that are read of one",
  ],
];

for (const [what, text, message] of wrong) {
  Deno.test(`a file with ${what} is refused, and nothing is written`, async () => {
    for (const most of [5, 100_000]) {
      const store = new MemoryStore();
      await assert.rejects(insertFile(store, fileOf(text, most), LIMITS), { name: "Error", message });
      assert.equal(await listing(store), "{}");
    }
  });
}

Deno.test("a wrong row far behind is found before the first one is written, and named", async () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => `{"row${i}":{"age":${i === 19_990 ? '"x"' : i}}}`);
  const limits = { ...LIMITS, schema: RowSchema.parse("age:integer") };
  for (const text of [rows.join("\n"), `{${rows.map((row) => row.slice(1, -1)).join()}}`]) {
    const store = new MemoryStore();
    await assert.rejects(insertFile(store, fileOf(text), limits), {
      message: `${INVALID} "row19990": it has a wrong field: age must be an integer, saw "x" (row 19991)`,
    });
    assert.equal(await listing(store), "{}");
    const right = text.replace('"x"', "7");
    await insertFile(store, fileOf(right), limits);
    assert.equal((await store.snapshot()).total, 20_000);
  }
});

Deno.test("a name that is given twice far apart is found", async () => {
  const rows = Array.from({ length: 10_000 }, (_, i) => `{"row${i % 9_999}":{}}`);
  await assert.rejects(insertFile(new MemoryStore(), fileOf(rows.join("\n")), LIMITS), {
    message: `${INVALID} "row0": it is given twice (row 10000)`,
  });
});

Deno.test("a row in the form in which it is stored is not longer than any other may be", async () => {
  const limits = { ...LIMITS, schema: RowSchema.parse("x") };
  const file = (length: number) => fileOf(`{"a":{"x":"${"x".repeat(length - 14)}"}}`);
  await insertFile(new MemoryStore(), file(1000), limits);
  await assert.rejects(insertFile(new MemoryStore(), file(1001), limits), { message: /^The row "a" has 1001 bytes/ });
});

Deno.test("what cannot be read twice is refused", async () => {
  const { read } = fileOf("{}");
  await assert.rejects(insertFile(new MemoryStore(), { read }, LIMITS), { message: /^it is read twice, / });
});

/** A store that takes at most two rows at a time, and fails after some. */
function smallStore(most: number, failure: () => readonly string[]) {
  const rows: string[] = [];
  const insert = (given: readonly NewRow[]) => {
    if (given.length > 2) throw new StoreError("too-large", "too many", { maxRows: 2 });
    if (rows.length >= most) return Promise.resolve(failure());
    rows.push(...given.map(({ name }) => name));
    return Promise.resolve([]);
  };
  return { rows, store: { insert } as unknown as Store };
}

Deno.test("a store that takes few rows at a time gets pieces, and a failure half-way is told", async () => {
  const text = Array.from({ length: 5 }, (_, i) => `{"r${i}":{}}`).join("\n");
  const limits = { ...LIMITS, inPieces: true };
  const whole = smallStore(Infinity, () => []);
  await insertFile(whole.store, fileOf(text), limits);
  assert.deepEqual(whole.rows, ["r0", "r1", "r2", "r3", "r4"]);
  const failing = smallStore(4, () => {
    throw new StoreError("unavailable", "No node answers");
  });
  await assert.rejects(insertFile(failing.store, fileOf(text), limits), {
    message: "only the first 4 of 5 rows were written: No node answers",
  });
  const taken = smallStore(2, () => ["r2"]);
  await assert.rejects(insertFile(taken.store, fileOf(text), limits), {
    message: 'only the first 2 of 5 rows were written: others wrote the row "r2"',
  });
});
