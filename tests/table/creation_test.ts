import assert from "node:assert/strict";
import { MemoryStore } from "../../lib/store/memory.ts";
import { ChosenNames } from "../../lib/table/creation.ts";
import { Pacer } from "../../lib/turns.ts";
import { CountedTurns } from "../support.ts";
import { RowSchema } from "../../lib/table.ts";
import { PINGPING, SNAIL, TestTable } from "./test_table.ts";

Deno.test("the names of a large table are looked at once, in turns", async () => {
  const store = new MemoryStore(0);
  await store.insert(Array.from({ length: 30_000 }, (_, i) => ({ name: `r${i}`, json: "{}" })));
  const names = new ChosenNames(store);
  const turns = new CountedTurns();
  const pacer = new Pacer(undefined, turns);
  assert.deepEqual(await Promise.all([names.next(pacer), names.next(pacer)]), ["r30000", "r30001"]);
  const { asked } = turns;
  assert(asked > 5, `${asked} turns`);
  assert.equal(await names.next(pacer), "r30002");
  assert.equal(turns.asked, asked);
});

Deno.test("only names of the form are noted", async () => {
  const names = new ChosenNames(new MemoryStore(0));
  for (const name of ["r07", "r1.5", "r1e3", "r-9", "s8", "r9007199254740993", "r", "rr3"]) names.note(name);
  assert.equal(await names.next(new Pacer()), "r1");
  names.note("r41");
  names.note("r40");
  assert.equal(await names.next(new Pacer()), "r42");
});

Deno.test("a search that fails is made again", async () => {
  const store = new MemoryStore(0);
  const snapshot = store.snapshot.bind(store);
  let calls = 0;
  store.snapshot = (...args) => {
    if (calls++ === 0) throw new Error("away");
    return snapshot(...args);
  };
  const names = new ChosenNames(store);
  await assert.rejects(names.next(new Pacer()), /away/);
  assert.equal(await names.next(new Pacer()), "r1");
});

Deno.test("many rows are created together, in the order of the content", async () => {
  const table = new TestTable();
  const created = await table.send("POST /", `{"10":${SNAIL},"b":${SNAIL},"9":${SNAIL}}`);
  assert.deepEqual([created.status, created.content], [201, '{"created":3}']);
  assert.equal((await table.send("GET /")).content, `{"10":${SNAIL},"b":${SNAIL},"9":${SNAIL}}`);
  assert.equal((await table.send("POST /", "{}")).content, '{"created":0}');
});

Deno.test("lines of rows are created together, or none", async () => {
  const table = await TestTable.withPingping();
  const type = "Content-Type: application/x-ndjson";
  const post = (content: string) => table.send("POST /", content, type);
  assert.equal((await post(`{"10":${SNAIL}}\n{"9":${SNAIL}}\n`)).content, '{"created":2}');
  assert.equal((await post(`{"8":${SNAIL}}\n{"Pingping":${SNAIL}}`)).status, 409);
  assert.equal((await post(`{"8":${SNAIL}}\n{"7":{}}`)).status, 422);
  assert.equal(
    (await table.send("GET /", "", "Accept: application/x-ndjson")).content,
    [
      PINGPING,
      `{"10":${SNAIL}}`,
      `{"9":${SNAIL}}`,
      "",
    ].join("\n"),
  );
  assert.equal((await table.send("POST /a", `{"a":${SNAIL}}`, type)).status, 415);
});

Deno.test("one row's fields become a row under a name above all that there were", async () => {
  const store = new MemoryStore(0);
  for (const name of ["r007", "r5", "r9007199254740992", "R9", "r", "r6x"]) await store.put({ name, json: SNAIL });
  const table = new TestTable({}, store);
  const first = await table.send("POST /", SNAIL);
  assert.deepEqual([first.status, first.fields.Location, first.content], [201, "/r6", `{"r6":${SNAIL}}`]);
  assert.equal(first.fields.ETag, (await table.send("GET /r6")).fields.ETag);
  await table.send("PUT /r20", SNAIL);
  await table.send("DELETE /r20");
  await table.send("GET /r25");
  assert.equal((await table.send("POST /", SNAIL)).fields.Location, "/r21");
  await table.send("POST /", `{"r30":${SNAIL}}`);
  const names = await Promise.all([0, 1, 2].map(async () => (await table.send("POST /", SNAIL)).fields.Location));
  assert.deepEqual(names, ["/r31", "/r32", "/r33"]);
  const { revision } = await store.snapshot();
  assert.equal((await table.send("POST /", SNAIL, `If-Match: "${revision}"`)).fields.Location, "/r34");
  assert.equal((await table.send("POST /", SNAIL, `If-Match: "${revision}"`)).status, 412);
});

Deno.test("a name that another server took is passed over", async () => {
  const store = new MemoryStore(0);
  const table = new TestTable({}, store);
  assert.equal((await table.send("POST /", SNAIL)).fields.Location, "/r1");
  for (const name of ["r2", "r3"]) await store.put({ name, json: SNAIL });
  assert.equal((await table.send("POST /", SNAIL)).fields.Location, "/r4");
});

Deno.test("the largest number is the last one", async () => {
  const store = new MemoryStore(0);
  await store.put({ name: "r9007199254740990", json: SNAIL });
  const table = new TestTable({}, store);
  assert.equal((await table.send("POST /", SNAIL)).fields.Location, "/r9007199254740991");
  assert.equal((await table.send("POST /", SNAIL)).status, 507);
});

const neither: [content: string, fields: string, status: number][] = [
  ["[1]", "type,age,leg", 422],
  ['"x"', "type,age,leg", 422],
  ['{"type":"x"}', "type,age,leg", 422],
  ['{"Rex":"dog"}', "type,age,leg", 422],
  ['{"type":"x",}', "type,age,leg", 400],
  ['{"a":{"b":1},"c":2}', "*", 201],
  ['{"a":{"b":1}}', "*", 201],
];

for (const [content, fields, status] of neither) {
  Deno.test(`POST / of ${content} with --fields ${fields}: ${status}`, async () => {
    const table = new TestTable({ schema: RowSchema.parse(fields) });
    const answer = await table.send("POST /", content);
    assert.equal(answer.status, status);
    if (status === 422) {
      assert.match(JSON.parse(answer.content).detail, /rows as \{"NAME":\{…\}\}, or the fields of one row/);
    }
    if (status === 201) assert.equal(answer.content, content.includes("c") ? `{"r1":${content}}` : '{"created":1}');
  });
}

const bulk: [content: string, status: number, errors: string[]][] = [
  [`{"a":${SNAIL},"Pingping":${SNAIL}}`, 409, ["Pingping already exists"]],
  [`{"a":${SNAIL},"a":${SNAIL}}`, 422, ["a is given twice"]],
  [`{"a":${SNAIL},"b":1}`, 422, ["b must be an object with the row's fields"]],
  [`{"a":${SNAIL},"b/c":${SNAIL},"":${SNAIL}}`, 422, ["b/c must not contain a /", " must not be empty"]],
  [`{"a":${SNAIL},"b":{"type":"x","age":"1"}}`, 422, [
    "b has a wrong field: leg is missing: expected a string, a number, true, false or null",
  ]],
];

for (const [content, status, errors] of bulk) {
  Deno.test(`POST / of ${content} creates nothing: ${status}`, async () => {
    const table = await TestTable.withPingping();
    const answer = await table.send("POST /", content);
    assert.equal(answer.status, status);
    const problem = JSON.parse(answer.content);
    assert.deepEqual(problem.errors.map(({ field, detail }: Record<string, string>) => `${field} ${detail}`), errors);
    assert.equal((await table.send("GET /")).content, PINGPING);
  });
}
