import assert from "node:assert/strict";
import type { RawConnection } from "../../lib/bytes.ts";
import { exchangeRaw, type RawView } from "../../lib/client/raw.ts";
import { parseRawSteps } from "../../lib/client/raw_steps.ts";
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
