import assert from "node:assert/strict";
import { rowContent } from "../lib/store.ts";

Deno.test("a row's content is built from its name and value", () => {
  const content = rowContent('a"b\\핑', '{"c":[1,{"d":null}]}');
  assert.equal(content, '{"a\\"b\\\\핑":{"c":[1,{"d":null}]}}');
  for (const name of ["__proto__", "", '"', "\\", '\\"', '":{', "\\\\", '"}":']) {
    const members = Object.entries(JSON.parse(rowContent(name, '{"a":{"b":1}}')));
    assert.deepEqual(members, [[name, { a: { b: 1 } }]]);
  }
});
