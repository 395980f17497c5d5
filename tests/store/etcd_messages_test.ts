import assert from "node:assert/strict";
import { decode, encode, TableKeys } from "../../lib/store/etcd_messages.ts";

Deno.test("text goes through base64 unchanged", () => {
  for (const text of ["", "a", "핑핑 🐌", "\ufeffa\u0000", '{"b":1}']) assert.equal(decode(encode(text)), text);
  assert.equal(encode("a/b"), "YS9i");
  assert.equal(decode(undefined), "", "what is empty is left out");
});

for (const prefix of ["", "animals/", "a/b/"]) {
  Deno.test(`a table's keys stand below its prefix ${JSON.stringify(prefix)}`, () => {
    const keys = new TableKeys(prefix);
    assert.equal(decode(keys.meta), `${prefix}meta`);
    assert.deepEqual(keys.rows.map((key) => decode(key)), [`${prefix}r/`, `${prefix}r0`]);
    assert.deepEqual(keys.markers.map((key) => decode(key)), [`${prefix}m/`, `${prefix}m0`]);
    assert.equal(decode(keys.marker("lane")), `${prefix}m/lane`);
    for (const name of ["a", "핑핑 🐌", "\ufeffa"]) {
      assert.equal(decode(keys.row(name)), `${prefix}r/${name}`);
      assert.equal(keys.nameOf(keys.row(name)), name);
    }
    assert.equal(decode(keys.after(keys.row("a"))), `${prefix}r/a\0`);
  });
}
