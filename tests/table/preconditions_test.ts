import assert from "node:assert/strict";
import { MAX_WRITE_ATTEMPTS } from "../../lib/limits.ts";
import type { NewRow, Store } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { SNAIL, TestTable } from "./test_table.ts";

/** Method, precondition, and the results for a row with the tag "1" and for a missing row. */
const preconditions: [method: string, field: string, there: number, missing: number][] = [
  ["GET", 'If-None-Match: "1"', 304, 404],
  ["GET", 'If-None-Match: "2"', 200, 404],
  ["GET", 'If-Match: "2"', 412, 404],
  ["PUT", 'If-Match: "1"', 200, 412],
  ["PUT", 'If-Match: "2"', 412, 412],
  ["PUT", "If-Match: *", 200, 412],
  ["PUT", "If-None-Match: *", 412, 201],
  ["PUT", 'If-None-Match: "1"', 412, 201],
  ["PATCH", 'If-Match: "1"', 200, 404],
  ["PATCH", 'If-Match: "2"', 412, 404],
  ["DELETE", 'If-Match: "1"', 204, 404],
  ["DELETE", 'If-Match: "2"', 412, 404],
  ["DELETE", 'If-None-Match: "2"', 204, 404],
];

for (const [method, field, there, missing] of preconditions) {
  Deno.test(`${method} with ${field}: ${there} for a row, ${missing} for none`, async () => {
    const content = method === "GET" || method === "DELETE" ? "" : SNAIL;
    assert.equal((await (await TestTable.withPingping()).send(`${method} /Pingping`, content, field)).status, there);
    assert.equal((await new TestTable().send(`${method} /Pingping`, content, field)).status, missing);
  });
}

Deno.test("a 304 has the tag, and no content", async () => {
  const table = await TestTable.withPingping();
  assert.deepEqual(await table.send("GET /Pingping", "", 'If-None-Match: W/"1"'), {
    status: 304,
    contentType: undefined,
    fields: { ETag: '"1"' },
    content: "",
  });
});

Deno.test("a precondition is evaluated before the content, but after the media type", async () => {
  const table = await TestTable.withPingping();
  assert.equal((await table.send("PUT /Pingping", "{", 'If-Match: "2"')).status, 412);
  assert.equal((await table.send("PUT /Pingping", "{", 'If-Match: "1"')).status, 400);
  assert.equal((await table.send("PUT /Pingping", "{", 'If-Match: "2"', "Content-Type: a/b")).status, 415);
});

Deno.test("a row that changes between read and write is read again", async () => {
  const store = new MemoryStore(0);
  store.put({ name: "a", json: SNAIL });
  let interruptions = 1;
  let puts = 0;
  const interrupted: Store = {
    get: (name) => store.get(name),
    put(row: NewRow, expected?: number) {
      puts++;
      if (interruptions-- > 0) store.put({ name: "a", json: SNAIL.replace("snail", "slug") });
      return store.put(row, expected);
    },
    insert: (rows) => store.insert(rows),
    remove: (name, expected) => store.remove(name, expected),
    snapshot: () => store.snapshot(),
    close: () => store.close(),
  };
  const table = new TestTable({}, interrupted);
  const patched = await table.send("PATCH /a", '{"age":"9"}');
  assert.equal(patched.content, '{"a":{"type":"slug","age":"9","leg":"0"}}');
  interruptions = 1;
  assert.equal((await table.send("PUT /a", SNAIL, `If-Match: ${patched.fields.ETag}`)).status, 412);
  interruptions = 1;
  assert.equal((await table.send("PUT /a", SNAIL, "If-Match: *")).status, 200);
  interruptions = Infinity;
  puts = 0;
  const given = await table.send("PATCH /a", '{"age":"9"}');
  assert.deepEqual([given.status, given.fields["Retry-After"]], [503, "1"]);
  assert.equal(puts, MAX_WRITE_ATTEMPTS);
});

Deno.test("POST takes preconditions too", async () => {
  const table = await TestTable.withPingping();
  const post = async (target: string, field: string) => {
    const content = target === "/" ? `{"${field.length}":${SNAIL}}` : SNAIL;
    return (await table.send(`POST ${target}`, content, field)).status;
  };
  assert.equal(await post("/new", 'If-Match: "1"'), 412);
  assert.equal(await post("/new", "If-Match: *"), 412);
  assert.equal(await post("/new", "If-None-Match: *"), 201);
  assert.equal(await post("/new", "If-Match: *"), 409);
  assert.equal(await post("/", 'If-Match: "1"'), 412);
  assert.equal(await post("/", "If-None-Match: *"), 412);
  assert.equal(await post("/", 'If-Match: "2"'), 201);
});

Deno.test("the response to a PUT has an ETag only if the row was stored as sent", async () => {
  const table = new TestTable();
  const asSent = await table.send("PUT /a", `{"a":${SNAIL}}`);
  assert.equal(asSent.fields.ETag, '"1"');
  assert.equal((await table.send("PUT /a", SNAIL)).fields.ETag, undefined);
  assert.equal((await table.send("PUT /a", `{"a": ${SNAIL}}`)).fields.ETag, undefined);
  assert.equal((await table.send("GET /a")).fields.ETag, '"3"');
});
