import assert from "node:assert/strict";
import { ARRAY, MISSING, NUMBER, OBJECT } from "../../lib/table/comparison.ts";
import { fieldOf, RowJoiner, StoredRows } from "../../lib/table/stored_rows.ts";

const SCALARS = ["", "a", '"', "\\", "é😀", "}", "]", ",", ":", "x".repeat(40), 0, -1.5, 1e21, 5e-7, true, false, null];

/** Returns the text or the digits at a path, or the JSON of what has neither; `undefined` if nothing is there. */
function shown(rows: StoredRows, path: string[]): string | undefined {
  const value = rows.value(fieldOf(path));
  if (value.kind === MISSING) return undefined;
  if (value.kind === ARRAY || value.kind === OBJECT) {
    const row = JSON.parse(`{${new TextDecoder().decode(rows.row())}}`);
    return JSON.stringify(path.reduce((object: Record<string, never>, name) => object[name], row[Object.keys(row)[0]]));
  }
  return value.kind <= 1 ? value.text : ["false", "true", "null"][value.kind - 2];
}

Deno.test("rows of a page are found one after the other, with the values at a path", () => {
  const values: unknown[] = [...SCALARS, [], {}, [1, { a: "]" }], { "b": { "c": '"}' } }];
  const rows = values.map((
    value,
    i,
  ): [string, unknown] => [`${i}"\\é`, { before: [{}], "a.b": 1, a: value, b: value }]);
  const page = JSON.stringify(Object.fromEntries(rows));
  for (const text of [page, `,${page.slice(1)}`, page.slice(0, -1)]) {
    const found = new StoredRows(new TextEncoder().encode(text));
    for (const [name, row] of rows) {
      assert(found.next());
      assert.equal(new TextDecoder().decode(found.row()), `${JSON.stringify(name)}:${JSON.stringify(row)}`);
      const { b } = row as { b: unknown };
      assert.equal(
        shown(found, ["b"]),
        typeof b === "object" || typeof b === "boolean" ? JSON.stringify(b) : String(b),
      );
      assert.equal(shown(found, ["nothing"]), undefined);
    }
    assert.equal(found.next(), false);
  }
});

Deno.test("a path goes into nested objects only", () => {
  const rows = new StoredRows(new TextEncoder().encode('{"n":{"a":{"b":{"c":"x"}},"d":[{"b":1}],"a.b":2}}'));
  assert(rows.next());
  assert.equal(shown(rows, ["a", "b", "c"]), "x");
  for (const path of [["d", "b"], ["a", "c"], ["a", "b", "c", "d"]]) {
    assert.equal(shown(rows, path), undefined);
  }
});

Deno.test("only rows that pass all filters are found", () => {
  const rows = new StoredRows(new TextEncoder().encode('{"a":{"n":1},"b":{"n":2},"c":{"n":3}}'), [
    (row) => row.value(fieldOf(["n"])).number > 1,
    (row) => row.value(fieldOf(["n"])).number < 3,
  ]);
  assert(rows.next());
  assert.equal(new TextDecoder().decode(rows.row()), '"b":{"n":2}');
  assert.equal(rows.next(), false);
});

Deno.test("blanks between tokens change nothing", () => {
  const page = '{"a": { "n" : 1 , "m":[ ] } ,\n "b":\t{ } , "c":{"n":\r\n2}  }';
  const rows = new StoredRows(new TextEncoder().encode(page));
  const found: unknown[] = [];
  while (rows.next()) found.push([new TextDecoder().decode(rows.row()), shown(rows, ["n"])]);
  assert.deepEqual(found, [['"a": { "n" : 1 , "m":[ ] }', "1"], ['"b":\t{ }', undefined], ['"c":{"n":\r\n2}', "2"]]);
});

Deno.test("a name that is written with escapes is found", () => {
  const rows = new StoredRows(new TextEncoder().encode('{"r":{"\\u0061ge":1,"n\\u00e4":2,"b":3}}'));
  assert(rows.next());
  assert.deepEqual([["age"], ["nä"], ["b"], ["a"]].map((path) => shown(rows, path)), ["1", "2", "3", undefined]);
});

Deno.test("the elements of an array are looked at, but not objects and arrays among them", () => {
  const rows = new StoredRows(new TextEncoder().encode('{"r":{"a":[ 1 , "x",[2],{"b":3},null ],"b":7}}'));
  assert(rows.next());
  const seen = (name: string) => {
    const field = fieldOf([name]);
    const kinds: number[] = [];
    rows.anyPasses(field, ({ kind }) => kinds.push(kind) > 9);
    return kinds;
  };
  assert.deepEqual([seen("a"), seen("b")], [[0, 1, 4], [NUMBER]]);
});

Deno.test("what is not JSON is an error, and never a wait without end", () => {
  const page = '{"a":{"n":1,"m":["x",{}]},"b":{"n":"\\""}}';
  const read = (text: string) => {
    const rows = new StoredRows(new TextEncoder().encode(text));
    while (rows.next()) rows.value(fieldOf(["n"]));
  };
  read(page);
  for (
    const damaged of [
      '{"a":{"n":1',
      '{"a":{"n',
      '{"a":',
      '{"a',
      '{"a":{"n":1}x}',
      '{"a":]',
      '{"a":{]}',
      '{"a":"x\\',
      "{,:",
    ]
  ) {
    try {
      read(damaged);
    } catch (error) {
      assert(error instanceof TypeError);
    }
  }
  for (let i = 1; i < page.length; i++) {
    for (const octet of ["", '"', "}", "]", ",", "\\", "x"]) {
      try {
        read(page.slice(0, i) + octet + page.slice(i + 1));
        read(page.slice(0, i) + octet);
      } catch (error) {
        assert(error instanceof TypeError || error instanceof SyntaxError);
      }
    }
  }
});

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Uint8Array) => new TextDecoder().decode(octets);

Deno.test("joined rows are one JSON object, however many pieces are taken", () => {
  assert.equal(text(new RowJoiner("application/json").end()), "{}");
  const joiner = new RowJoiner("application/json");
  joiner.add(bytes('"a":{}'));
  assert.equal(text(joiner.piece()), '{"a":{}');
  joiner.add(bytes('"b":{}'));
  assert.equal(text(joiner.end()), ',"b":{}}');
});

Deno.test("joined lines are one object each, whatever is between the tokens of a row", () => {
  assert.equal(text(new RowJoiner("application/x-ndjson").end()), "");
  const joiner = new RowJoiner("application/x-ndjson");
  joiner.add(bytes('"10":{"a":"\\n"}'));
  joiner.add(bytes('"2":{\r\n"a":1\n}'));
  assert.equal(text(joiner.end()), '{"10":{"a":"\\n"}}\n{"2":{  "a":1 }}\n');
});
