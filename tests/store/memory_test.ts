import assert from "node:assert/strict";
import { rowContent, START } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { readJson, testStore } from "./contract.ts";

testStore("memory", () => new MemoryStore());

Deno.test("a memory store never reuses versions of an earlier process", async () => {
  const before = Date.now() * 1000;
  const store = new MemoryStore();
  const { row: { version } } = (await store.put({ name: "a", json: "{}" }))!;
  assert(version > before);
  assert(Number.isSafeInteger(version));
  await store.close();
});

Deno.test("a row that was read does not change with later writes", () => {
  const store = new MemoryStore();
  const json = (i: number) => JSON.stringify({ i, filler: "x".repeat(1000) });
  store.put({ name: "a", json: json(0) });
  const { content: bytes } = store.get("a")!;
  for (let i = 1; i < 1000; i++) store.put({ name: "a", json: json(i) });
  assert.equal(new TextDecoder().decode(bytes as Uint8Array), rowContent("a", json(0)));
});

Deno.test("holes are closed, and the rows stay in order", async () => {
  const store = new MemoryStore();
  const count = 60_000;
  await store.insert(Array.from({ length: count }, (_, i) => ({ name: `n${i}`, json: "{}" })));
  const snapshot = store.snapshot();
  for (let i = 0; i < count; i++) if (i % 50 !== 0) await store.remove(`n${i}`);
  store.put({ name: "last", json: "{}" });
  store.put({ name: "n50", json: '{"new":true}' });

  const after = store.snapshot();
  const rows = JSON.parse((await readJson(after)).text);
  const kept = Array.from({ length: count / 50 }, (_, i) => `n${i * 50}`);
  assert.deepEqual(Object.keys(rows), [...kept, "last"]);
  assert.deepEqual(rows.n50, { new: true });
  assert.equal(store.get("n59950")?.name, "n59950");
  assert.equal(after.total, kept.length + 1);
  assert.equal(Object.keys(JSON.parse((await readJson(snapshot)).text)).length, count);
});

Deno.test("a closed snapshot holds nothing", () => {
  const store = new MemoryStore();
  store.put({ name: "a", json: "{}" });
  const snapshot = store.snapshot();
  snapshot.close();
  assert.deepEqual(snapshot.json(START), { content: new TextEncoder().encode("{}"), next: undefined });
});

/** Counts the turns of the event loop while something is done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let done = false;
  work.finally(() => done = true);
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    turns++;
  }
  return turns;
}

const many = (count: number, name = "n") =>
  Array.from({ length: count }, (_, i) => ({ name: `${name}${i}`, json: `{"i":${i}}` }));

Deno.test("many rows are inserted in steps: others are served in between, and see all rows or none", async () => {
  const store = new MemoryStore();
  store.put({ name: "there", json: "{}" });
  const before = store.snapshot();
  const inserting = store.insert(many(100_000)) as Promise<readonly string[]>;
  assert(inserting instanceof Promise);
  let seen = 0;
  const watch = (async () => {
    for (let there = false; !there; seen++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      there = store.get("n0") !== undefined;
      assert.equal(store.get("n99999") !== undefined, there);
      assert.equal(store.snapshot().total, there ? 100_001 : 1);
    }
  })();
  assert(await turnsDuring(inserting) > 3);
  await watch;
  assert(seen > 3);
  assert.deepEqual(await inserting, []);
  const after = store.snapshot();
  assert(after.revision > before.revision);
  const { text } = await readJson(after);
  assert.equal(text, `{"there":{},${many(100_000).map(({ name, json }) => `"${name}":${json}`).join(",")}}`);
  await store.close();
});

Deno.test("a write to a name that is being inserted waits, others do not", async () => {
  const store = new MemoryStore();
  const inserting = store.insert(many(50_000));
  await Promise.resolve();
  await Promise.resolve();
  const other = store.put({ name: "other", json: "{}" });
  assert(!(other instanceof Promise) && other!.created);
  const put = store.put({ name: "n0", json: '{"new":true}' });
  const removed = store.remove("n1");
  const inserted = store.insert([{ name: "n2", json: "{}" }, { name: "n-new", json: "{}" }]);
  assert(put instanceof Promise && removed instanceof Promise && inserted instanceof Promise);
  assert.deepEqual(await inserting, []);
  assert.equal((await put)!.created, false);
  assert.equal(await removed, true);
  assert.deepEqual(await inserted, ["n2"]);
  assert.equal(store.snapshot().total, 50_000);
  await store.close();
  assert.equal(store.get("n1"), undefined);
  assert.equal(new TextDecoder().decode(store.get("n0")!.content as Uint8Array), '{"n0":{"new":true}}');
});

Deno.test("an insertion of many rows with a taken name leaves nothing", async () => {
  const store = new MemoryStore();
  store.put({ name: "n15000", json: "{}" });
  const before = store.snapshot();
  assert.deepEqual(await store.insert(many(20_000)), ["n15000"]);
  assert.equal(store.get("n0"), undefined);
  assert.equal(store.snapshot().total, 1);
  assert.equal(await store.insert(many(20_000, "m"), before.revision), undefined, "its versions were set aside");
  const { revision } = store.snapshot();
  const inserting = store.insert(many(20_000, "m"), revision);
  await new Promise((resolve) => setTimeout(resolve, 0));
  store.put({ name: "between", json: "{}" });
  assert.equal(await inserting, undefined, "the table has changed meanwhile");
  assert.deepEqual(await store.insert(many(20_000, "m")), []);
  assert.equal((await readJson(store.snapshot())).text.split("m").length, 20_001);
  await store.close();
});

Deno.test("insertions of many rows are queued, and rows are found while their names are moved", async () => {
  const store = new MemoryStore();
  const inserting = ["a", "b", "c"].map((name) => store.insert(many(20_000, name)));
  assert.deepEqual(await Promise.all(inserting), [[], [], []]);
  assert.deepEqual(await store.insert(many(20_000, "b")), many(20_000, "b").map(({ name }) => name));
  for (const name of ["a0", "a19999", "b0", "c0", "c19999"]) assert.equal(store.get(name)?.name, name);
  await store.close();
  assert.equal(store.snapshot().total, 60_000);
});

Deno.test("replaced and removed rows release their memory", async () => {
  const store = new MemoryStore();
  const buffers = () => {
    const held = new Set<ArrayBufferLike>();
    for (let i = 0; i < 300; i++) {
      const content = store.get(`n${i}`)?.content as Uint8Array | undefined;
      if (content !== undefined) held.add(content.buffer);
    }
    return [...held].reduce((sum, { byteLength }) => sum + byteLength, 0);
  };
  for (const size of [10, 20_000, 200_000]) {
    for (let i = 0; i < 300; i++) store.put({ name: `n${i}`, json: JSON.stringify("x".repeat(size)) });
  }
  assert(buffers() > 60_000_000);
  for (let i = 0; i < 299; i++) await store.remove(`n${i}`);
  assert(buffers() < 220_000, String(buffers()));
  for (let i = 0; i < 300; i++) store.put({ name: `n${i}`, json: JSON.stringify("x".repeat(10_000)) });
  for (let i = 0; i < 299; i++) await store.remove(`n${i}`);
  assert(buffers() < 200_000, String(buffers()));
});

Deno.test("available content is stored unchanged, in a copy", () => {
  const store = new MemoryStore();
  for (const size of [1, 20_000]) {
    const content = new TextEncoder().encode(rowContent("a", JSON.stringify("x".repeat(size))));
    const { row } = store.put({ name: "a", json: "", content }) as { row: { content: Uint8Array } };
    assert.equal(row.content, content);
    const copy = content.slice();
    content.fill(0);
    assert.deepEqual(store.get("a")!.content, copy);
  }
});

Deno.test("rows keep their order and names when segments are merged", async () => {
  const store = new MemoryStore();
  const name = (i: number) => `${i}"\\핑`;
  for (let i = 0; i < 8000; i++) store.put({ name: name(i), json: String(i) });
  const kept: number[] = [];
  for (let i = 0; i < 8000; i++) {
    if (i % 7 === 0) kept.push(i);
    else await store.remove(name(i));
  }
  for (const i of kept) {
    assert.equal(new TextDecoder().decode(store.get(name(i))!.content as Uint8Array), rowContent(name(i), String(i)));
  }
  assert.deepEqual(Object.values(JSON.parse((await readJson(store.snapshot())).text)), kept);
  for (const i of kept) await store.remove(name(i));
  assert.equal((await readJson(store.snapshot())).text, "{}");
  store.put({ name: "again", json: "1" });
  assert.equal((await readJson(store.snapshot())).text, '{"again":1}');
});

Deno.test("rows whose names are still being moved are found after their segments were merged", async () => {
  const store = new MemoryStore();
  await store.insert(many(50_000));
  // The names are moved in steps that start now; removals merge segments meanwhile.
  const kept = (i: number) => i % 50 === 0;
  for (let i = 0; i < 50_000; i++) if (!kept(i)) assert.equal(store.remove(`n${i}`), true);
  await store.close();
  for (let i = 0; i < 50_000; i++) {
    const row = store.get(`n${i}`);
    if (!kept(i)) assert.equal(row, undefined);
    else assert.equal(new TextDecoder().decode(row!.content as Uint8Array), `{"n${i}":{"i":${i}}}`);
  }
});
