import assert from "node:assert/strict";
import type { Store } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { RowSchema } from "../../lib/table.ts";
import { detailOf, PINGPING, SNAIL, TestTable } from "./test_table.ts";

Deno.test("POST creates a row; a second POST is a 409", async () => {
  const table = new TestTable();
  assert.deepEqual(await table.send("POST /Pingping", PINGPING), {
    status: 201,
    contentType: "application/json",
    fields: { Location: "/Pingping", ETag: '"1"' },
    content: PINGPING,
  });
  const again = await table.send("POST /Pingping", PINGPING);
  assert.equal(again.status, 409);
  assert.equal(detailOf(again), 'A row named "Pingping" already exists');
});

Deno.test("PUT creates or replaces, bare or wrapped", async () => {
  const table = new TestTable();
  const created = await table.send("PUT /Pingping", SNAIL);
  assert.equal(created.status, 201);
  assert.equal(created.fields.Location, "/Pingping");
  const replaced = await table.send("PUT /Pingping", PINGPING.replace("snail", "slug"));
  assert.deepEqual([replaced.status, replaced.fields], [200, { ETag: '"2"' }]);
  assert.equal(replaced.content, PINGPING.replace("snail", "slug"));
});

Deno.test("PATCH merges, as a patch or as JSON", async () => {
  for (const type of ["application/merge-patch+json", "application/json"]) {
    const table = await TestTable.withPingping();
    const merged = await table.send("PATCH /Pingping", '{"age":2}', `Content-Type: ${type}`);
    assert.deepEqual([merged.status, merged.fields], [200, { ETag: '"2"' }]);
    assert.equal(merged.content, '{"Pingping":{"type":"snail","age":2,"leg":"0"}}');
  }
});

Deno.test("PATCH keeps the members of a row before which another program wrote blanks", async () => {
  const table = new TestTable();
  await table.store.put({ name: "Pingping", json: ` \n\t${SNAIL} ` });
  const { content } = await table.send("PATCH /Pingping", '{"age":2}');
  assert.equal(content, '{"Pingping":{"type":"snail","age":2,"leg":"0"}}');
});

Deno.test("PATCH cannot remove a field that a row must have", async () => {
  const answer = await (await TestTable.withPingping()).send("PATCH /Pingping", '{"Pingping":{"leg":null}}');
  assert.equal(answer.status, 422);
  assert.match(detailOf(answer), /leg is missing/);
});

Deno.test("PATCH cannot add a field that a row may not have", async () => {
  const answer = await (await TestTable.withPingping()).send("PATCH /Pingping", '{"color":"red"}');
  assert.equal(answer.status, 422);
  assert.match(detailOf(answer), /color is unknown/);
});

Deno.test("PATCH of a row that is not there is refused, whatever its content", async () => {
  assert.equal((await new TestTable().send("PATCH /Nobody", '{"age":2}')).status, 404);
  assert.equal((await new TestTable().send("PATCH /Nobody", "{")).status, 404);
});

Deno.test("a refused PATCH changes nothing", async () => {
  const table = await TestTable.withPingping();
  for (const patch of ["{", "[]", '{"leg":null}', '{"age":1e400}']) await table.send("PATCH /Pingping", patch);
  const { content, fields } = await table.send("GET /Pingping");
  assert.deepEqual([content, fields.ETag], [PINGPING, '"1"']);
});

for (const fields of ["type,age,leg", "type,age:integer,leg", "type,age:number,leg", "*"]) {
  Deno.test(`a number that would change is refused in rows of ${fields}, and named`, async () => {
    for (const number of ["123456789012345678901234567890", "1e400", "9007199254740992"]) {
      const row = `{"type":"snail","age":${number},"leg":"0"}`;
      for (
        const [line, content] of [["PUT /a", row], ["POST /a", `{"a":${row}}`], [
          "PATCH /Pingping",
          `{"age":${number}}`,
        ]]
      ) {
        const table = await TestTable.withPingping({ schema: RowSchema.parse(fields) });
        const answer = await table.send(line, content);
        assert.equal(answer.status, 422, line);
        const { rule, errors } = JSON.parse(answer.content);
        assert.deepEqual([rule, errors.map(({ field }: { field: string }) => field)], ["RFC 8259 §6", ["age"]]);
        assert.match(detailOf(answer), /^The row does not fit the table: age is an? (integer|number) beyond/);
      }
      const bulk = await (await TestTable.withPingping({ schema: RowSchema.parse(fields) })).send(
        "POST /",
        `{"a":${row}}`,
      );
      assert.equal(bulk.status, 422);
      assert.match(detailOf(bulk), /a wrong field: age is an? (integer|number) beyond/);
    }
  });
}

Deno.test("patches cannot exceed the limit on members", async () => {
  const table = new TestTable({ schema: RowSchema.parse("*") });
  const members = (prefix: string, count: number) =>
    `{${Array.from({ length: count }, (_, i) => `"${prefix}${i}":[]`).join()}}`;
  assert.equal((await table.send("PUT /a", members("a", 60_000))).status, 201);
  assert.equal((await table.send("PATCH /a", members("b", 40_000))).status, 200);
  const beyond = await table.send("PATCH /a", members("c", 1));
  assert.equal(beyond.status, 422);
  assert.match(detailOf(beyond), /has at most 100000 members and elements, saw 100001/);
  assert.equal((await table.send("PATCH /a", members("b", 40_000))).status, 200);
  // Nested members count too.
  assert.equal((await table.send("PUT /b", `{"x":${members("a", 60_000)}}`)).status, 201);
  assert.equal((await table.send("PATCH /b", `{"y":${members("b", 39_998)}}`)).status, 200);
  assert.match(detailOf(await table.send("PATCH /b", '{"z":1}')), /saw 100001$/);
});

/** A store that answers asynchronously, like one that syncs a disk. */
function laterStore(): { store: Store; puts: number[] } {
  const memory = new MemoryStore(0);
  const puts: number[] = [];
  const later = async <T>(work: () => T | Promise<T>): Promise<T> => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    return await work();
  };
  const store: Store = {
    get: (name) => memory.get(name),
    put: (row, expected) =>
      later(async () => {
        const written = await memory.put(row, expected);
        puts.push(written?.row.version ?? 0);
        return written;
      }),
    insert: (rows, expected) => memory.insert(rows, expected),
    remove: (name, expected) => later(() => memory.remove(name, expected)),
    snapshot: () => memory.snapshot(),
    close: () => memory.close(),
  };
  return { store, puts };
}

Deno.test("changes of one row are queued, and none is retried", async () => {
  const { store, puts } = laterStore();
  const table = new TestTable({ schema: RowSchema.parse("*") }, store);
  await table.send("PUT /hot", "{}");
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => {
    if (i % 10 === 5) return table.send("PUT /hot", `{"put":${i}}`);
    if (i % 10 === 7) return table.send("PUT /hot", `{"if":${i}}`, "If-Match: *");
    return table.send("PATCH /hot", `{"n${i}":${i}}`);
  }));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(puts.length, 101);
  assert(!puts.includes(0), "a write met another one's");
  assert.equal((await table.send("GET /hot")).content, '{"hot":{"if":97,"n98":98,"n99":99}}');
});

Deno.test("DELETE removes a row; a second DELETE is a 404", async () => {
  const table = await TestTable.withPingping();
  assert.deepEqual(await table.send("DELETE /Pingping"), {
    status: 204,
    contentType: undefined,
    fields: {},
    content: "",
  });
  assert.equal((await table.send("DELETE /Pingping")).status, 404);
  assert.equal((await table.send("GET /")).content, "{}");
});

Deno.test("a table of any form accepts any object", async () => {
  const table = new TestTable({ schema: RowSchema.parse("*") });
  assert.equal((await table.send("PUT /a", '{"b":{"c":[1,null]}}')).content, '{"a":{"b":{"c":[1,null]}}}');
  assert.equal((await table.send("PATCH /a", '{"b":{"c":null,"d":1}}')).content, '{"a":{"b":{"d":1}}}');
});

Deno.test("a row is in every write at most as long as content may be, measured as it is stored", async () => {
  const table = new TestTable({ schema: RowSchema.parse("*"), maxRowBytes: 100 });
  // 9e15 is stored with 16 digits.
  const longer = `{"x":[${Array(6).fill("9e15").join()}]}`;
  const row = (length: number) => `{"a":{"x":"${"x".repeat(length - 14)}"}}`;
  for (const [line, content] of [["PUT /a", longer], ["POST /a", longer], ["POST /", `{"b":{},"a":${longer}}`]]) {
    const refused = await table.send(line, content);
    assert.equal(refused.status, 413, line);
    assert.match(
      detailOf(refused),
      /^The row "a" has 115 bytes as it is stored: at most 100 are allowed \(--max-body\)/,
    );
  }
  assert.equal((await table.send("GET /")).content, "{}");
  assert.equal((await table.send("PUT /a", row(101))).status, 413);
  assert.equal((await table.send("PUT /a", row(100))).status, 201);
  assert.equal((await table.send("PATCH /a", '{"y":1}')).status, 413);
  assert.equal((await table.send("PATCH /a", '{"x":"핑"}')).status, 200);
  assert.equal((await table.send("PATCH /a", `{"x":"${"핑".repeat(29)}"}`)).status, 413);
  assert.equal((await table.send("GET /a")).content, '{"a":{"x":"핑"}}');
});

Deno.test("a member given twice is refused in every write, and named", async () => {
  for (const fields of ["type,age", "*"]) {
    const table = new TestTable({ schema: RowSchema.parse(fields) });
    await table.send("PUT /a", '{"type":"x","age":1}');
    const row = '{"type":"y","age":"3","age":"99"}';
    for (
      const [line, content] of [
        ["PUT /a", row],
        ["PUT /a", `{"a":${row}}`],
        ["PATCH /a", row],
        ["PATCH /a", `{"a":{"age":null,"age":1}}`],
        ["POST /b", row],
        ["POST /", `{"b":${row}}`],
      ]
    ) {
      const refused = await table.send(line, content);
      assert.equal(refused.status, 422, line);
      assert.match(detailOf(refused), /age is given twice$/);
    }
    const wrappers = await table.send("PUT /a", '{"a":{"type":"y","age":1},"a":{"type":"z","age":2}}');
    assert.match(detailOf(wrappers), /: a is given twice$/);
    assert.equal((await table.send("GET /")).content, '{"a":{"type":"x","age":1}}');
  }
});

Deno.test("the sign of a zero is kept", async () => {
  const table = new TestTable({ schema: RowSchema.parse("b,c:integer") });
  await table.send("PUT /a", '{"b":-0,"c":-0}');
  await table.send("POST /", '{"d":{"b":-0.0,"c":0}}');
  assert.equal((await table.send("PATCH /d", '{"c":-0}')).content, '{"d":{"b":-0,"c":-0}}');
  assert.equal((await table.send("GET /")).content, '{"a":{"b":-0,"c":-0},"d":{"b":-0,"c":-0}}');
});

Deno.test("a row under a name with a quote or a backslash is not read as the name's own characters", async () => {
  const table = new TestTable();
  const quoted = await table.send("PUT /a%22b", `{"a"b":${SNAIL}}`);
  assert.equal(quoted.status, 400);
  const escaped = await table.send("PUT /a%5Cb", `{"a\\b":${SNAIL}}`);
  assert.equal(escaped.status, 422);
  for (const name of ['a"b', "a\\b"]) {
    const { status } = await table.send(`PUT /${encodeURIComponent(name)}`, `{${JSON.stringify(name)}:${SNAIL}}`);
    assert.equal(status, 201);
  }
});
