import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { type Fields, FieldSection } from "../../lib/http/fields.ts";
import { readFraming, readHost, readPersistence, refuseForbiddenTrailers } from "../../lib/http/framing.ts";
import { wireOctets } from "../wire_cases.ts";

/** Returns the section with these lines; errors count from its start. */
function fieldsOf(...lines: string[]): Fields {
  const text = `${lines.join("\r\n")}\r\n\r\n`;
  const section = new FieldSection();
  section.reset(0);
  section.scan(wireOctets(text), 0, text.length, { maxBytes: 1000, maxLines: 10, name: "header section" });
  return section.fields(text);
}

function statusOf(work: () => unknown): number {
  try {
    work();
  } catch (error) {
    if (error instanceof HttpError) return error.status;
    throw error;
  }
  return 0;
}

Deno.test("framing: a length, the chunked coding, or neither", () => {
  assert.equal(readFraming(fieldsOf("Content-Length: 42"), 1, 0), 42);
  assert.equal(readFraming(fieldsOf("Transfer-Encoding: Chunked"), 1, 0), "chunked");
  assert.equal(readFraming(fieldsOf("A: b"), 1, 0), undefined);
});

Deno.test("framing: anything else is an error", () => {
  assert.equal(statusOf(() => readFraming(fieldsOf("Transfer-Encoding: chunked", "Content-Length: 1"), 1, 0)), 400);
  assert.equal(statusOf(() => readFraming(fieldsOf("Transfer-Encoding: chunked"), 0, 0)), 400);
  assert.equal(statusOf(() => readFraming(fieldsOf("Transfer-Encoding: br, chunked"), 1, 0)), 501);
  assert.equal(statusOf(() => readFraming(fieldsOf("Content-Length: 1, 1"), 1, 0)), 400);
});

Deno.test("an error's offset is the value's, from the section's start", () => {
  assert.throws(() => readFraming(fieldsOf("A: b", "Content-Length: x"), 1, 100), (error) => {
    assert(error instanceof HttpError);
    assert.equal(error.offset, 100 + "A: b\r\nContent-Length: ".length);
    return true;
  });
});

Deno.test("an invalid Host has the cause two-hosts or host-value", () => {
  assert.throws(() => readHost(fieldsOf("Host: a", "Host: a"), 1, 0), { fault: "two-hosts" });
  assert.throws(() => readHost(fieldsOf("Host: a b"), 1, 0), { fault: "host-value" });
});

Deno.test("an error quotes a value as text", () => {
  const value = "\xc3\xa9\xff";
  assert.throws(() => readHost(fieldsOf(`Host: ${value}`), 1, 0), /saw "é\ufffd"$/);
  assert.throws(() => readFraming(fieldsOf(`Content-Length: ${value}`), 1, 0), /saw "é\ufffd"$/);
  assert.throws(() => readFraming(fieldsOf(`Transfer-Encoding: ${value}`), 1, 0), /saw "é\ufffd"$/);
});

Deno.test("HTTP/1.1 requires exactly one valid Host", () => {
  assert.equal(readHost(fieldsOf("Host: a:1"), 1, 0), "a:1");
  assert.equal(readHost(fieldsOf("A: b"), 0, 0), "");
  assert.equal(statusOf(() => readHost(fieldsOf("A: b"), 1, 0)), 400);
  assert.equal(statusOf(() => readHost(fieldsOf("Host: a", "Host: a"), 0, 0)), 400);
});

const persistence: [line: string, minor: 0 | 1, persistent: boolean][] = [
  ["A: b", 1, true],
  ["A: b", 0, false],
  ["Connection: close", 1, false],
  ["Connection: Keep-Alive", 0, true],
  ["Connection: keep-alive, close", 0, false],
  ["Connection: upgrade", 1, true],
  ["Connection: close\xa0", 1, true],
];

for (const [line, minor, persistent] of persistence) {
  Deno.test(`RFC 9112 §9.3: HTTP/1.${minor} with ${JSON.stringify(line)}: ${persistent ? "stays" : "ends"}`, () => {
    assert.equal(readPersistence(fieldsOf(line), minor), persistent);
  });
}

Deno.test("trailers may not frame the message", () => {
  refuseForbiddenTrailers(fieldsOf("Digest: a"), 0);
  for (const name of ["Content-Length", "transfer-encoding", "HOST"]) {
    assert.equal(statusOf(() => refuseForbiddenTrailers(fieldsOf(`${name}: 1`), 0)), 400);
  }
});
