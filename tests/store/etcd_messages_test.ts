import assert from "node:assert/strict";
import {
  batchRequest,
  decode,
  encode,
  guardsHold,
  insertionRequest,
  MAX_UNSURE_WRITES,
  MAX_WRITES,
  outcomeAfter,
  outcomeOf,
  type RowWrite,
  TableKeys,
  wasMarked,
} from "../../lib/store/etcd_messages.ts";

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

const BASE = 1000;
const CONTEXT = {
  keys: new TableKeys(""),
  marker: "TQ==",
  revision: 5,
  value: "Tg==",
  base: BASE,
};
const NEW = { ...CONTEXT, revision: 0 };

const put = (expected?: number): RowWrite => ({ kind: "put", key: "Ug==", value: "Vg==", expected });
const removal = (expected?: number): RowWrite => ({ kind: "remove", key: "Ug==", expected });

Deno.test("a batch compares the writer's marker, and writes it with its rows", () => {
  assert.deepEqual(JSON.parse(batchRequest([put(), put(1007), removal()], CONTEXT)), {
    compare: [{ key: "TQ==", target: "MOD", mod_revision: "5" }],
    success: [
      { request_put: { key: "TQ==", value: "Tg==" } },
      { request_put: { key: "Ug==", value: "Vg==", prev_kv: true } },
      {
        request_txn: {
          compare: [{ key: "Ug==", target: "MOD", mod_revision: "7" }],
          success: [{ request_put: { key: "Ug==", value: "Vg==" } }],
          failure: [],
        },
      },
      { request_delete_range: { key: "Ug==" } },
    ],
    failure: [{ request_range: { key: "TQ==" } }, { request_range: { key: CONTEXT.keys.meta } }],
  });
});

Deno.test("a writer's first batch compares what makes versions too", () => {
  assert.deepEqual(JSON.parse(batchRequest([put()], NEW)).compare, [
    { key: "TQ==", target: "MOD", mod_revision: "0" },
    { key: CONTEXT.keys.meta, target: "VALUE", value: "MTAwMA==" },
  ]);
});

Deno.test("where nothing may be written, the marker is written only with something", () => {
  const [first] = JSON.parse(batchRequest([put(0), put(1007), removal(), removal(3)], CONTEXT)).success;
  assert.deepEqual(first.request_txn.compare, [
    { key: "Ug==", target: "MOD", result: "NOT_EQUAL", mod_revision: "0" },
    { key: "Ug==", target: "MOD", result: "NOT_EQUAL", mod_revision: "7" },
    { key: "Ug==", target: "MOD", mod_revision: "0" },
    // A version of another cluster stands for no revision.
    { key: "Ug==", target: "MOD", result: "NOT_EQUAL", mod_revision: "-1" },
  ]);
  assert.deepEqual(first.request_txn.failure, [{ request_put: { key: "TQ==", value: "Tg==" } }]);
  assert.equal(wasMarked({ response_put: {} }), true);
  assert.equal(wasMarked({ response_txn: { header: { revision: "1" } } }), true);
  assert.equal(wasMarked({ response_txn: { header: { revision: "1" }, succeeded: true } }), false);
});

Deno.test("a batch has as many operations and compares as etcd allows, nested ones included", () => {
  const operations = (request: string) => {
    const { compare, success, failure } = JSON.parse(request);
    const most = Math.max(compare.length, success.length, failure.length);
    const nested = success.filter((one: { request_txn?: unknown }) => one.request_txn !== undefined).map((
      { request_txn }: { request_txn: { compare: unknown[]; success: unknown[]; failure: unknown[] } },
    ) => Math.max(request_txn.compare.length, request_txn.success.length, request_txn.failure.length));
    return most + Math.max(0, ...nested);
  };
  assert.equal(operations(batchRequest([put(), ...Array(MAX_WRITES - 1).fill(put(0))], NEW)), 128);
  assert.equal(operations(batchRequest(Array(MAX_UNSURE_WRITES).fill(put(0)), NEW)), 127);
});

Deno.test("an insertion expects none of its rows, and the table's revision where one is given", () => {
  const insertion = { kind: "insert", keys: ["QQ==", "Qg=="], values: ["MQ==", "Mg=="] } as const;
  const { compare, success } = JSON.parse(insertionRequest({ ...insertion, expected: 1009 }, CONTEXT));
  assert.deepEqual(compare.slice(1), [
    { key: "QQ==", target: "MOD", mod_revision: "0" },
    { key: "Qg==", target: "MOD", mod_revision: "0" },
    { key: "bS8=", range_end: "bTA=", target: "MOD", result: "LESS", mod_revision: "10" },
  ]);
  assert.equal(success.length, 3);
  assert.equal(JSON.parse(insertionRequest(insertion, CONTEXT)).compare.length, 3);
  // A revision of another cluster holds for no table, not even for one that nobody has written to.
  const old = JSON.parse(insertionRequest({ ...insertion, expected: 3 }, CONTEXT));
  assert.equal(old.compare.at(-1).mod_revision, "0");
});

Deno.test("the guards of a batch hold if the marker and the base are as they were, or there is no marker yet", () => {
  const meta = { response_range: { kvs: [{ key: "bWV0YQ==", mod_revision: "1", value: encode(String(BASE)) }] } };
  const marker = (revision?: string) => ({
    response_range: revision === undefined ? {} : { kvs: [{ key: "bS8=", mod_revision: revision }] },
  });
  for (
    const [revision, written, holds] of [
      [0, undefined, true],
      [7, "7", true],
      [7, "8", false],
      [7, undefined, false],
      [0, "8", false],
    ] as const
  ) {
    assert.equal(guardsHold([marker(written), meta], { ...CONTEXT, revision }), holds);
    assert.equal(guardsHold([marker(written), { response_range: {} }], { ...CONTEXT, revision }), false);
  }
});

const before = { key: "Ug==", mod_revision: "7" };
const outcomes: [write: RowWrite, row: typeof before | undefined, answer: object, done: boolean, existed: boolean][] = [
  [put(), undefined, { response_put: {} }, true, false],
  [put(), before, { response_put: { prev_kv: before } }, true, true],
  [put(0), undefined, { response_txn: { succeeded: true } }, true, false],
  [put(0), before, { response_txn: {} }, false, true],
  [put(1007), before, { response_txn: { succeeded: true } }, true, true],
  [put(1008), before, { response_txn: {} }, false, true],
  [put(7), before, { response_txn: {} }, false, true],
  [removal(), undefined, { response_delete_range: {} }, false, false],
  [removal(), before, { response_delete_range: { deleted: "1" } }, true, true],
  [removal(1007), before, { response_txn: { succeeded: true } }, true, true],
  [removal(1006), before, { response_txn: {} }, false, true],
];

for (const [write, row, answer, done, existed] of outcomes) {
  const name = `${write.kind} expecting ${write.expected} with ${row === undefined ? "no row" : "a row"}`;
  Deno.test(`${name} ${done ? "is" : "is not"} done, as the answer and the row before tell`, () => {
    assert.equal(outcomeOf(write, answer).done, done);
    if (done) assert.equal(outcomeOf(write, answer).existed, existed);
    assert.deepEqual(outcomeAfter(write, row, BASE), { done, existed });
  });
}
