import assert from "node:assert/strict";
import { HttpError } from "../lib/http/error.ts";
import type { HttpResponse } from "../lib/http/message.ts";
import { MAX_WRITE_ATTEMPTS } from "../lib/limits.ts";
import { problemResponse } from "../lib/server/problem.ts";
import { RowSchema } from "../lib/table/row_schema.ts";
import { type NewRow, type Store, StoreError, type StoreFault } from "../lib/store.ts";
import { MemoryStore } from "../lib/store/memory.ts";
import { Table, type TableOptions } from "../lib/table.ts";
import { requestOf, textOf } from "./support.ts";

const SNAIL = '{"type":"snail","age":"1","leg":"0"}';
const PINGPING = `{"Pingping":${SNAIL}}`;
const SHAPE = RowSchema.parse("type,age,leg");

interface Answer {
  status: number;
  contentType?: string;
  fields: Record<string, string>;
  content: string;
}

/** Creates a table whose revisions start at 1, with Pingping in it. */
class TestTable {
  readonly store: Store;
  readonly table: Table;

  constructor(options: Partial<TableOptions> = {}, store: Store = new MemoryStore(0)) {
    this.store = store;
    this.table = new Table(store, { schema: SHAPE, ...options });
  }

  static async withPingping(options: Partial<TableOptions> = {}): Promise<TestTable> {
    const table = new TestTable(options);
    await table.store.put({ name: "Pingping", json: SNAIL });
    return table;
  }

  /** Sends a request: its first line without the version, field lines, content. */
  async send(line: string, content = "", ...fields: string[]): Promise<Answer> {
    if (content !== "" && !fields.some((field) => /^content-type/i.test(field))) {
      fields.push("Content-Type: application/json");
    }
    const request = requestOf(`${line} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`);
    let response: HttpResponse;
    try {
      response = await this.table.answer(request, new TextEncoder().encode(content));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      response = problemResponse(error);
    }
    return {
      status: response.status,
      contentType: response.contentType,
      fields: {
        ...Object.fromEntries(response.fields ?? []),
        ...response.etag !== undefined && { ETag: `"${response.etag}"` },
      },
      content: await textOf(response.content),
    };
  }
}

function detailOf({ content }: Answer): string {
  return JSON.parse(content).detail;
}

Deno.test("GET of a row", async () => {
  const table = await TestTable.withPingping();
  assert.deepEqual(await table.send("GET /Pingping"), {
    status: 200,
    contentType: "application/json",
    fields: { ETag: '"1"' },
    content: PINGPING,
  });
  const missing = await table.send("GET /Nobody");
  assert.equal(missing.status, 404);
  assert.equal(missing.contentType, "application/problem+json");
  assert.equal(detailOf(missing), 'No row is named "Nobody"');
});

Deno.test("HEAD gets the response of GET; the encoder omits the content", async () => {
  const table = await TestTable.withPingping();
  for (const target of ["/Pingping", "/", "/Nobody", "/?type=snail", "/?_sort=x"]) {
    assert.deepEqual(await table.send(`HEAD ${target}`), await table.send(`GET ${target}`));
  }
});

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

Deno.test("names in any script are encoded and decoded", async () => {
  const table = new TestTable();
  const content = '{"핑핑":{"type":"달팽이","age":"1","leg":"0"}}';
  const created = await table.send("POST /%ED%95%91%ED%95%91", content);
  assert.equal(created.fields.Location, "/%ED%95%91%ED%95%91");
  assert.equal((await table.send("GET /%ed%95%91%ED%95%91")).content, content);
});

const methods: [line: string, status: number, allow: string][] = [
  ["OPTIONS /", 204, "GET, HEAD, POST, OPTIONS"],
  ["OPTIONS /Pingping", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["OPTIONS /Nobody", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["OPTIONS *", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["OPTIONS http://a", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["PUT /", 405, "GET, HEAD, POST, OPTIONS"],
  ["DELETE /", 405, "GET, HEAD, POST, OPTIONS"],
  ["PATCH /?a=b", 405, "GET, HEAD, POST, OPTIONS"],
  ["TRACE /", 405, "GET, HEAD, POST, OPTIONS"],
  ["TRACE /Pingping", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["CONNECT a:80", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["BREW /Pingping", 501, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
  ["get /Pingping", 501, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"],
];

for (const [line, status, allow] of methods) {
  Deno.test(`${line}: ${status}, Allow: ${allow}`, async () => {
    const answer = await (await TestTable.withPingping()).send(line);
    assert.deepEqual([answer.status, answer.fields.Allow], [status, allow]);
  });
}

Deno.test("RFC 5789 §2.2, §3.1: Accept-Patch stands where a row may be patched, and where a patch is refused", async () => {
  const types = "application/json, application/merge-patch+json";
  const [table, readOnly] = [await TestTable.withPingping(), await TestTable.withPingping({ readOnly: true })];
  for (const line of ["OPTIONS /Pingping", "OPTIONS /Nobody"]) {
    assert.equal((await table.send(line)).fields["Accept-Patch"], types);
    assert.equal((await readOnly.send(line)).fields["Accept-Patch"], undefined);
  }
  for (const line of ["OPTIONS /", "OPTIONS *"]) {
    assert.equal((await table.send(line)).fields["Accept-Patch"], undefined);
  }
  for (const field of ["Content-Type: text/json", "Content-Encoding: gzip"]) {
    const patch = await table.send("PATCH /Pingping", "{}", field);
    assert.deepEqual([patch.status, patch.fields["Accept-Patch"]], [415, types]);
    const put = await table.send("PUT /Pingping", "{}", field);
    assert.deepEqual([put.status, put.fields["Accept-Patch"]], [415, undefined]);
  }
});

Deno.test("a read-only table refuses every write with 405", async () => {
  const table = await TestTable.withPingping({ readOnly: true });
  for (const line of ["POST /a", "PUT /Pingping", "PATCH /Pingping", "DELETE /Pingping", "POST /"]) {
    const answer = await table.send(line, SNAIL);
    assert.deepEqual([line, answer.status, answer.fields.Allow], [line, 405, "GET, HEAD, OPTIONS"]);
  }
  assert.equal((await table.send("GET /")).content, PINGPING);
});

const refused: [line: string, content: string, fields: string[], status: number, detail: RegExp][] = [
  ["GET /a/b", "", [], 404, /^Nothing is at \/a\/b/],
  ["GET /%2F", "", [], 400, /must not contain a \//],
  ["GET /%FF", "", [], 400, /percent-encoded UTF-8/],
  ["PUT /a", SNAIL, ["Content-Type: text/plain"], 415, /must be application\/json, saw "text\/plain"/],
  ["POST /a", SNAIL, ["Content-Type: application/x-www-form-urlencoded"], 415, /saw "application\/x-www-form/],
  ["PUT /a", SNAIL, ["Content-Type: application/merge-patch+json"], 415, /must be application\/json/],
  ["PATCH /Pingping", "{}", ["Content-Type: text/json"], 415, /application\/json or application\/merge-patch\+json/],
  ["POST /a", "", ["Content-Type: application/json"], 400, /^The content is empty/],
  ["POST /a", "{", [], 400, /^The content is not JSON/],
  ["POST /a", "[]", [], 422, /must be a JSON object, saw an array/],
  ["POST /a", "{}", [], 422, /type is missing.* and 2 more/],
  ["POST /a", '{"b":{"type":"x","age":"1","leg":"0"}}', [], 422, /row named "b", but the target names "a"/],
];

for (const [line, content, fields, status, detail] of refused) {
  Deno.test(`${line} with ${JSON.stringify(content)} ${fields}: ${status}`, async () => {
    const answer = await (await TestTable.withPingping()).send(line, content, ...fields);
    assert.equal(answer.status, status);
    assert.match(detailOf(answer), detail);
  });
}

Deno.test("a write without a Content-Type is refused, because a form on another site can send it", () => {
  const request = requestOf("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
  const { table } = new TestTable();
  assert.throws(() => table.precheck(request), { name: "HttpError", status: 415 });
});

Deno.test("a 422 names each field", async () => {
  const table = new TestTable({ schema: RowSchema.parse("type:string,age:integer") });
  const { errors } = JSON.parse((await table.send("PUT /a", '{"type":1,"color":"red"}')).content);
  assert.deepEqual(errors, [
    { field: "type", detail: "must be a string, saw 1" },
    { field: "age", detail: "is missing: expected an integer" },
    { field: "color", detail: "is unknown: a row has the fields type, age" },
  ]);
});

Deno.test("a 422 and OPTIONS name the fields of rows, as --fields does", async () => {
  const table = new TestTable({ schema: RowSchema.parse("제목,a b%:integer") });
  const encoded = "%EC%A0%9C%EB%AA%A9,a b%25:integer";
  for (const target of ["/", "/a", "*"]) {
    assert.equal((await table.send(`OPTIONS ${target}`)).fields["Row-Fields"], encoded);
  }
  for (const line of ["PUT /a", "POST /a", "POST /"]) {
    const { fields } = JSON.parse((await table.send(line, '{"b":{}}')).content);
    assert.equal(fields, "제목,a b%:integer", line);
  }
  const any = new TestTable({ schema: RowSchema.parse("*") });
  assert.equal((await any.send("OPTIONS /")).fields["Row-Fields"], "*");
  const most = Array.from({ length: 62 }, (_, i) => `${i}`.padEnd(64, "x")).join(",");
  const long = new TestTable({ schema: RowSchema.parse(`${most},${"x".repeat(63)}`) });
  assert.equal((await long.send("OPTIONS /")).fields["Row-Fields"]?.length, 4093);
  const longer = new TestTable({ schema: RowSchema.parse(`${most},${"x".repeat(61)}é`) });
  assert.equal((await longer.send("OPTIONS /")).fields["Row-Fields"], undefined);
});

Deno.test("a table of any form accepts any object", async () => {
  const table = new TestTable({ schema: RowSchema.parse("*") });
  assert.equal((await table.send("PUT /a", '{"b":{"c":[1,null]}}')).content, '{"a":{"b":{"c":[1,null]}}}');
  assert.equal((await table.send("PATCH /a", '{"b":{"c":null,"d":1}}')).content, '{"a":{"b":{"d":1}}}');
});

Deno.test("precheck refuses requests that are invalid whatever their content", () => {
  const { table } = new TestTable();
  const screen = (line: string, type: string) => () =>
    table.precheck(requestOf(`${line} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n\r\n`));
  screen("PUT /a", "application/json")();
  assert.throws(screen("PUT /", "application/json"), { status: 405 });
  assert.throws(screen("PUT /a", "text/plain"), { status: 415 });
  assert.throws(screen("PUT /a/b", "application/json"), { status: 404 });
});

/** Method, precondition, and the results for a row with the tag "1" and for a missing row. */
const preconditions: [method: string, field: string, there: number, missing: number][] = [
  ["GET", 'If-None-Match: "1"', 304, 404],
  ["GET", 'If-None-Match: "2"', 200, 404],
  ["GET", 'If-Match: "2"', 412, 404],
  ["PUT", 'If-Match: "1"', 200, 412],
  ["PUT", 'If-Match: "2"', 412, 412],
  ["PUT", "If-Match: *", 200, 412],
  ["PUT", "If-None-Match: *", 412, 201],
  ["PUT", 'If-None-Match: "1"', 412, 201],
  ["PATCH", 'If-Match: "1"', 200, 404],
  ["PATCH", 'If-Match: "2"', 412, 404],
  ["DELETE", 'If-Match: "1"', 204, 404],
  ["DELETE", 'If-Match: "2"', 412, 404],
  ["DELETE", 'If-None-Match: "2"', 204, 404],
];

for (const [method, field, there, missing] of preconditions) {
  Deno.test(`${method} with ${field}: ${there} for a row, ${missing} for none`, async () => {
    const content = method === "GET" || method === "DELETE" ? "" : SNAIL;
    assert.equal((await (await TestTable.withPingping()).send(`${method} /Pingping`, content, field)).status, there);
    assert.equal((await new TestTable().send(`${method} /Pingping`, content, field)).status, missing);
  });
}

Deno.test("a 304 has the tag, and no content", async () => {
  const table = await TestTable.withPingping();
  assert.deepEqual(await table.send("GET /Pingping", "", 'If-None-Match: W/"1"'), {
    status: 304,
    contentType: undefined,
    fields: { ETag: '"1"' },
    content: "",
  });
});

Deno.test("a precondition is evaluated before the content, but after the media type", async () => {
  const table = await TestTable.withPingping();
  assert.equal((await table.send("PUT /Pingping", "{", 'If-Match: "2"')).status, 412);
  assert.equal((await table.send("PUT /Pingping", "{", 'If-Match: "1"')).status, 400);
  assert.equal((await table.send("PUT /Pingping", "{", 'If-Match: "2"', "Content-Type: a/b")).status, 415);
});

Deno.test("a row that changes between read and write is read again", async () => {
  const store = new MemoryStore(0);
  store.put({ name: "a", json: SNAIL });
  let interruptions = 1;
  let puts = 0;
  const interrupted: Store = {
    get: (name) => store.get(name),
    put(row: NewRow, expected?: number) {
      puts++;
      if (interruptions-- > 0) store.put({ name: "a", json: SNAIL.replace("snail", "slug") });
      return store.put(row, expected);
    },
    insert: (rows) => store.insert(rows),
    remove: (name, expected) => store.remove(name, expected),
    snapshot: () => store.snapshot(),
    close: () => store.close(),
  };
  const table = new TestTable({}, interrupted);
  const patched = await table.send("PATCH /a", '{"age":"9"}');
  assert.equal(patched.content, '{"a":{"type":"slug","age":"9","leg":"0"}}');
  interruptions = 1;
  assert.equal((await table.send("PUT /a", SNAIL, `If-Match: ${patched.fields.ETag}`)).status, 412);
  interruptions = 1;
  assert.equal((await table.send("PUT /a", SNAIL, "If-Match: *")).status, 200);
  interruptions = Infinity;
  puts = 0;
  const given = await table.send("PATCH /a", '{"age":"9"}');
  assert.deepEqual([given.status, given.fields["Retry-After"]], [503, "1"]);
  assert.equal(puts, MAX_WRITE_ATTEMPTS);
});

Deno.test("coded or partial content is refused", async () => {
  const table = new TestTable();
  const gzip = await table.send("PUT /a", SNAIL, "Content-Encoding: gzip");
  assert.deepEqual([gzip.status, gzip.fields["Accept-Encoding"]], [415, "identity"]);
  assert.equal((await table.send("PUT /a", SNAIL, "Content-Range: bytes 0-1/2")).status, 400);
  assert.equal((await table.send("PUT /a", SNAIL, "Content-Encoding: Identity")).status, 201);
});

Deno.test("POST takes preconditions too", async () => {
  const table = await TestTable.withPingping();
  const post = async (target: string, field: string) => {
    const content = target === "/" ? `{"${field.length}":${SNAIL}}` : SNAIL;
    return (await table.send(`POST ${target}`, content, field)).status;
  };
  assert.equal(await post("/new", 'If-Match: "1"'), 412);
  assert.equal(await post("/new", "If-Match: *"), 412);
  assert.equal(await post("/new", "If-None-Match: *"), 201);
  assert.equal(await post("/new", "If-Match: *"), 409);
  assert.equal(await post("/", 'If-Match: "1"'), 412);
  assert.equal(await post("/", "If-None-Match: *"), 412);
  assert.equal(await post("/", 'If-Match: "2"'), 201);
});

Deno.test("the response to a PUT has an ETag only if the row was stored as sent", async () => {
  const table = new TestTable();
  const asSent = await table.send("PUT /a", `{"a":${SNAIL}}`);
  assert.equal(asSent.fields.ETag, '"1"');
  assert.equal((await table.send("PUT /a", SNAIL)).fields.ETag, undefined);
  assert.equal((await table.send("PUT /a", `{"a": ${SNAIL}}`)).fields.ETag, undefined);
  assert.equal((await table.send("GET /a")).fields.ETag, '"3"');
});

Deno.test("many rows are created together, in the order of the content", async () => {
  const table = new TestTable();
  const created = await table.send("POST /", `{"10":${SNAIL},"b":${SNAIL},"9":${SNAIL}}`);
  assert.deepEqual([created.status, created.content], [201, '{"created":3}']);
  assert.equal((await table.send("GET /")).content, `{"10":${SNAIL},"b":${SNAIL},"9":${SNAIL}}`);
  assert.equal((await table.send("POST /", "{}")).content, '{"created":0}');
});

const bulk: [content: string, status: number, errors: string[]][] = [
  [`{"a":${SNAIL},"Pingping":${SNAIL}}`, 409, ["Pingping already exists"]],
  [`{"a":${SNAIL},"a":${SNAIL}}`, 422, ["a is given twice"]],
  [`{"a":${SNAIL},"b":1}`, 422, ["b must be an object with the row's fields"]],
  [`{"a":${SNAIL},"b/c":${SNAIL},"":${SNAIL}}`, 422, ["b/c must not contain a /", " must not be empty"]],
  [`{"a":${SNAIL},"b":{"type":"x","age":"1"}}`, 422, [
    "b has a wrong field: leg is missing: expected a string, a number, true, false or null",
  ]],
];

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

Deno.test("a failing store is a server error", async () => {
  const failing = (fault: StoreFault): Store => ({
    get: () => Promise.reject(new StoreError(fault, "The disk is away")),
    put: () => {
      throw new StoreError(fault, "The disk is away");
    },
    insert: () => Promise.reject(new StoreError(fault, "The disk is away")),
    remove: () => Promise.reject(new StoreError(fault, "The disk is away")),
    snapshot: () => Promise.reject(new StoreError(fault, "The disk is away")),
    close: () => {},
  });
  for (const [fault, status] of [["full", 507], ["unavailable", 503], ["damaged", 500]] as const) {
    const table = new TestTable({}, failing(fault));
    for (const line of ["GET /a", "PUT /a", "DELETE /a", "GET /"]) {
      const answer = await table.send(line, line.startsWith("PUT") ? SNAIL : "");
      assert.deepEqual([line, answer.status, detailOf(answer)], [line, status, "The disk is away"]);
      assert.equal(answer.fields["Retry-After"], status === 503 ? "1" : undefined);
    }
  }
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
