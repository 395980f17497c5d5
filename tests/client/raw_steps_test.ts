import assert from "node:assert/strict";
import { parseRawSteps } from "../../lib/client/raw_steps.ts";
import { WrongInput } from "../../lib/client/words.ts";
import { MAX_RAW_BYTES, MAX_RAW_STEPS, MAX_RAW_WAIT_MS } from "../../lib/limits.ts";
import { octetString } from "../wire_cases.ts";

/** Formats steps in short. */
function shown(text: string): string[] {
  return parseRawSteps(text).map((step) =>
    step.kind === "send" ? octetString(step.bytes) : step.kind === "wait" ? `${step.milliseconds} ms` : "FIN"
  );
}

const cases: [text: string, steps: string[]][] = [
  [String.raw`"GET / HT" 200ms "TP/1.1\r\nHost: localhost\r\n\r\n" fin`, [
    "GET / HT",
    "200 ms",
    "TP/1.1\r\nHost: localhost\r\n\r\n",
    "FIN",
  ]],
  [String.raw`"\r\n\t\0\x41\xff\\\"'"`, ["\r\n\t\0A\xff\\\"'"]],
  [`"ab"*3 "c"*1 0.5s 1.5ms FIN 2s`, ["ababab", "c", "500 ms", "1.5 ms", "FIN", "2000 ms"]],
  [`"é{ }" fin`, ["\xc3\xa9{ }", "FIN"]],
  [`  "a \t b"  `, ["a \t b"]],
  ["2S", ["2000 ms"]],
];

for (const [text, steps] of cases) {
  Deno.test(`raw takes ${text}`, () => assert.deepEqual(shown(text), steps));
}

const refused: [text: string, message: RegExp][] = [
  ["", /^steps are "text\\r\\n", "a"\*9000, 200ms, 2s and fin, saw nothing; help raw has examples$/],
  ["GET / HTTP/1.1", /saw GET \/ HTTP\/1\.1, in step 1$/],
  [`"a" b`, /, saw b, in step 2$/],
  [`"a""b"`, /, saw "a""b", in step 1$/],
  [`1ms "a`, /^a string ends with ", saw "a without it, in step 2$/],
  [`"a\\"`, /^a string ends with ", saw "a\\" without it, in step 1$/],
  [`"a\\`, /^a string ends with ", saw "a\\ without it, in step 1$/],
  [`fin "a"`, /^nothing can be sent after fin, .*, in step 2$/],
  [`fin 1ms "a"`, /^nothing can be sent after fin, .*, in step 3$/],
  [String.raw`"\q"`, /^escapes are \\r \\n \\t \\0 \\xHH \\\\ \\", saw \\q, in step 1$/],
  [String.raw`"\x4"`, /saw \\x4, in step 1$/],
  [String.raw`"\R"`, /saw \\R, in step 1$/],
  [`""`, /^there is nothing to send in ""/],
  [`"a"*0`, /^there is nothing to send/],
  ['"\ufffd"', /^write an octet that is no UTF-8 as \\xHH/],
  ['"\ud800"', /^write an octet that is no UTF-8 as \\xHH/],
  [`${"x".repeat(50)}`, /saw x{40}…, in step 1$/],
  ["-2s", /saw -2s, in step 1$/],
];

for (const [text, message] of refused) {
  Deno.test(`raw refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseRawSteps(text), (error) => error instanceof WrongInput && message.test(error.message));
  });
}

Deno.test("octets, steps and pauses of raw are bounded", () => {
  assert.equal(shown(`"a" "b"*${MAX_RAW_BYTES - 1}`)[1].length, MAX_RAW_BYTES - 1);
  assert.throws(
    () => parseRawSteps(`"a" "b"*${MAX_RAW_BYTES}`),
    { message: `at most ${MAX_RAW_BYTES} octets can be sent, saw ${MAX_RAW_BYTES + 1}, in step 2` },
  );
  const [{ kind, ...step }] = parseRawSteps('"abc"*7');
  assert.deepEqual([kind, step], ["send", { bytes: new TextEncoder().encode("abc".repeat(7)) }]);
  assert.equal(parseRawSteps("1ms ".repeat(MAX_RAW_STEPS)).length, MAX_RAW_STEPS);
  assert.throws(() => parseRawSteps("1ms ".repeat(MAX_RAW_STEPS + 1)), WrongInput);
  assert.equal(parseRawSteps(`${MAX_RAW_WAIT_MS}ms`).length, 1);
  assert.throws(() => parseRawSteps(`${MAX_RAW_WAIT_MS / 1000 + 1}s`), /a pause may be 600s long, saw 601s, in step 1/);
});
