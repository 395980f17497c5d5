import assert from "node:assert/strict";
import { SqliteStore } from "../../lib/store/sqlite.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import type { Store } from "../../lib/store.ts";
import { Table } from "../../lib/table.ts";
import { readContents } from "../../lib/table/reports.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { REQUESTER, requestOf, TempFolder, textOf } from "../support.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

const A = '{"A":{"x":1}}';
const JSON_TYPE = "Content-Type: application/json\r\n";

const exchanges: [request: string, content: string, reports: string[], fields?: string][] = [
  ["PUT /A", A, [`created A ${A}`]],
  ["PUT /A", '{"x":2}', ['replaced A {"A":{"x":2}}']],
  ["PUT /A", A, [], "If-None-Match: *\r\n"],
  ["PUT /A", A, [`replaced A ${A}`], "If-Match: *\r\n"],
  ["PATCH /A", '{"y":3}', ['replaced A {"A":{"x":1,"y":3}}']],
  ["PUT /A", "[]", []],
  ["POST /A", A, []],
  ["POST /B", '{"x":1}', ['created B {"B":{"x":1}}'], "If-None-Match: *\r\n"],
  ["POST /%43", '{"x":1}', ['created C {"C":{"x":1}}']],
  ["GET /A", "", ['read A {"A":{"x":1,"y":3}}']],
  ["HEAD /A", "", []],
  ["GET /D", "", ["read D undefined"]],
  ["DELETE /B", "", ["removed B undefined"]],
  ["DELETE /B", "", []],
  ["DELETE /C", "", ["removed C undefined"], "If-Match: *\r\n"],
  ["GET /", "", ['read rows {"A":{"x":1,"y":3}}']],
  ["HEAD /", "", []],
  ["GET /?x=1", "", []],
  ["POST /", '{"A":{},"E":{}}', []],
  ["POST /", '{"E":{"z":[]},"F":{}}', ['created rows {"E":{"z":[]},"F":{}}']],
  ["POST /", '{"G":{}}', ['created rows {"G":{}}'], "If-Match: *\r\n"],
  ["OPTIONS /", "", []],
];

const stores: Record<string, (folder: string) => Store | Promise<Store>> = {
  memory: () => new MemoryStore(),
  SQLite: (folder) => SqliteStore.open(`${folder}/table.db`),
};

for (const [kind, open] of Object.entries(stores)) {
  Deno.test(`a table tells what it wrote and read, with the exchange that did it: ${kind}`, async () => {
    using folder = new TempFolder();
    const store = await open(folder.path);
    const table = new Table(store, { schema: RowSchema.parse("*") });
    let told: string[] = [];
    table.listener = ({ exchange }, { name, content, how }) => {
      const text = content instanceof Uint8Array ? octetString(content) : content;
      told.push(`${exchange} ${how} ${name ?? "rows"} ${text}`);
    };
    try {
      let exchange = 0;
      for (const [line, content, reports, fields = ""] of exchanges) {
        told = [];
        const head = requestOf(`${line} HTTP/1.1\r\nHost: a\r\n${JSON_TYPE}${fields}\r\n`);
        const requester = { ...REQUESTER, exchange: ++exchange };
        let before: string[] | undefined;
        try {
          const response = await table.answer(head, wireOctets(content), requester);
          before = [...told];
          await textOf(response.content);
        } catch {
          before = [...told];
        }
        assert.deepEqual(told, reports.map((report) => `${exchange} ${report}`), `${line} ${fields}`);
        assert.deepEqual(before, told, "before the response");
      }
      assert.deepEqual(await table.contents(10, 1000), {
        rows: ['{"A":{"x":1,"y":3}}', '{"E":{"z":[]}}', '{"F":{}}', '{"G":{}}'],
        total: 4,
      });
      assert.deepEqual(await table.contents(3, 1000), { rows: undefined, total: 4 });
      assert.deepEqual(await table.contents(10, 20), { rows: undefined, total: 4 });
    } finally {
      await store.close();
    }
  });
}

Deno.test("what reads all rows closes its snapshot, also if they are too many or too long", async () => {
  const store = new MemoryStore();
  await store.insert(["a", "b"].map((name) => ({ name, json: "{}" })));
  let open = 0;
  const snapshot = store.snapshot.bind(store);
  store.snapshot = (ended) => {
    const made = snapshot(ended);
    open++;
    return Object.assign(made, { close: () => void open-- });
  };
  for (const [mostRows, mostLength, rows] of [[2, 100, 2], [1, 100], [2, 1]] as const) {
    assert.equal((await readContents(store, mostRows, mostLength)).rows?.length, rows);
    assert.equal(open, 0);
  }
});
