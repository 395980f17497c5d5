import assert from "node:assert/strict";
import { pathOf, StoredRows } from "../../lib/table/stored_rows.ts";

const SCALARS = ["", "a", '"', "\\", "é😀", "}", "]", ",", ":", "x".repeat(40), 0, -1.5, 1e21, 5e-7, true, false, null];

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
      const isScalar = SCALARS.includes(b as never);
      assert.equal(found.operand(pathOf(["b"]))?.text, isScalar ? String(b) : undefined);
      assert.equal(found.operand(pathOf(["nothing"])), null);
    }
    assert.equal(found.next(), false);
  }
});

Deno.test("a path goes into nested objects only", () => {
  const rows = new StoredRows(new TextEncoder().encode('{"n":{"a":{"b":{"c":"x"}},"d":[{"b":1}],"a.b":2}}'));
  assert(rows.next());
  assert.equal(rows.operand(pathOf(["a", "b", "c"]))?.text, "x");
  for (const path of [["a"], ["a", "b"], ["d", "b"], ["a", "c"], ["a", "b", "c", "d"]]) {
    assert.equal(rows.operand(pathOf(path)), null);
  }
});

Deno.test("only rows that pass all filters are found", () => {
  const rows = new StoredRows(new TextEncoder().encode('{"a":{"n":1},"b":{"n":2},"c":{"n":3}}'), [
    (row) => row.operand(pathOf(["n"]))!.number! > 1,
    (row) => row.operand(pathOf(["n"]))!.number! < 3,
  ]);
  assert(rows.next());
  assert.equal(new TextDecoder().decode(rows.row()), '"b":{"n":2}');
  assert.equal(rows.next(), false);
});

Deno.test("blanks between tokens change nothing", () => {
  const page = '{"a": { "n" : 1 , "m":[ ] } ,\n "b":\t{ } , "c":{"n":\r\n2}  }';
  const rows = new StoredRows(new TextEncoder().encode(page));
  const found: unknown[] = [];
  while (rows.next()) found.push([new TextDecoder().decode(rows.row()), rows.operand(pathOf(["n"]))?.text]);
  assert.deepEqual(found, [['"a": { "n" : 1 , "m":[ ] }', "1"], ['"b":\t{ }', undefined], ['"c":{"n":\r\n2}', "2"]]);
});

Deno.test("what is not JSON is an error, and never a wait without end", () => {
  const page = '{"a":{"n":1,"m":["x",{}]},"b":{"n":"\\""}}';
  const read = (text: string) => {
    const rows = new StoredRows(new TextEncoder().encode(text));
    while (rows.next()) rows.operand(pathOf(["n"]));
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
