import assert from "node:assert/strict";
import { Budget } from "../../lib/server/context.ts";
import { RequestContent } from "../../lib/server/request_content.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("content is collected from pieces", () => {
  for (const announced of [8, undefined]) {
    const content = new RequestContent(new Budget(1024 * 1024));
    for (const piece of ["ab", "cde", "fgh"]) content.add(bytes(piece), announced);
    assert.equal(text(content.take()), "abcdefgh");
    assert.equal(content.take().length, 0, "it is taken once");
  }
});

Deno.test("content in one piece is not copied", () => {
  const content = new RequestContent(new Budget(1024 * 1024));
  const piece = bytes("abc");
  content.add(piece, 3);
  assert.equal(content.take(), piece);
});

Deno.test("memory is allocated for received content, not for the announced length", () => {
  const content = new RequestContent(new Budget(1024 * 1024));
  content.add(bytes("a"), 1e9);
  assert(content.take().buffer.byteLength < 10_000);
});

Deno.test("large content of known length has exactly the memory it needs", () => {
  const content = new RequestContent(new Budget(1024 * 1024));
  for (let i = 0; i < 10; i++) content.add(new Uint8Array(10_000), 100_000);
  assert.equal(content.take().buffer.byteLength, 100_000);
});

Deno.test("collected content is taken from the budget, down to its last byte", () => {
  const budget = new Budget(10_000);
  const content = new RequestContent(budget);
  content.add(new Uint8Array(5_000), 10_000);
  assert.equal(budget.used, 10_000);
  content.add(new Uint8Array(5_000), 10_000);
  assert.equal(content.take().length, 10_000);
  assert.equal(budget.used, 10_000, "whoever answers the request still needs it");
  content.release();
  content.release();
  assert.equal(budget.used, 0);
  content.add(new Uint8Array(1), 10_001);
  assert.throws(() => content.add(new Uint8Array(9_000), 10_001), { name: "HttpError", status: 503 });
  content.release();
  assert.equal(budget.used, 0);
});
