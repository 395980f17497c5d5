import assert from "node:assert/strict";
import type { ClientEvent } from "../../lib/client.ts";
import { sendInPieces } from "../../lib/client/pieces.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import type { HttpResponse } from "../../lib/http/message.ts";
import { type NewRow, START, StoreError } from "../../lib/store.ts";
import { Table } from "../../lib/table.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { type Handler, startServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";
import { OK, ScriptedServer, sessionWith, TOGETHER } from "./scripted_server.ts";

/** A store that takes a few rows at once, and rows of a few octets together. */
class NarrowStore extends MemoryStore {
  readonly inserted: number[] = [];
  /** Thrown by the insertion of this name. */
  readonly failures = new Map<string, Error>();

  constructor(readonly most: number, readonly bytes: number = Infinity) {
    super(0);
  }

  override async insert(rows: readonly NewRow[]) {
    if (rows.length > this.most) throw new StoreError("too-large", "It takes fewer rows", { maxRows: this.most });
    for (const { name } of rows) if (this.failures.has(name)) throw this.failures.get(name);
    if (rows.reduce((sum, { json }) => sum + json.length, 0) > this.bytes) {
      const maxRows = rows.length === 1 ? undefined : Math.floor(rows.length / 2);
      throw new StoreError("too-large", "It takes fewer bytes", { maxRows });
    }
    this.inserted.push(rows.length);
    return await super.insert(rows);
  }
}

/** Returns all rows of a store as JSON. */
async function textOf(store: MemoryStore): Promise<string> {
  const { content } = await (await store.snapshot()).json(START);
  return typeof content === "string" ? content : new TextDecoder().decode(content);
}

function handlerOf(store: MemoryStore): Handler {
  const table = new Table(store, { schema: RowSchema.parse("*") });
  return (request, content) => table.answer(request, content);
}

interface Outcome {
  status: number | string;
  shown: string;
  told: string[];
}

interface PostOptions {
  type?: string;
  fields?: [string, string][];
  showsRefusals?: boolean;
}

/** Posts content to a server with this handler. */
async function post(handler: Handler, content: string, options?: PostOptions): Promise<Outcome> {
  await using server = startServer(handler);
  return await postTo(server.port, content, options);
}

async function postTo(
  port: number,
  content: string,
  { type = "application/json", fields = [], showsRefusals = false }: PostOptions = {},
): Promise<Outcome> {
  using session = sessionWith(port);
  const outcome: Outcome = { status: 0, shown: "", told: [] };
  const show = (event: ClientEvent) => {
    if (event.kind === "response") outcome.shown += `${event.status}: `;
    else if (event.kind === "content") outcome.shown += octetString(event.bytes);
    else if (event.kind === "end") outcome.shown += "\n";
    return Promise.resolve();
  };
  const request = {
    method: "POST",
    target: "/",
    fields: [["Host", "h"], ["Content-Type", type], ...fields] as [string, string][],
    content: new TextEncoder().encode(content),
  };
  outcome.status = await sendInPieces(request, {
    async send(request, show) {
      let status = 0;
      for await (const event of session.exchange(request)) {
        if (event.kind === "response") status = event.status;
        await show(event);
      }
      return status;
    },
    show,
    note: (line) => Promise.resolve(void outcome.told.push(line)),
    showsRefusals: () => showsRefusals,
  }).catch((error: Error) => error.message);
  return outcome;
}

function rowsOf(count: number): string {
  return `{${Array.from({ length: count }, (_, i) => `"n${i}":{"i":${i}}`).join()}}`;
}

Deno.test("rows that are too many go in pieces, in their order, their text as it was", async () => {
  const store = new NarrowStore(2);
  const content =
    ` { "b" : {"x":1.50, "y":[1,{"z":"},\\"{"}]},\n"a":{"x":1e2},"ä\\u0301":{},"10":{"x":-0.10} , "9":{} } `;
  const { status, shown, told } = await post(handlerOf(store), content);
  assert.equal(status, 201);
  assert.deepEqual(store.inserted, [2, 2, 1]);
  assert.equal(shown, '201: {"created":2}\n201: {"created":2}\n201: {"created":1}\n');
  assert.deepEqual(told, [
    "It takes fewer rows: 5 rows are sent in 3 pieces of at most 2, each created whole or not at all",
  ]);
  const whole = new MemoryStore(0);
  await post(handlerOf(whole), content);
  assert.equal(await textOf(store), await textOf(whole));
});

Deno.test("each piece is the text that stands between its rows", async () => {
  const seen: string[] = [];
  const handler: Handler = ({ fields }, content) => {
    seen.push(`${fields.get("content-type")} ${octetString(content)}`);
    if (seen.length > 1) return { status: 204 };
    return { status: 413, contentType: "application/problem+json", content: '{"maxRows":2,"detail":"few"}' };
  };
  const { status } = await post(handler, '{"a" : 1.0e+5 ,\n "b":"\\u0041", "c":{"d":12345678901234567890}}');
  assert.equal(status, 204);
  assert.deepEqual(seen.slice(1), [
    'application/json {"a" : 1.0e+5 ,\n "b":"\\u0041"}',
    'application/json {"c":{"d":12345678901234567890}}',
  ]);
});

Deno.test("a piece that is not answered with success ends it, whatever else the answer is", async () => {
  for (const status of [300, 404]) {
    const answers: HttpResponse[] = [
      { status: 413, contentType: "application/problem+json", content: '{"maxRows":2,"detail":"few"}' },
      { status: 299 },
      { status },
    ];
    const outcome = await post(() => answers.shift()!, rowsOf(7));
    assert.equal(outcome.status, status);
    assert.match(outcome.told.at(-1)!, /^Rows created: the first 2 of 7, /);
  }
});

Deno.test("lines of rows go in pieces of whole lines", async () => {
  const store = new NarrowStore(2);
  const content = '{"b":{"x":1}}\r\n\n { "a" : {} } \n{"10":{}}\n{"9":{}}\n{"c":{}}';
  const { status, told } = await post(handlerOf(store), content, { type: "application/x-ndjson; charset=utf-8" });
  assert.equal(status, 201);
  assert.deepEqual(store.inserted, [2, 2, 1]);
  assert.equal(await textOf(store), '{"b":{"x":1},"a":{},"10":{},"9":{},"c":{}}');
  assert.match(told[0], /5 rows are sent in 3 pieces of at most 2/);
});

Deno.test("a piece that is still too large is sent in smaller ones", async () => {
  const store = new NarrowStore(4, 20);
  const { status, told } = await post(handlerOf(store), rowsOf(6));
  assert.equal(status, 201);
  assert.deepEqual(store.inserted, [2, 2, 2]);
  assert.deepEqual(told.map((line) => line.slice(0, line.indexOf(","))), [
    "It takes fewer rows: 6 rows are sent in 2 pieces of at most 4",
    "It takes fewer bytes: 6 rows are sent in 3 pieces of at most 2",
  ]);
});

Deno.test("a refusal is shown where heads are, and where nothing can be split", async () => {
  const problem = '413: {"type":"about:blank","title":"Content Too Large","status":413,"detail":"It takes fewer rows"';
  const { shown } = await post(handlerOf(new NarrowStore(1)), rowsOf(2), { showsRefusals: true });
  assert.equal(shown, `${problem},"maxRows":1}\n\n201: {"created":1}\n201: {"created":1}\n`);

  const single = await post(handlerOf(new NarrowStore(1, 5)), '{"a":{"long":true}}');
  assert.match(single.shown, /^413: [^\n]*"detail":"It takes fewer bytes"\}\n\n$/);
  // The first piece would change what the condition is about.
  const conditional = await post(handlerOf(new NarrowStore(1)), rowsOf(2), { fields: [["If-Match", "*"]] });
  assert.match(conditional.shown, /^413: /);
  assert.deepEqual([single.status, conditional.status], [413, 413]);
  assert.deepEqual([single.told, conditional.told], [[], []]);
});

const problems: [what: string, contentType: string, content: string][] = [
  ["is no problem document", "application/json", '{"maxRows":1}'],
  ["says nothing of rows", "application/problem+json", '{"detail":"too large"}'],
  ["is not JSON", "application/problem+json", '{"maxRows":1'],
  ["takes no rows", "application/problem+json", '{"maxRows":0}'],
  ["takes as many rows as there are", "application/problem+json", '{"maxRows":2}'],
  ["is long", "application/problem+json", `{"maxRows":1,"detail":"${"x".repeat(70_000)}"}`],
];

for (const [what, contentType, content] of problems) {
  Deno.test(`a 413 that ${what} is the answer`, async () => {
    const { status, shown, told } = await post(() => ({ status: 413, contentType, content }), rowsOf(2));
    assert.deepEqual([status, shown, told], [413, `413: ${content}\n`, []]);
  });
}

Deno.test("content that is not an object of rows is sent once", async () => {
  const content = '{"maxRows":1}';
  const handler: Handler = () => ({ status: 413, contentType: "application/problem+json", content });
  for (const sent of ["[1,2]", "{", '"a"']) {
    assert.deepEqual(await post(handler, sent), { status: 413, shown: `413: ${content}\n`, told: [] });
  }
});

const first = "It takes fewer rows: 7 rows are sent in 4 pieces of at most 2, each created whole or not at all";
const failures: [what: string, name: string, error: Error, status: number | string, told: string][] = [
  [
    "is too large by itself",
    "n4",
    new StoreError("too-large", "x"),
    413,
    'Rows created: the first 4 of 7, up to "n3"',
  ],
  ["is the first one", "n0", new StoreError("too-large", "x"), 413, "Rows created: none"],
  [
    "has an unknown outcome",
    "n4",
    new StoreError("unavailable", "x"),
    503,
    'Rows created: the first 4 of 7, up to "n3"; not known: the next 2, up to "n5"',
  ],
  [
    "is the first one and has an unknown outcome",
    "n1",
    new StoreError("unavailable", "x"),
    503,
    'Rows created: none; not known: the next 2, up to "n1"',
  ],
  [
    "is the last one and has an unknown outcome",
    "n6",
    new StoreError("unavailable", "x"),
    503,
    'Rows created: the first 6 of 7, up to "n5"; not known: the next 1, up to "n6"',
  ],
];

for (const [what, name, error, status, line] of failures) {
  Deno.test(`after a piece that ${what}, it is told which rows are in`, async () => {
    const store = new NarrowStore(2);
    store.failures.set(name, error);
    const { told, ...outcome } = await post(handlerOf(store), rowsOf(7));
    assert.equal(outcome.status, status);
    assert.deepEqual(told, [first, line]);
  });
}

Deno.test("a connection that breaks leaves open whether a piece was created", async () => {
  const document = '{"maxRows":1,"detail":"few"}';
  const refusal = `HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\n` +
    `Content-Length: ${document.length}\r\n\r\n${document}`;
  await using server = new ScriptedServer([refusal, OK, "close"]);
  const { status, shown, told } = await postTo(server.port, rowsOf(3));
  assert.match(String(status), /closed the connection without a response/);
  assert.equal(shown, "200: ok\n");
  assert.equal(told[1], 'Rows created: the first 1 of 3, up to "n0"; not known: the next 1, up to "n1"');
});

Deno.test("what is held of a response that breaks off is shown", async () => {
  const head = "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\nContent-Length: 9\r\n\r\n";
  await using server = new ScriptedServer([`${TOGETHER}${head}{"a"`, "close now"]);
  const { shown, told } = await postTo(server.port, rowsOf(3));
  assert.equal(shown, '413: {"a"');
  assert.deepEqual(told, []);
});

for (const detail of ["a\nb", "x".repeat(301), 5, undefined]) {
  Deno.test(`a reason that is no line is not told: ${JSON.stringify(detail)?.slice(0, 20)}`, async () => {
    let requests = 0;
    const { told } = await post(() => {
      if (++requests > 1) return { status: 201 };
      const content = JSON.stringify({ maxRows: 1, detail });
      return { status: 413, contentType: "application/problem+json", content };
    }, rowsOf(2));
    assert.match(told[0], /^The server takes fewer rows at once: 2 rows are sent in 2 pieces of at most 1, /);
  });
}
