import assert from "node:assert/strict";
import { rowContent, START } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { readJson, testStore } from "./contract.ts";

testStore("memory", () => new MemoryStore());

Deno.test("a memory store never gives out the versions of an earlier process", async () => {
  const before = Date.now() * 1000;
  const store = new MemoryStore();
  const version = store.put({ name: "a", json: "{}" })!.row.version;
  assert(version > before);
  assert(Number.isSafeInteger(version));
  await store.close();
});

Deno.test("a row that was read stays as it was, whatever is written later", () => {
  const store = new MemoryStore();
  const json = (i: number) => JSON.stringify({ i, filler: "x".repeat(1000) });
  store.put({ name: "a", json: json(0) });
  const { content: bytes } = store.get("a")!;
  for (let i = 1; i < 1000; i++) store.put({ name: "a", json: json(i) });
  assert.equal(new TextDecoder().decode(bytes as Uint8Array), rowContent("a", json(0)));
});

Deno.test("holes are closed, and the rows stay in order", async () => {
  const store = new MemoryStore();
  const count = 150_000;
  store.insert(Array.from({ length: count }, (_, i) => ({ name: `n${i}`, json: "{}" })));
  const snapshot = store.snapshot();
  for (let i = 0; i < count; i++) if (i % 50 !== 0) store.remove(`n${i}`);
  store.put({ name: "last", json: "{}" });
  store.put({ name: "n50", json: '{"new":true}' });

  const after = store.snapshot();
  const rows = JSON.parse((await readJson(after)).text);
  const kept = Array.from({ length: count / 50 }, (_, i) => `n${i * 50}`);
  assert.deepEqual(Object.keys(rows), [...kept, "last"]);
  assert.deepEqual(rows.n50, { new: true });
  assert.equal(store.get("n149950")?.name, "n149950");
  assert.equal(after.total, kept.length + 1);
  assert.equal(Object.keys(JSON.parse((await readJson(snapshot)).text)).length, count);
});

Deno.test("a closed snapshot holds nothing", () => {
  const store = new MemoryStore();
  store.put({ name: "a", json: "{}" });
  const snapshot = store.snapshot();
  snapshot.close();
  assert.deepEqual(snapshot.rows(START), { content: [], next: undefined });
});
