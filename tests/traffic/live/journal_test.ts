import assert from "node:assert/strict";
import type { End, TrafficEvent } from "../../../lib/traffic.ts";
import { Journal, Sampler } from "../../../lib/traffic/live/journal.ts";
import type { Contents } from "../../../lib/table/reports.ts";
import { wireOctets } from "../../wire_cases.ts";

const PUT = 'PUT /A HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"x":1}';
const A = '{"A":{"x":1}}';
const CREATED = 'HTTP/1.1 201 Created\r\nETag: "1"\r\nContent-Length: 13\r\n\r\n{"A":{"x":1}}';

const CLIENT = { hostname: "127.0.0.1", port: 50_000 };
const SERVER = { hostname: "127.0.0.1", port: 9999 };

/** A journal, with the answers of the table in order, and ways to tell it events. */
function journalOf(
  options: { tables?: (Contents | Promise<Contents>)[]; sampler?: Sampler; maxEvents?: number } = {},
) {
  const tables = [...options.tables ?? []];
  let asked = 0;
  const journal = new Journal({
    ...options,
    askTable: () => {
      asked++;
      return Promise.resolve(tables.shift() ?? { rows: [], total: 0 });
    },
  });
  let time = 0;
  const take = (event: Record<string, unknown>, end: End = "server", connection = 1) =>
    journal.receive({ end, connection, time: ++time, ...event } as unknown as TrafficEvent);
  return {
    journal,
    asked: () => asked,
    open: (connection = 1, end: End = "server") => {
      const [local, remote] = end === "server" ? [SERVER, CLIENT] : [CLIENT, SERVER];
      take({ kind: "opened", local, remote, secure: false }, end, connection);
    },
    octets: (kind: "read" | "write", octets: string, end: End = "server", connection = 1) =>
      take({ kind, bytes: wireOctets(octets) }, end, connection),
    /** The table has written a row, or removed it. */
    wrote: (
      content: string | undefined,
      exchange = 1,
      connection = 1,
      how = content === undefined ? "removed" : "created",
    ) => journal.receiveReport({ connection, exchange }, { name: "A", content: content, how: how }),
    take,
    told: () => {
      const told = [];
      for (let i = journal.history.first; i <= journal.history.last; i++) told.push(journal.history.at(i)!.event);
      return told;
    },
  };
}

Deno.test("a connection's events are told in order, with the exchanges and rows that they change", () => {
  const { open, octets, take, told, wrote } = journalOf();
  open();
  octets("read", PUT.slice(0, 10));
  octets("read", PUT.slice(10));
  wrote(A);
  octets("write", CREATED);
  take({ kind: "fin", by: "client" });
  take({ kind: "fin", by: "server" });
  take({ kind: "closed", reason: "by the client", isReset: false });
  assert.deepEqual(told().map(({ kind, from, to, by, reason }) => [kind, from ?? by ?? reason, to]), [
    ["opened", undefined, undefined],
    ["read", 0, 10],
    ["read", 10, PUT.length],
    ["write", 0, CREATED.length],
    ["fin", "client", undefined],
    ["fin", "server", undefined],
    ["closed", "by the client", undefined],
  ]);
  const [opened, first, second, written] = told();
  assert.deepEqual([opened.client, opened.server, opened.peer], ["127.0.0.1:50000", "127.0.0.1:9999", undefined]);
  assert.equal(first.exchanges![0].request!.title, "", "what was told stays as it was then");
  assert.equal(second.exchanges![0].request!.title, "PUT /A");
  assert.deepEqual([written.rows, written.total], [[["A", [["x", "1"]]]], 1]);
});

Deno.test("lent octets are copied", () => {
  const { open, take, journal } = journalOf();
  open();
  const bytes = wireOctets("GET");
  take({ kind: "read", bytes });
  bytes.fill(0);
  assert.deepEqual(journal.history.octets(1, "request", 0, 3), wireOctets("GET"));
});

Deno.test("the client's end, if it is here, is told under the server's number", () => {
  const { open, octets, take, told } = journalOf();
  open(1, "client");
  octets("write", "GET", "client", 1);
  assert.deepEqual(told(), [], "the server has not accepted it yet");
  open(7, "server");
  octets("read", "GET", "server", 7);
  take({ kind: "closed", reason: "reset", isReset: true }, "server", 7);
  take({ kind: "closed", reason: "reset", isReset: true }, "client", 1);
  assert.deepEqual(told().map(({ kind, end, connection, from, to }) => [kind, end, connection, from, to]), [
    ["opened", "server", 7, undefined, undefined],
    ["opened", "client", 7, undefined, undefined],
    ["write", "client", 7, 0, 3],
    ["read", "server", 7, 0, 3],
    ["closed", "server", 7, undefined, undefined],
    ["closed", "client", 7, undefined, undefined],
  ]);
});

Deno.test("the table is asked for, and what happens meanwhile counts, too", async () => {
  const table = Promise.withResolvers<Contents>();
  const { journal, open, octets, told, wrote } = journalOf({ tables: [table.promise] });
  const asked = journal.askTable();
  open();
  octets("read", PUT);
  wrote(A);
  octets("write", CREATED);
  octets("read", PUT);
  wrote('{"A":{"x":2}}', 2);
  table.resolve({ rows: ['{"B":{}}'], total: 1 });
  await asked;
  const { kind, rows, total } = told().at(-1)!;
  assert.deepEqual([kind, rows, total], ["table", [["B", []], ["A", [["x", "1"]]]], 2]);
  octets("write", CREATED);
  assert.deepEqual(told().at(-1)!.rows, [["A", [["x", "2"]]]], "whose answer comes later");
});

Deno.test("after writes that were not seen while it was asked for, the table is asked for again", async () => {
  const { journal, open, take, told, asked, wrote } = journalOf();
  const write = () => {
    open();
    wrote(A);
    take({ kind: "closed", reason: "reset", isReset: true });
  };
  write();
  journal.tick(1);
  write();
  await journal.askTable();
  assert.equal(asked(), 1);
  assert(!told().some(({ kind }) => kind === "table"));
  journal.tick(2);
  assert.equal(asked(), 2);
  await journal.askTable();
  assert.equal(told().at(-1)!.kind, "table");
  journal.tick(3);
  assert.equal(asked(), 2);
});

Deno.test("a write whose answer never left has the table asked for again", async () => {
  const { journal, open, octets, take, asked, wrote } = journalOf();
  await journal.askTable();
  journal.tick(1);
  assert.equal(asked(), 1, "it is followed");
  open();
  octets("read", PUT);
  wrote(A);
  take({ kind: "closed", reason: "reset", isReset: true });
  journal.tick(2);
  assert.equal(asked(), 2);
  await journal.askTable();
  open(2);
  take({ kind: "closed", reason: "reset", isReset: true }, "server", 2);
  journal.tick(3);
  assert.equal(asked(), 2, "nothing was written");
  // One that is done only after the client has left.
  wrote(A, 1, 2);
  journal.tick(4);
  assert.equal(asked(), 3);
});

const orders: [what: string, reports: (journal: Journal) => void, responses: number[], rows: unknown[]][] = [
  [
    "in the order of their responses",
    (journal) => {
      journal.receiveReport({ connection: 1, exchange: 1 }, { name: "A", content: A, how: "created" });
      journal.receiveReport({ connection: 2, exchange: 1 }, { name: "A", content: '{"A":{"x":2}}', how: "replaced" });
    },
    [1, 2],
    [[["A", [["x", "1"]]]], [["A", [["x", "2"]]]]],
  ],
  [
    "but for what is older than what was told",
    (journal) => {
      journal.receiveReport({ connection: 1, exchange: 1 }, { name: "A", content: A, how: "created" });
      journal.receiveReport({ connection: 2, exchange: 1 }, { name: "A", content: undefined, how: "removed" });
    },
    [2, 1],
    [undefined, undefined],
  ],
  [
    "but for what an older reader saw",
    (journal) => {
      journal.receiveReport({ connection: 1, exchange: 1 }, { name: "A", content: undefined, how: "read" });
      journal.receiveReport({ connection: 2, exchange: 1 }, { name: "A", content: A, how: "created" });
    },
    [2, 1],
    [[["A", [["x", "1"]]]], undefined],
  ],
  [
    "but for what an older listing saw",
    (journal) => {
      journal.receiveReport({ connection: 1, exchange: 1 }, { content: "{}", how: "read" });
      journal.receiveReport({ connection: 2, exchange: 1 }, { name: "A", content: A, how: "created" });
    },
    [2, 1],
    [[["A", [["x", "1"]]]], undefined],
  ],
  [
    "with what another server wrote, once it is read",
    (journal) => {
      journal.receiveReport({ connection: 1, exchange: 1 }, { name: "A", content: A, how: "read" });
      journal.receiveReport({ connection: 2, exchange: 1 }, {
        content: wireOctets('{"A":{"x":1},"B":{}}'),
        how: "read",
      });
      journal.receiveReport({ connection: 3, exchange: 1 }, { content: '{"C":{},"B":{}}', how: "read" });
    },
    [1, 2, 3],
    [[["A", [["x", "1"]]]], [["B", []]], [["A", null], ["C", []]]],
  ],
  [
    "with all rows that were created",
    (journal) => {
      journal.receiveReport({ connection: 1, exchange: 1 }, {
        content: wireOctets('{"B":{},"\\"":{"x":1}}'),
        how: "created",
      });
    },
    [1],
    [[["B", []], ['"', [["x", "1"]]]]],
  ],
];

for (const [what, reports, responses, rows] of orders) {
  Deno.test(`changes of the table are shown with their responses, ${what}`, () => {
    const { journal, open, octets, told } = journalOf();
    const connections = responses.toSorted();
    for (const connection of connections) {
      open(connection);
      octets("read", PUT, "server", connection);
    }
    reports(journal);
    for (const connection of responses) octets("write", CREATED, "server", connection);
    assert.deepEqual(told().filter(({ kind }) => kind === "write").map((one) => one.rows), rows);
  });
}

Deno.test("of requests in one read each change is shown with its own response, whatever is between", () => {
  const { open, octets, told, wrote } = journalOf();
  open();
  octets("read", PUT.repeat(3));
  wrote(A);
  wrote(undefined, 3);
  octets("write", "HTTP/1.1 100 Continue\r\n\r\n" + CREATED.slice(0, -1));
  octets("write", CREATED.slice(-1));
  octets("write", CREATED);
  octets("write", CREATED);
  assert.deepEqual(told().filter(({ kind }) => kind === "write").map(({ rows }) => rows), [
    undefined,
    [["A", [["x", "1"]]]],
    undefined,
    [["A", null]],
  ]);
});

Deno.test("for rows that are long together the table is asked", async () => {
  const { journal, open, octets, asked } = journalOf();
  await journal.askTable();
  open();
  octets("read", PUT);
  journal.receiveReport({ connection: 1, exchange: 1 }, { content: `{"A":"${"x".repeat(40_000)}"}`, how: "created" });
  octets("write", CREATED);
  journal.tick(1);
  assert.equal(asked(), 2);
});

Deno.test("what was done before the table was asked for is in its answer", async () => {
  const { journal, open, octets, told, wrote } = journalOf({ tables: [{ rows: ['{"A":{"x":2}}'], total: 1 }] });
  open();
  octets("read", PUT);
  // Its response is slow, and another server has changed the row since.
  wrote(A);
  await journal.askTable();
  octets("write", CREATED);
  assert.deepEqual(told().filter(({ rows }) => rows).map(({ kind, rows }) => [kind, rows]), [
    ["table", [["A", [["x", "2"]]]]],
  ]);
});

Deno.test("a table that cannot be read is asked for again", async () => {
  let asked = 0;
  const failures: unknown[] = [];
  const journal = new Journal({
    askTable: () => asked++ === 0 ? Promise.reject("no") : Promise.resolve({ rows: [], total: 0 }),
    failed: (error) => failures.push(error),
  });
  await journal.askTable();
  assert.deepEqual(failures, ["no"]);
  journal.tick(1);
  await journal.askTable();
  assert.equal(asked, 2);
  assert.equal(journal.history.at(1)!.event.kind, "table");
});

Deno.test("when there is too much, whole connections are left out and counted, until there is less", async () => {
  const { journal, open, octets, take, told, asked } = journalOf({ sampler: new Sampler(3, 1000) });
  await journal.askTable();
  open();
  octets("read", "G");
  octets("read", "E");
  octets("read", "T");
  open(2);
  take({ kind: "closed", reason: "reset", isReset: true });
  journal.tick(5);
  assert.deepEqual(told().map(({ kind }) => kind), ["table", "opened", "read", "read", "left out"]);
  assert.equal(told().at(-1)!.reason, "Too much at once: 2 connections are left out, with 3 events.");
  assert.equal(asked(), 1);
  journal.tick(6);
  assert.equal(asked(), 2, "it follows the table again");
});

Deno.test("a connection that stays left out may go on to write: the table is asked for after each time", async () => {
  const sampler = new Sampler(1, 1000);
  const { journal, open, octets, told, asked } = journalOf({ sampler });
  await journal.askTable();
  open();
  assert.equal(octets("read", "G"), sampler.counter);
  journal.tick(5);
  journal.tick(6);
  await journal.askTable();
  assert.equal(told().at(-1)!.kind, "table");
  const before = asked();
  // The tap tells no more of it, but counts.
  sampler.counter.events++;
  journal.tick(7);
  assert.equal(told().at(-1)!.kind, "left out");
  assert.equal(asked(), before);
  journal.tick(8);
  assert.equal(asked(), before + 1);
});

Deno.test("a table that was asked for while something was left out is not shown", async () => {
  const answer = Promise.withResolvers<Contents>();
  const { journal, open, octets, told } = journalOf({ sampler: new Sampler(1, 1000), tables: [answer.promise] });
  const asked = journal.askTable();
  open();
  octets("read", "G");
  answer.resolve({ rows: [], total: 0 });
  await asked;
  assert.deepEqual(told().map(({ kind }) => kind), ["opened"]);
  journal.tick(5);
  journal.tick(6);
  await journal.askTable();
  assert.deepEqual(told().map(({ kind }) => kind), ["opened", "left out", "table"]);
});

Deno.test("what the history forgets goes into the table before it", () => {
  const { journal, open, octets, take, wrote } = journalOf({ maxEvents: 3 });
  open();
  octets("read", PUT);
  wrote(A);
  octets("write", CREATED);
  assert.deepEqual([...journal.base.rows], []);
  for (let i = 0; i < 3; i++) take({ kind: "fin", by: "client" });
  assert.deepEqual([...journal.base.rows], [["A", [["x", "1"]]]]);
});

Deno.test("events are taken up to the number of a second, then connections are left out whole", () => {
  const sampler = new Sampler(3, 100);
  assert.deepEqual([1, 2, 3].map((connection) => sampler.admits(connection, 0, 0)), [true, true, true]);
  assert.equal(sampler.admits(2, 0, 999_999), false, "the fourth in a second");
  assert.deepEqual(sampler.leftOut, { connections: 1, events: 1 });
  assert.equal(sampler.admits(1, 0, 1_000_000), true, "another second");
  assert.equal(sampler.admits(2, 0, 1_000_000), false, "left out to its end");
  assert.deepEqual(sampler.leftOut, { connections: 1, events: 2 });
  sampler.forget(2);
  assert.equal(sampler.admits(2, 0, 1_000_001), true, "another connection of the number");
});

Deno.test("octets are taken up to the number of a second", () => {
  const sampler = new Sampler(100, 10);
  assert.equal(sampler.admits(1, 4, 5), true);
  assert.equal(sampler.admits(1, 6, 6), true);
  assert.equal(sampler.admits(1, 1, 7), false);
  assert.equal(sampler.admits(2, 0, 8), true, "one without octets still fits");
});
