import assert from "node:assert/strict";
import { RowJoiner } from "../../lib/table/row_joiner.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Uint8Array) => new TextDecoder().decode(octets);

Deno.test("joined rows are one JSON object, however many pieces are taken", () => {
  assert.equal(text(new RowJoiner("application/json").end()), "{}");
  const joiner = new RowJoiner("application/json");
  joiner.add(bytes('"a":{}'));
  assert.equal(text(joiner.take()), '{"a":{}');
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
