/** The contract of all stores, as tests that each store's test file runs. */

import assert from "node:assert/strict";
import { StoredRows } from "../../lib/table/stored_rows.ts";
import { Buffer } from "node:buffer";
import {
  ABSENT,
  type NewRow,
  type Portion,
  type Row,
  rowContent,
  type Snapshot,
  START,
  type Store,
} from "../../lib/store.ts";

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

function textOf(content: string | Uint8Array): string {
  return typeof content === "string" ? content : DECODER.decode(content);
}

/** The row's value, the only one in its content. */
function valueOf({ content }: Row): unknown {
  const [value] = Object.values(JSON.parse(textOf(content)));
  return value;
}

function animal(name: string, type = "snail"): NewRow {
  return { name, json: JSON.stringify({ type, age: "1", leg: "0" }) };
}

function contentOf({ name, json }: NewRow): string {
  return rowContent(name, json);
}

/** Returns the listing as one text, and its number of pages. */
export async function readJson(snapshot: Snapshot): Promise<{ text: string; pages: number }> {
  let text = "";
  let pages = 0;
  for (let cursor: number | undefined = START; cursor !== undefined; pages++) {
    const page: { content: string | Uint8Array; next: number | undefined } = await snapshot.json(cursor);
    text += textOf(page.content);
    cursor = page.next;
  }
  return { text, pages };
}

/** The rows of a page, each as an object. */
export function rowsIn(content: string | Uint8Array): string[] {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const rows = new StoredRows(bytes);
  const found: string[] = [];
  while (rows.next()) found.push(`{${DECODER.decode(rows.row())}}`);
  return found;
}

async function readRows(snapshot: Snapshot): Promise<string[]> {
  const rows: string[] = [];
  for (let cursor: number | undefined = START; cursor !== undefined;) {
    const page: Portion<string | Uint8Array> = await snapshot.json(cursor);
    rows.push(...rowsIn(page.content));
    cursor = page.next;
  }
  return rows;
}

/** Returns the table's listing as one text. */
export async function listing(store: Store): Promise<string> {
  const snapshot = await store.snapshot();
  const { text } = await readJson(snapshot);
  snapshot.close();
  return text;
}

/** Returns the table's revision. */
async function revisionOf(store: Store): Promise<number> {
  const snapshot = await store.snapshot();
  snapshot.close();
  return snapshot.revision;
}

/** Returns the names in the order of the listing. A parsed object would reorder names that look like numbers. */
async function names(store: Store): Promise<string[]> {
  const snapshot = await store.snapshot();
  const rows = await readRows(snapshot);
  snapshot.close();
  return rows.map((row) => Object.keys(JSON.parse(row))[0]);
}

/** Compares names in UTF-8, whose order differs from that of UTF-16 code units. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Differences between stores. */
export interface StoreTraits {
  /** Whether rows have the order of their names instead of insertion. */
  readonly sorted?: boolean;
  /** Why the store cannot be tested here. */
  readonly missing?: string;
}

/** Runs the contract; `open` creates an empty store for each test. */
export function testStore(
  kind: string,
  open: () => Store | Promise<Store>,
  { sorted = false, missing }: StoreTraits = {},
): void {
  const test = (name: string, body: (store: Store) => Promise<void>) =>
    Deno.test({
      name: missing === undefined ? `${kind} store: ${name}` : `skipped, for ${missing}: ${kind} store: ${name}`,
      ignore: missing !== undefined,
      fn: async () => {
        const store = await open();
        try {
          await body(store);
        } finally {
          await store.close();
        }
      },
    });
  const inOrder = (names: string[]) => sorted ? names.toSorted(byBytes) : names;

  test("a row that was put is there", async (store) => {
    const written = await store.put(animal("Pingping"));
    assert(written !== undefined);
    assert.equal(written.created, true);
    const row = await store.get("Pingping") as Row;
    assert.equal(row.name, "Pingping");
    assert.equal(textOf(row.content), '{"Pingping":{"type":"snail","age":"1","leg":"0"}}');
    assert.equal(row.version, written.row.version);
    assert.deepEqual(valueOf(row), { type: "snail", age: "1", leg: "0" });
  });

  test("a row that was not put is not there", async (store) => {
    assert.equal(await store.get("Nobody"), undefined);
    assert.equal(await store.get("__proto__"), undefined);
  });

  test("a second put replaces, with a new version", async (store) => {
    const first = await store.put(animal("a", "cat"));
    const second = await store.put(animal("a", "dog"));
    assert.equal(second!.created, false);
    assert(second!.row.version > first!.row.version);
    assert.match(textOf((await store.get("a") as Row).content), /dog/);
  });

  test("a put expects what it is told to expect", async (store) => {
    assert.equal(await store.put(animal("a"), 1), undefined);
    const { row } = (await store.put(animal("a"), ABSENT))!;
    assert.equal(await store.put(animal("a", "cat"), ABSENT), undefined);
    assert.equal(await store.put(animal("a", "cat"), row.version + 1), undefined);
    const replaced = await store.put(animal("a", "dog"), row.version);
    assert.equal(replaced!.created, false);
    assert.equal(await store.put(animal("a", "cow"), row.version), undefined);
    assert.match(textOf((await store.get("a") as Row).content), /dog/);
  });

  test("of two puts that expect the same version one is done", async (store) => {
    const { row } = (await store.put(animal("a")))!;
    const puts = await Promise.all([
      store.put(animal("a", "cat"), row.version),
      store.put(animal("a", "dog"), row.version),
    ]);
    assert.deepEqual(puts.map((written) => written !== undefined), [true, false]);
    assert.match(textOf((await store.get("a") as Row).content), /cat/);
  });

  test("an insertion writes all rows or none", async (store) => {
    assert.deepEqual(await store.insert([animal("b"), animal("a")]), []);
    assert.deepEqual(await store.insert([animal("c"), animal("a"), animal("b")]), ["a", "b"]);
    assert.deepEqual(await names(store), inOrder(["b", "a"]));
  });

  test("an insertion of parts writes all rows or none, and fails as its reading fails", async (store) => {
    async function* parts(...named: string[][]): AsyncGenerator<ReturnType<typeof animal>[]> {
      for (const part of named) {
        await Promise.resolve();
        if (part[0] === "broken") throw new RangeError("The content is broken");
        yield part.map((name) => animal(name));
      }
    }
    assert.deepEqual(await store.insert(parts(["b", "a"], ["c"])), []);
    assert.deepEqual(await store.insert(parts(["d"], ["a", "e"], ["f", "b"])), ["a", "b"]);
    await assert.rejects(async () => await store.insert(parts(["d"], ["broken"])), RangeError);
    assert.deepEqual(await names(store), inOrder(["b", "a", "c"]));
    assert.equal(await store.insert(parts(["d"]), await revisionOf(store) - 1), undefined);
    // Others wait, and are not lost.
    const all = [
      store.insert(parts(["d"], ["e"])),
      store.put(animal("f")),
      store.insert(parts(["g"])),
      store.remove("a"),
    ];
    await Promise.all(all);
    assert.deepEqual((await names(store)).toSorted(), ["b", "c", "d", "e", "f", "g"]);
  });

  test("an insertion expects what it is told to expect", async (store) => {
    const before = await revisionOf(store);
    assert.deepEqual(await store.insert([animal("a")], before), []);
    assert.equal(await store.insert([animal("b")], before), undefined);
    assert.deepEqual(await names(store), ["a"]);
  });

  test("a row is removed once", async (store) => {
    await store.put(animal("a"));
    assert.equal(await store.remove("a"), true);
    assert.equal(await store.remove("a"), false);
    assert.equal(await store.get("a"), undefined);
    assert.equal(await listing(store), "{}");
  });

  test("a removal expects what it is told to expect", async (store) => {
    const { row } = (await store.put(animal("a")))!;
    assert.equal(await store.remove("a", row.version + 1), false);
    assert.equal(await store.remove("b", row.version), false);
    assert.equal(await store.remove("a", row.version), true);
  });

  test("no version is ever used twice", async (store) => {
    const versions = new Set<number>();
    for (let i = 0; i < 20; i++) {
      versions.add((await store.put(animal("a")))!.row.version);
      if (i % 3 === 0) await store.remove("a");
    }
    assert.equal(versions.size, 20);
  });

  test("the rows keep their order, whatever becomes of them", async (store) => {
    for (const name of ["c", "10", "a", "9", "b"]) await store.put(animal(name));
    await store.put(animal("10", "cat"));
    await store.remove("a");
    assert.deepEqual(await names(store), inOrder(["c", "10", "9", "b"]));
    await store.put(animal("a"));
    assert.deepEqual(await names(store), inOrder(["c", "10", "9", "b", "a"]));
    await store.put(animal("\u{1f40c}"));
    await store.put(animal("\uff5a"));
    assert.deepEqual((await names(store)).slice(5), inOrder(["\u{1f40c}", "\uff5a"]));
  });

  test("a listing is one JSON object, exactly as its rows were put", async (store) => {
    assert.equal(await listing(store), "{}");
    await store.put(animal("a"));
    assert.equal(await listing(store), '{"a":{"type":"snail","age":"1","leg":"0"}}');
    await store.put({ name: 'b"\\', json: "{}" });
    assert.equal(await listing(store), '{"a":{"type":"snail","age":"1","leg":"0"},"b\\"\\\\":{}}');
  });

  test("names and values may be in any script", async (store) => {
    const row = { name: "핑핑 🐌", json: '{"type":"달팽이\\u0000\\n"}' };
    await store.put(row);
    assert.equal(textOf((await store.get("핑핑 🐌") as Row).content), contentOf(row));
    assert.equal(await listing(store), contentOf(row));
  });

  test("a byte order mark is a part of a name, and of a value", async (store) => {
    const marked = { name: "\ufeffa", json: '{"type":"\ufeffb"}' };
    await store.put(animal("a"));
    await store.put(marked);
    assert.deepEqual(await names(store), ["a", "\ufeffa"]);
    assert.equal(textOf((await store.get("\ufeffa") as Row).content), contentOf(marked));
    assert.deepEqual(valueOf(await store.get("\ufeffa") as Row), { type: "\ufeffb" });
    assert.equal(await store.remove("\ufeffa"), true);
    assert.deepEqual(await names(store), ["a"]);
  });

  test("names differ in case and in their code points", async (store) => {
    for (const name of ["a", "A", "\u00e9", "e\u0301"]) await store.put(animal(name));
    assert.equal((await names(store)).length, 4);
  });

  test("the revision changes with every write, and with nothing else", async (store) => {
    const seen = [await revisionOf(store)];
    const step = async (changes: boolean) => {
      const now = await revisionOf(store);
      assert.equal(now > seen.at(-1)!, changes);
      seen.push(now);
    };
    await store.put(animal("a"));
    await step(true);
    await store.get("a");
    await store.put(animal("a"), ABSENT);
    await store.insert([animal("a")]);
    await store.remove("b");
    await step(false);
    assert.deepEqual(await store.insert([]), []);
    assert.deepEqual(await store.insert(async function* () {}()), []);
    assert.deepEqual(await store.insert([], seen[0]), undefined);
    assert.deepEqual(await store.insert([], seen.at(-1)), []);
    await step(false);
    await store.insert([animal("b"), animal("c")]);
    await step(true);
    await store.remove("b");
    await step(true);
  });

  test("a snapshot of many rows is read in pages of limited size", async (store) => {
    const rows = Array.from({ length: 5000 }, (_, i) => animal(`animal${i}`));
    await store.insert(rows);
    const snapshot = await store.snapshot();
    assert.equal(snapshot.total, 5000);
    const { text, pages } = await readJson(snapshot);
    assert(pages > 2, `${pages} pages`);
    const ordered = sorted ? rows.toSorted((a, b) => byBytes(a.name, b.name)) : rows;
    assert.equal(text, `{${ordered.map((row) => contentOf(row).slice(1, -1)).join(",")}}`);
    assert.deepEqual(await readRows(snapshot), ordered.map(contentOf));
    snapshot.close();
    snapshot.close();
  });

  test("large rows make for small pages", async (store) => {
    const large = (name: string) => ({ name, json: JSON.stringify({ type: "x".repeat(500_000) }) });
    for (const name of ["a", "b", "c", "d"]) await store.put(large(name));
    const snapshot = await store.snapshot();
    const rows = rowsIn((await snapshot.json(START)).content);
    assert(rows.length <= 2, `${rows.length} rows`);
    assert.equal(JSON.stringify(Object.keys(JSON.parse((await readJson(snapshot)).text))), '["a","b","c","d"]');
    snapshot.close();
  });

  test("later writes do not show in a snapshot", async (store) => {
    await store.insert(Array.from({ length: 3000 }, (_, i) => animal(`animal${i}`)));
    const before = await listing(store);
    const snapshot = await store.snapshot();
    const first = await snapshot.json(START);
    assert(first.next !== undefined);
    await store.put(animal("animal1", "cat"));
    await store.put(animal("animal2999", "cat"));
    await store.remove("animal0");
    await store.remove("animal2998");
    await store.put(animal("new"));
    assert.equal(snapshot.total, 3000);
    assert.equal((await readJson(snapshot)).text, before);
    snapshot.close();
    assert.notEqual(await listing(store), before);
    assert.equal((await names(store)).length, 2999);
  });

  test("many removals leave a table that works", async (store) => {
    await store.insert(Array.from({ length: 3000 }, (_, i) => animal(`animal${i}`)));
    for (let i = 0; i < 3000; i += 100) {
      const hundred = Array.from({ length: 100 }, (_, j) => i + j).filter((place) => place % 1000 !== 7);
      await Promise.all(hundred.map((place) => store.remove(`animal${place}`)));
    }
    assert.deepEqual(await names(store), inOrder(["animal7", "animal1007", "animal2007"]));
    await store.put(animal("animal1007", "cat"));
    await store.put(animal("last"));
    assert.deepEqual(await names(store), inOrder(["animal7", "animal1007", "animal2007", "last"]));
  });
}
