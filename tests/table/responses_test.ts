import assert from "node:assert/strict";
import { StoreError, type StoreFault } from "../../lib/store.ts";
import {
  allCreatedResponse,
  createdResponse,
  refuseMethod,
  refuseStoreError,
  removedResponse,
  rowResponse,
  writtenResponse,
} from "../../lib/table/responses.ts";
import { requestOf } from "../support.ts";

const ROW = { name: "a b", content: '{"a b":{}}', version: 7 };

const faults: [fault: StoreFault, status: number, retries: boolean][] = [
  ["full", 507, false],
  ["too-large", 413, false],
  ["damaged", 500, false],
  ["unavailable", 503, true],
];

for (const [fault, status, retries] of faults) {
  Deno.test(`a store that is ${fault} is a ${status}`, () => {
    assert.throws(() => refuseStoreError(new StoreError(fault, "x", { maxRows: 3 })), {
      status,
      maxRows: 3,
      fields: retries ? [["Retry-After", "1"]] : [],
    });
  });
}

Deno.test("an error that is not the store's stays what it is", () => {
  assert.throws(() => refuseStoreError(new TypeError("x")), TypeError);
});

Deno.test("a write has a validator only if what was put is what is stored", () => {
  const put = (content: string, created: boolean) =>
    writtenResponse({ row: ROW, created }, new TextEncoder().encode(content));
  assert.equal(put(ROW.content, false).etag, 7);
  assert.equal(put('{"a b": {}}', false).etag, undefined);
  assert.deepEqual(put(ROW.content, true).fields, [["Location", "/a%20b"], ["ETag", '"7"']]);
  assert.deepEqual(put("{}", true).fields, [["Location", "/a%20b"]]);
});

Deno.test("what is not there, or there already, is refused", () => {
  const get = requestOf("GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal(rowResponse(get, "a b", ROW).status, 200);
  assert.throws(() => rowResponse(get, "a b", undefined), { status: 404 });
  assert.throws(() => removedResponse("a", false), { status: 404 });
  assert.throws(() => createdResponse("a", undefined), { status: 409 });
  assert.throws(() => allCreatedResponse(2, ["a"]), {
    status: 409,
    errors: [{ field: "a", detail: "already exists" }],
  });
  assert.throws(() => refuseMethod("TRACE", "/", ["GET"]), { status: 405 });
  assert.throws(() => refuseMethod("BREW", "/", ["GET"]), { status: 501 });
});
