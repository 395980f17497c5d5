import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import type { HttpResponse, Requester } from "../../lib/http/message.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import type { Snapshot, Store } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { LISTING_PIECE_BYTES, MAX_QUERY_PARAMETERS, MAX_SORTED_BYTES, REQUEST_LIMITS } from "../../lib/limits.ts";
import { listTable } from "../../lib/table/listing.ts";
import { FAIR_TURNS, MAX_TURN_MS } from "../../lib/turns.ts";
import { REQUESTER, requestOf, textOf } from "../support.ts";

const SHAPE = RowSchema.parse("type,age,leg");

/** A store that counts open snapshots and pages. */
class CountingStore extends MemoryStore {
  open = 0;
  /** The number of pages of rows that were read. */
  pages = 0;

  override snapshot(): Snapshot {
    this.open++;
    const snapshot = super.snapshot();
    let closed = false;
    return {
      revision: snapshot.revision,
      total: snapshot.total,
      json: (cursor) => {
        this.pages++;
        return snapshot.json(cursor);
      },
      seek: (row) => snapshot.seek(row),
      close: () => {
        if (!closed) this.open--;
        closed = true;
        snapshot.close();
      },
    };
  }
}

/** Creates rows n0, n1, …: every third is a cat, and ages count down. */
function storeOf(count: number): CountingStore {
  const store = new CountingStore(0);
  for (let i = 0; i < count; i++) {
    store.put({
      name: `n${i}`,
      json: JSON.stringify({ type: i % 3 === 0 ? "cat" : "snail", age: count - i, leg: String(i) }),
    });
  }
  return store;
}

async function list(store: Store, query = "", fields = ""): Promise<HttpResponse> {
  const target = query === "" ? "/" : `/?${query}`;
  return await listTable(store, SHAPE, requestOf(`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`));
}

function fieldOf(response: HttpResponse, name: string): string | undefined {
  return response.fields?.find(([key]) => key === name)?.[1];
}

async function namesOf(response: HttpResponse): Promise<string> {
  return Object.keys(JSON.parse(await textOf(response.content))).join(" ");
}

Deno.test("a small table is sent whole", async () => {
  const store = storeOf(3);
  const response = await list(store);
  assert.equal(response.status, 200);
  assert.deepEqual([response.etag, response.fields], [3, [["X-Total-Count", "3"], ["Vary", "Accept"]]]);
  assert(response.content instanceof Uint8Array);
  assert.equal(await namesOf(response), "n0 n1 n2");
  assert.equal(store.open, 0);
  assert.equal(await textOf((await list(new MemoryStore(0))).content), "{}");
});

Deno.test("a store that reads at once gets its answer at once", () => {
  const answer = listTable(storeOf(3), SHAPE, requestOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  assert(!(answer instanceof Promise));
  assert.equal(answer.status, 200);
});

Deno.test("a listing waits for its turn before it takes memory, and is not made for a client that has left", async () => {
  for (const requester of [undefined, { ...REQUESTER, signal: AbortSignal.abort() }]) {
    const store = storeOf(3);
    FAIR_TURNS.yieldIfBusy();
    for (const end = performance.now() + MAX_TURN_MS; performance.now() < end;);
    const answer = listTable(store, SHAPE, requestOf("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), requester);
    assert(answer instanceof Promise);
    assert.deepEqual([store.open, store.pages], [0, 0]);
    if (requester === undefined) assert.equal((await answer).status, 200);
    else await assert.rejects(answer, { name: "AbortError" });
    assert.equal(store.open, 0);
  }
});

Deno.test("a listing that fails holds no snapshot", async () => {
  const failures: [name: string, json: Snapshot["json"]][] = [
    ["at once", () => {
      throw new Error("unreadable");
    }],
    ["later", () => Promise.reject(new Error("unreadable"))],
  ];
  for (const [name, json] of failures) {
    const store = storeOf(3);
    const snapshot = store.snapshot();
    store.snapshot = () => ({ ...snapshot, json });
    await assert.rejects(list(store), { message: "unreadable" }, name);
    assert.equal(store.open, 0, name);
  }
  const store = storeOf(3);
  await assert.rejects(list(store, "", 'If-Match: "1"\r\n'), { status: 412 });
  assert.equal(store.open, 0);
});

Deno.test("a large table is streamed, as it was at the start", async () => {
  const store = storeOf(10_000);
  const response = await list(store);
  assert.equal(typeof response.content, "object");
  assert.equal(store.open, 1);
  store.remove("n9999");
  const rows = JSON.parse(await textOf(response.content));
  assert.equal(Object.keys(rows).length, 10_000);
  assert.equal(rows.n9999.leg, "9999");
  assert.equal(store.open, 0);
});

Deno.test("a stream that is not read holds nothing once it is ended", async () => {
  const store = storeOf(10_000);
  for (const query of ["", "leg:gte=0", "_sort=age", "_per_page=9000"]) {
    const { content } = await list(store, query);
    assert(typeof content === "object" && Symbol.asyncIterator in content, query);
    await content[Symbol.asyncIterator]().return!();
    assert.equal(store.open, 0, query);
  }
});

Deno.test("a partly read stream holds nothing once it is ended", async () => {
  const store = storeOf(10_000);
  const { content } = await list(store, "leg:gte=0");
  assert(typeof content === "object" && Symbol.asyncIterator in content);
  const pieces = content[Symbol.asyncIterator]();
  assert.equal((await pieces.next()).done, false);
  await pieces.return!();
  assert.equal((await pieces.next()).done, true);
  assert.equal(store.open, 0);
});

const queries: [query: string, names: string, total: string][] = [
  ["type=cat", "n0 n3 n6 n9", "4"],
  ["type=dog", "", "0"],
  ["age:gte=8", "n0 n1 n2", "3"],
  ["age:gt=2&age:lt=5", "n6 n7", "2"],
  ["_sort=age", "n9 n8 n7 n6 n5 n4 n3 n2 n1 n0", "10"],
  ["_sort=-type,age", "n8 n7 n5 n4 n2 n1 n9 n6 n3 n0", "10"],
  ["_page=1&_per_page=3", "n0 n1 n2", "10"],
  ["_page=4&_per_page=3", "n9", "10"],
  ["_page=5&_per_page=3", "", "10"],
  ["_page=2&_per_page=2&type=cat", "n6 n9", "4"],
  ["_page=2&_per_page=3&_sort=age", "n6 n5 n4", "10"],
  ["_page=9007199254740991&_per_page=10000", "", "10"],
];

for (const [query, names, total] of queries) {
  Deno.test(`GET /?${query}`, async () => {
    const store = storeOf(10);
    const response = await list(store, query);
    assert.equal(await namesOf(response), names);
    assert.equal(fieldOf(response, "X-Total-Count"), total);
    assert.equal(store.open, 0);
  });
}

for (const query of ["leg:gte=0", "leg:gte=5000", "_sort=-age", "_page=2&_per_page=4000", "type=snail&_sort=-leg"]) {
  Deno.test(`GET /?${query} of many rows is streamed, and the same as by hand`, async () => {
    const store = storeOf(10_000);
    const all = Object.entries(JSON.parse(await textOf((await list(store)).content))) as [
      string,
      Record<string, string>,
    ][];
    const byHand: Record<string, () => typeof all> = {
      "leg:gte=0": () => all,
      "leg:gte=5000": () => all.slice(5000),
      "_sort=-age": () => all,
      "_page=2&_per_page=4000": () => all.slice(4000, 8000),
      "type=snail&_sort=-leg": () => all.filter(([, { type }]) => type === "snail").reverse(),
    };
    const response = await list(store, query);
    assert.equal(typeof response.content, "object");
    assert.deepEqual(Object.entries(JSON.parse(await textOf(response.content))), byHand[query]());
    assert.equal(store.open, 0);
  });
}

const links: [query: string, link: string][] = [
  [
    "_page=1&_per_page=4",
    '</?_per_page=4&_page=1>; rel="first", </?_per_page=4&_page=2>; rel="next", </?_per_page=4&_page=3>; rel="last"',
  ],
  [
    "_page=2&_per_page=4",
    '</?_per_page=4&_page=1>; rel="first", </?_per_page=4&_page=1>; rel="prev", </?_per_page=4&_page=3>; rel="next", </?_per_page=4&_page=3>; rel="last"',
  ],
  ["type=c%61t&_page=1", '</?type=c%61t&_page=1>; rel="first", </?type=c%61t&_page=1>; rel="last"'],
  [
    "_page=9&_per_page=4",
    '</?_per_page=4&_page=1>; rel="first", </?_per_page=4&_page=3>; rel="prev", </?_per_page=4&_page=3>; rel="last"',
  ],
  [
    "type=dog&_per_page=2",
    '</?type=dog&_per_page=2&_page=1>; rel="first", </?type=dog&_per_page=2&_page=1>; rel="last"',
  ],
];

for (const [query, link] of links) {
  Deno.test(`the links of /?${query}`, async () => {
    assert.equal(fieldOf(await list(storeOf(10), query), "Link"), link);
  });
}

Deno.test("no link leads to a refusal for its length or its number of parameters", async () => {
  const links = async (query: string) => {
    // A server may allow longer targets than the decoder does here.
    const request = { ...requestOf("GET /?a HTTP/1.1\r\nHost: a\r\n\r\n"), query };
    const line = fieldOf(await listTable(storeOf(10), SHAPE, request), "Link") ?? "";
    return [...line.matchAll(/<\/\?([^>]*)>; rel="(\w+)"/g)].map(([, query, relation]) => ({ query, relation }));
  };
  const filler = (octets: number) => `type:ne=${"x".repeat(octets - "type:ne=".length)}`;
  const room = REQUEST_LIMITS.maxTargetBytes - "/?".length;
  const queries: [query: string, links: string][] = [
    [`${filler(room - "&_per_page=3&_page=1".length)}&_per_page=3`, "first next last"],
    [`${filler(room - "&_per_page=3&_page=".length)}&_per_page=3`, ""],
    [`${filler(room - "&_per_page=1&_page=1".length)}&_per_page=1`, "first next"],
    [`${filler(room)}&_per_page=1&_page=2`, "first prev next"],
    ["age:gt=0&".repeat(MAX_QUERY_PARAMETERS - 2) + "_per_page=3", "first next last"],
    ["age:gt=0&".repeat(MAX_QUERY_PARAMETERS - 1) + "_per_page=3", ""],
    ["age:gt=0&".repeat(MAX_QUERY_PARAMETERS - 1) + "_page=1", "first last"],
  ];
  for (const [query, expected] of queries) {
    const found = await links(query);
    assert.equal(found.map(({ relation }) => relation).join(" "), expected, query.slice(-40));
    for (const { query: linked } of found) {
      if (query.length <= room) assert.equal((await list(storeOf(10), linked)).status, 200);
      else assert(linked.length <= query.length);
    }
  }
});

Deno.test("a selection is held up to the limit, and streamed beyond it", async () => {
  for (const excess of [0, 1]) {
    const store = new CountingStore(0);
    store.put({ name: "a", json: '{"type":"cat"}' });
    const rest = LISTING_PIECE_BYTES - '{"a":{"type":"cat"},"b":{"type":""}'.length;
    store.put({ name: "b", json: JSON.stringify({ type: "x".repeat(rest + excess) }) });
    const { content } = await list(store, "_page=1");
    assert.equal(content instanceof Uint8Array, excess === 0);
    assert.equal(JSON.parse(await textOf(content)).a.type, "cat");
    assert.equal(store.open, 0);
  }
});

Deno.test("without pages there are no links", async () => {
  assert.equal(fieldOf(await list(storeOf(10), "type=cat"), "Link"), undefined);
});

Deno.test("a listing's tag is the table's revision", async () => {
  const store = storeOf(3);
  const unchanged = await list(store, "", 'If-None-Match: "3"\r\n');
  assert.deepEqual(unchanged, { status: 304, etag: 3, fields: [["Vary", "Accept"]] });
  assert.equal(store.open, 0);
  store.remove("n0");
  assert.equal((await list(store, "", 'If-None-Match: "3"\r\n')).etag, 4);
  await assert.rejects(list(store, "", 'If-Match: "3"\r\n'), { name: "HttpError", status: 412 });
  assert.equal(store.open, 0);
});

/** A client that has disconnected after this many checks. */
function leaving(looks: number): Requester {
  const left = new AbortController();
  return {
    ...REQUESTER,
    get signal() {
      if (looks-- === 0) left.abort();
      return left.signal;
    },
  };
}

for (const query of ["leg:gte=0", "type=dog", "_sort=age", "_sort=age&_per_page=3"]) {
  Deno.test(`GET /?${query} is given up once its client has left`, async () => {
    const store = storeOf(10_000);
    const request = requestOf(`GET /?${query} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await assert.rejects(async () => await listTable(store, SHAPE, request, leaving(3)), { name: "AbortError" });
    assert.equal(store.open, 0);
  });
}

Deno.test("a failed stream holds nothing", async () => {
  const store = storeOf(10_000);
  const request = requestOf("GET /?leg:gte=0 HTTP/1.1\r\nHost: a\r\n\r\n");
  const left = new AbortController();
  const { content } = await listTable(store, SHAPE, request, { ...REQUESTER, signal: left.signal });
  assert.equal(store.open, 1);
  left.abort();
  await assert.rejects(textOf(content), { name: "AbortError" });
  assert.equal(store.open, 0);
});

Deno.test("sorting too many characters is refused, but a page of them is not", async () => {
  const store = new CountingStore(0);
  const leg = "x".repeat(1_000_000);
  for (let i = 0; i < 140; i++) {
    store.put({ name: `n${i}`, json: JSON.stringify({ type: "a", age: 140 - i, leg }) });
  }
  await assert.rejects(list(store, "_sort=age"), (error) => {
    assert(error instanceof HttpError);
    assert.equal(error.status, 400);
    assert.match(error.message, /^The parameter _sort: the rows to sort exceed 128 MiB/);
    return true;
  });
  assert.equal(await namesOf(await list(store, "_sort=age&_per_page=2")), "n139 n138");
  assert.equal(store.open, 0);
});

Deno.test("without a filter no rows behind the page are read, with one all are", async () => {
  const store = storeOf(10_000);
  assert.equal(fieldOf(await list(store, "_page=1&_per_page=10"), "X-Total-Count"), "10000");
  assert.equal(store.pages, 1);
  assert.equal(fieldOf(await list(store, "_page=1&_per_page=10&type=cat"), "X-Total-Count"), "3334");
  assert(store.pages > 5);
});

const LINES = "application/x-ndjson";
const forms: [accept: string, lines: boolean][] = [
  [LINES, true],
  ["Application/X-NDJSON", true],
  [`${LINES}, */*`, true],
  [`${LINES}, application/json;q=0.9`, true],
  [`${LINES}; q=0.5, */*;q=0.1`, true],
  ["application/json", false],
  ["*/*", false],
  [`application/json, ${LINES}`, false],
  [`${LINES};q=0.5, application/json`, false],
  [`${LINES};q=0.5, */*;q=0.9`, false],
  [`${LINES};q=0`, false],
  [`"${LINES}"`, false],
];

for (const [accept, lines] of forms) {
  Deno.test(`Accept: ${accept} asks for ${lines ? "lines" : "an object"}`, async () => {
    for (const query of ["", "_sort=age"]) {
      const response = await list(storeOf(2), query, `Accept: ${accept}\r\n`);
      assert.equal(response.contentType, lines ? LINES : "application/json");
      assert.equal(fieldOf(response, "Vary"), "Accept");
      assert.equal((await textOf(response.content)).split("\n").length, lines ? 3 : 1);
    }
  });
}

Deno.test("lines keep the order of names that are whole numbers, with filter, sort and page", async () => {
  const store = new CountingStore(0);
  for (const [name, age] of [["10", 1], ["b", 3], ["2", 2], ["0", 0]]) {
    store.put({ name: String(name), json: JSON.stringify({ type: "cat", age, leg: "a\nb" }) });
  }
  const lines = async (query: string) => {
    const { content } = await list(store, query, `Accept: ${LINES}\r\n`);
    return (await textOf(content)).split("\n").slice(0, -1).map((line) => Object.keys(JSON.parse(line)).join());
  };
  assert.deepEqual(await lines(""), ["10", "b", "2", "0"]);
  assert.deepEqual(await lines("_sort=-age"), ["b", "2", "10", "0"]);
  assert.deepEqual(await lines("age:gt=0&_sort=age&_per_page=2"), ["10", "2"]);
  assert.deepEqual(await lines("_page=2&_per_page=3"), ["0"]);
  assert.deepEqual(await lines("age=9"), []);
  assert.equal(store.open, 0);
});

Deno.test("many lines are streamed", async () => {
  const store = storeOf(5000);
  const { content } = await list(store, "", `Accept: ${LINES}\r\n`);
  assert(!(content instanceof Uint8Array));
  const lines = (await textOf(content)).split("\n");
  assert.deepEqual(lines.slice(0, -1).map((line) => Object.keys(JSON.parse(line))[0]), [
    ...Array(5000).keys().map((i) => `n${i}`),
  ]);
  assert.equal(store.open, 0);
});

Deno.test("lines have a tag of their own", async () => {
  const store = storeOf(3);
  const tag = fieldOf(await list(store, "", `Accept: ${LINES}\r\n`), "ETag");
  assert.equal(tag, '"3-ndjson"');
  const ask = async (fields: string) => (await list(store, "", fields)).status;
  assert.equal(await ask(`Accept: ${LINES}\r\nIf-None-Match: ${tag}\r\n`), 304);
  assert.equal(await ask(`If-None-Match: ${tag}\r\n`), 200);
  assert.equal(await ask(`Accept: ${LINES}\r\nIf-None-Match: "3"\r\n`), 200);
  assert.equal(store.open, 0);
});

Deno.test("no link leads to a refusal", async () => {
  const store = new MemoryStore(0);
  const size = Math.floor(0.26 * MAX_SORTED_BYTES);
  for (let i = 0; i < 4; i++) store.put({ name: `n${i}`, json: JSON.stringify({ age: i, type: "x".repeat(size) }) });
  const linksOf = async (page: number) => fieldOf(await list(store, `_sort=age&_per_page=1&_page=${page}`), "Link");
  for (const [page, relations] of [[2, "first prev next"], [3, "first prev"]] as const) {
    assert.equal([...(await linksOf(page))!.matchAll(/rel="(\w+)"/g)].map(([, name]) => name).join(" "), relations);
  }
  await assert.rejects(() => linksOf(4), { status: 400, message: /the rows to sort exceed 128 MiB/ });
});
