import assert from "node:assert/strict";
import type { RawConnection } from "../../lib/bytes.ts";
import { exchangeRaw, parseRawSteps, type RawView } from "../../lib/client/raw.ts";
import { WrongInput } from "../../lib/client/words.ts";
import { MAX_RAW_OCTETS, MAX_RAW_STEPS, MAX_RAW_WAIT_MS } from "../../lib/limits.ts";
import { octetString } from "../wire_cases.ts";

const STAYS = new AbortController().signal;

/** A connection that records what is done with it, and delivers given octets. */
class FakeConnection implements RawConnection {
  readonly done: string[] = [];
  /** How many octets a write accepts; `hang` for none, ever. */
  takes: number | "hang" | "fail" = 1000;
  readonly #arriving: (Uint8Array | null)[] = [];
  #waiting: ((bytes: Uint8Array | null) => void) | undefined;

  bring(bytes: Uint8Array | null): void {
    if (this.#waiting === undefined) this.#arriving.push(bytes);
    else this.#waiting(bytes);
    this.#waiting = undefined;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#arriving.length > 0) return Promise.resolve(this.#arriving.shift()!);
    return new Promise((resolve) => this.#waiting = resolve);
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.takes === "hang") return new Promise(() => {});
    if (this.takes === "fail") return Promise.reject(new Deno.errors.BrokenPipe("gone"));
    const taken = bytes.subarray(0, this.takes);
    this.done.push(octetString(taken));
    return Promise.resolve(taken.length);
  }

  closeWrite(): Promise<void> {
    this.done.push("FIN");
    return Promise.resolve();
  }

  close(): void {
    this.bring(null);
  }
}

/** A view that expects what it is told to. */
function viewOf(expects: RawView["expects"]): RawView & { expects: RawView["expects"]; unsent: number | undefined } {
  return {
    unsent: undefined,
    expects,
    begin: () => {},
    sent(unsent) {
      this.unsent = unsent;
    },
    end: () => ({ status: undefined, valid: true }),
  };
}

Deno.test("each string is one write, if the connection accepts it at once", async () => {
  const conn = new FakeConnection();
  const view = viewOf("nothing");
  const outcome = await exchangeRaw(conn, parseRawSteps('"ab" 1ms "cd"*2 fin'), view, {
    timeoutMs: 10_000,
    signal: STAYS,
  });
  assert.equal(outcome, "complete");
  assert.deepEqual(conn.done, ["ab", "cdcd", "FIN"]);
  assert.equal(view.unsent, 0);
  const slow = new FakeConnection();
  slow.takes = 2;
  await exchangeRaw(slow, parseRawSteps('"abcde"'), view, { timeoutMs: 10_000, signal: STAYS });
  assert.deepEqual(slow.done, ["ab", "cd", "e"]);
});

Deno.test("a response is waited for until the view expects no more", async () => {
  const conn = new FakeConnection();
  const view = viewOf("response");
  const exchange = exchangeRaw(conn, parseRawSteps('"a"'), view, { timeoutMs: 10_000, signal: STAYS });
  conn.bring(new Uint8Array(1));
  view.expects = "nothing";
  conn.bring(new Uint8Array(1));
  assert.equal(await exchange, "complete");
});

Deno.test("the connection's end ends the wait, whether expected or not", async () => {
  for (const [expects, outcome] of [["response", "ended"], ["fin", "complete"]] as const) {
    const conn = new FakeConnection();
    const exchange = exchangeRaw(conn, parseRawSteps('"a"'), viewOf(expects), { timeoutMs: 10_000, signal: STAYS });
    conn.bring(null);
    assert.equal(await exchange, outcome);
  }
});

Deno.test("a response that does not arrive in time ends the wait", async () => {
  for (const [expects, outcome] of [["response", "timeout"], ["fin", "complete"]] as const) {
    const conn = new FakeConnection();
    const options = { timeoutMs: 1, signal: STAYS };
    assert.equal(await exchangeRaw(conn, parseRawSteps('"a"'), viewOf(expects), options), outcome);
  }
});

Deno.test("octets not read by the server are counted", async () => {
  for (const takes of ["hang", "fail"] as const) {
    const conn = new FakeConnection();
    conn.takes = takes;
    conn.bring(null);
    const view = viewOf("response");
    const outcome = await exchangeRaw(conn, parseRawSteps('"abc" 1ms "de" fin'), view, {
      timeoutMs: 1,
      signal: STAYS,
    });
    assert.equal(outcome, "ended");
    assert.equal(view.unsent, 5);
    assert.deepEqual(conn.done, []);
  }
});

Deno.test("the user can end a pause, a write and a wait", async () => {
  for (const [steps, takes] of [["600s", 1], ['"a"', "hang"], ['"a"', 1]] as const) {
    const conn = new FakeConnection();
    conn.takes = takes;
    const user = new AbortController();
    const exchange = exchangeRaw(conn, parseRawSteps(steps), viewOf("response"), {
      timeoutMs: 600_000,
      signal: user.signal,
    });
    user.abort();
    await assert.rejects(exchange, { name: "AbortError" });
  }
});

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
  ['"\ufffd"', /^write an octet that is not UTF-8 as \\xHH/],
  ['"\ud800"', /^write an octet that is not UTF-8 as \\xHH/],
  [`${"x".repeat(50)}`, /saw x{40}…, in step 1$/],
  ["-2s", /saw -2s, in step 1$/],
];

for (const [text, message] of refused) {
  Deno.test(`raw refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseRawSteps(text), (error) => error instanceof WrongInput && message.test(error.message));
  });
}

Deno.test("octets, steps and pauses of raw are bounded", () => {
  assert.equal(shown(`"a" "b"*${MAX_RAW_OCTETS - 1}`)[1].length, MAX_RAW_OCTETS - 1);
  assert.throws(
    () => parseRawSteps(`"a" "b"*${MAX_RAW_OCTETS}`),
    { message: `at most ${MAX_RAW_OCTETS} octets can be sent, saw ${MAX_RAW_OCTETS + 1}, in step 2` },
  );
  const [{ kind, ...step }] = parseRawSteps('"abc"*7');
  assert.deepEqual([kind, step], ["send", { bytes: new TextEncoder().encode("abc".repeat(7)) }]);
  assert.equal(parseRawSteps("1ms ".repeat(MAX_RAW_STEPS)).length, MAX_RAW_STEPS);
  assert.throws(() => parseRawSteps("1ms ".repeat(MAX_RAW_STEPS + 1)), WrongInput);
  assert.equal(parseRawSteps(`${MAX_RAW_WAIT_MS}ms`).length, 1);
  assert.throws(
    () => parseRawSteps(`${MAX_RAW_WAIT_MS / 1000 + 1}s`),
    /a pause lasts at most 600s, saw 601s, in step 1/,
  );
});
