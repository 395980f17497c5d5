import assert from "node:assert/strict";
import { type Store, StoreError, type StoreFault } from "../lib/store.ts";
import { RowSchema } from "../lib/table.ts";
import { requestOf } from "./support.ts";
import { detailOf, PINGPING, SNAIL, TestTable } from "./table/test_table.ts";

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

Deno.test("precheck refuses requests that are invalid whatever their content", () => {
  const { table } = new TestTable();
  const screen = (line: string, type: string) => () =>
    table.precheck(requestOf(`${line} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n\r\n`));
  screen("PUT /a", "application/json")();
  assert.throws(screen("PUT /", "application/json"), { status: 405 });
  assert.throws(screen("PUT /a", "text/plain"), { status: 415 });
  assert.throws(screen("PUT /a/b", "application/json"), { status: 404 });
});

Deno.test("coded or partial content is refused", async () => {
  const table = new TestTable();
  const gzip = await table.send("PUT /a", SNAIL, "Content-Encoding: gzip");
  assert.deepEqual([gzip.status, gzip.fields["Accept-Encoding"]], [415, "identity"]);
  assert.equal((await table.send("PUT /a", SNAIL, "Content-Range: bytes 0-1/2")).status, 400);
  assert.equal((await table.send("PUT /a", SNAIL, "Content-Encoding: Identity")).status, 201);
});

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
