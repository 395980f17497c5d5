import assert from "node:assert/strict";
import { FIELD_MEANINGS, METHOD_MEANINGS, STATUS_CLASSES, STATUS_MEANINGS } from "../../lib/traffic/words.ts";

Deno.test("methods, statuses and fields have one line and a section each", () => {
  const all = [...Object.values(METHOD_MEANINGS), ...Object.values(STATUS_MEANINGS), ...FIELD_MEANINGS.values()];
  for (const [text, rule] of [...all, ...STATUS_CLASSES]) {
    assert.match(text, /^\S[^\n]*[^.\s]$/);
    assert(text.length <= 64, text);
    assert.match(rule, /§|^Private Network Access$/);
  }
  assert.equal(Object.keys(METHOD_MEANINGS).length, 9);
  assert(FIELD_MEANINGS.size >= 64);
  for (const name of FIELD_MEANINGS.keys()) assert.equal(name, name.toLowerCase());
  for (const status of [100, 206, 308, 421, 451, 511]) assert(status in STATUS_MEANINGS);
});
