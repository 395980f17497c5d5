import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { type Fields, FieldSection } from "../../lib/http/fields.ts";
import { REQUEST_LIMITS } from "../../lib/limits.ts";
import { readFraming, readHost, readPersistence } from "../../lib/http/framing.ts";
import { wireOctets } from "../wire_cases.ts";

/** Returns the section with these lines; errors count from its start. */
function fieldsOf(...lines: string[]): Fields {
  const text = `${lines.join("\r\n")}\r\n\r\n`;
  const section = new FieldSection(REQUEST_LIMITS);
  section.reset(0);
  section.scan(wireOctets(text), 0, text.length);
  return section.fields(text);
}

Deno.test("an error's offset is the value's, from the section's start", () => {
  assert.throws(() => readFraming(fieldsOf("A: b", "Content-Length: x"), 1, 100), (error) => {
    assert(error instanceof HttpError);
    assert.equal(error.offset, 100 + "A: b\r\nContent-Length: ".length);
    return true;
  });
});

Deno.test("an error quotes a value as text", () => {
  const value = "\xc3\xa9\xff";
  assert.throws(() => readHost(fieldsOf(`Host: ${value}`), 1, 0), /saw "é\ufffd"$/);
  assert.throws(() => readFraming(fieldsOf(`Content-Length: ${value}`), 1, 0), /saw "é\ufffd"$/);
  assert.throws(() => readFraming(fieldsOf(`Transfer-Encoding: ${value}`), 1, 0), /saw "é\ufffd"$/);
});

Deno.test("of a long value only the start is quoted", () => {
  const shown = `saw "${"1".repeat(31)}x"`;
  const fields = fieldsOf(`Content-Length: ${shown.slice(5, -1)}23`);
  assert.throws(() => readFraming(fields, 1, 0), { message: `Content-Length must be one decimal number, ${shown}` });
});

Deno.test("RFC 9112 §9.3: an option that only looks like close does not end the connection", () => {
  assert.equal(readPersistence(fieldsOf("Connection: close\xa0"), 1), true);
  assert.equal(readPersistence(fieldsOf("Connection: close"), 1), false);
});
