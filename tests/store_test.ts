import assert from "node:assert/strict";
import { rowContent, rowValue } from "../lib/store.ts";

Deno.test("a row's content is built from its name and value, and the value is extracted from it", () => {
  const content = rowContent('a"b\\핑', '{"c":[1,{"d":null}]}');
  assert.equal(content, '{"a\\"b\\\\핑":{"c":[1,{"d":null}]}}');
  assert.deepEqual(rowValue(content), { c: [1, { d: null }] });
  assert.deepEqual(rowValue(new TextEncoder().encode(content)), { c: [1, { d: null }] });
  assert.deepEqual(rowValue(rowContent("__proto__", '{"a":1}')), { a: 1 });
  for (const name of ["", '"', "\\", '\\"', '":{', "\\\\", '"}":']) {
    assert.deepEqual(rowValue(rowContent(name, '{"a":{"b":1}}')), { a: { b: 1 } }, name);
  }
  assert.throws(() => rowValue("{}"), TypeError);
});
