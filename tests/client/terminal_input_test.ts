import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import type { Line } from "../../lib/client/line_input.ts";
import { TerminalInput } from "../../lib/client/terminal_input.ts";
import { MAX_TYPED_AHEAD_CHARACTERS } from "../../lib/limits.ts";

/** A terminal whose keys the test presses. */
interface Typing {
  readonly input: TerminalInput;
  press(keys: string): void;
  shown(): string;
  /** How often Ctrl-C was reported while no line was requested. */
  interruptions(): number;
}

async function typing(body: (terminal: Typing) => Promise<void>, history: string[] = []): Promise<void> {
  const echo = new PassThrough({ encoding: "utf8" });
  let shown = "";
  let interruptions = 0;
  let restored = 0;
  echo.on("data", (text) => shown += text);
  const keys = new TransformStream<string, string>();
  const writer = keys.writable.getWriter();
  const words = ["get", "head", "help"];
  const input = new TerminalInput({ keys: keys.readable, output: echo, restore: () => restored++ }, {
    complete: (line) => [line.includes(" ") ? [] : words.filter((word) => word.startsWith(line)), line],
    interrupted: () => interruptions++,
    history,
  });
  try {
    await body({
      input,
      press: (text) => void writer.write(text),
      shown: () => shown,
      interruptions: () => interruptions,
    });
  } finally {
    input.close();
    await writer.close();
  }
  assert.equal(restored, 1);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert(shown.startsWith("\x1b[?2004h") && shown.endsWith("\x1b[?2004l"), "pastes are marked, but not afterwards");
}

const line = (text: string): Line => ({ kind: "line", text });
const UP = "\x1b[A";
const LEFT = "\x1b[D";
const HOME = "\x1b[H";
const BACKSPACE = "\x7f";
const CTRL_C = "\x03";
const CTRL_D = "\x04";

const PASTE_START = "\x1b[200~";
const paste = (text: string) => `${PASTE_START}${text}\x1b[201~`;

const typed: [what: string, keys: string, lines: string[]][] = [
  ["lines, and more than one at a time", "get all\rhead all\r", ["get all", "head all"]],
  ["lines that are pasted from a file", "get a\nget b\r\nget c\r", ["get a", "get b", "get c"]],
  ["a line that is edited", `gat${LEFT}${BACKSPACE}e\r`, ["get"]],
  ["text before the start", `et${HOME}g\r`, ["get"]],
  ["a word that Tab completes", "g\t\r", ["get"]],
  ["only the first word is completed", "get h\t\r", ["get h"]],
  ["a line from the history", `get a\rhead b\r${UP}${UP}\r`, ["get a", "head b", "get a"]],
  ["a line from an earlier session", `${UP}\r`, ["late"]],
  ["other scripts", "post 핑핑 🐌\r", ["post 핑핑 🐌"]],
  ["a paste that is edited", `gat ${paste("a\tb\x1b[D\x07c")}d\r`, ["gat a\tb[Dcd"]],
  ["Ctrl-Z does nothing", "a\x1ab\r", ["ab"]],
];

Deno.test("keys that were not UTF-8 damage their line", () =>
  typing(async ({ input, press }) => {
    press("post Kim \ufffd\rget a\r");
    assert.deepEqual(await input.next(), { kind: "damaged" });
    assert.deepEqual(await input.next(), line("get a"));
  }));

for (const [what, keys, lines] of typed) {
  Deno.test(`typed at the terminal: ${what}`, () =>
    typing(async ({ input, press, shown }) => {
      press(keys);
      for (const text of lines) assert.deepEqual(await input.next(), line(text));
      const end = input.next();
      press(CTRL_D);
      assert.deepEqual(await end, { kind: "end" });
      assert.deepEqual(await input.next(), { kind: "end" });
      assert.match(shown(), /\r\n/, "what is typed is echoed");
    }, ["early", "late"]));
}

Deno.test("a line may be requested before it is typed", () =>
  typing(async ({ input, press }) => {
    const asked = input.next();
    press("get ");
    press("all\r");
    assert.deepEqual(await asked, line("get all"));
  }));

Deno.test("text typed ahead is shown only when it is requested", () =>
  typing(async ({ input, press, shown }) => {
    const asked = input.next();
    press("first\rsecond\rthird");
    assert.deepEqual(await asked, line("first"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.doesNotMatch(shown(), /second/);
    assert.deepEqual(await input.next(), line("second"));
    assert.doesNotMatch(shown(), /third/);
  }));

Deno.test("a long pasted line is drawn once", () =>
  typing(async ({ input, press, shown }) => {
    const text = "x".repeat(4000);
    press(`post ${text}\r`);
    assert.deepEqual(await input.next(), line(`post ${text}`));
    assert(shown().length < 3 * text.length, `${shown().length} characters were drawn`);
  }));

Deno.test("Ctrl-C cancels the line, and reports whether it was empty", () =>
  typing(async ({ input, press, shown, interruptions }) => {
    const first = input.next();
    press("half a li");
    press(CTRL_C);
    assert.deepEqual(await first, { kind: "cancelled", wasEmpty: false });
    assert.match(shown(), /half a li\^C\r\n$/, "the line stays readable");
    const second = input.next();
    press(CTRL_C);
    assert.deepEqual(await second, { kind: "cancelled", wasEmpty: true });
    press("typed ahead\r");
    press(`${CTRL_C}get\r`);
    while (interruptions() === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(await input.next(), line("get"));
    assert.equal(interruptions(), 1);
  }));

Deno.test("a paste keeps its tabs and line ends, and each of its lines tells what follows it", () =>
  typing(async ({ input, press }) => {
    press(`post /x ${paste("{\r\t1\r\n}\n")}q\r`);
    assert.deepEqual(await input.next(), { kind: "line", text: "post /x {", rest: "\t1\n}\n" });
    assert.deepEqual(await input.next(), { kind: "line", text: "\t1", rest: "}\n" });
    assert.deepEqual(await input.next(), line("}"));
    assert.deepEqual(await input.next(), line("q"));
    for (const key of `a${paste("b\tc\rd\x1b[201")}`) press(key);
    press("e\r");
    assert.deepEqual(await input.next(), { kind: "line", text: "ab\tc", rest: "d[201" });
    assert.deepEqual(await input.next(), line("d[201e"));
  }));

Deno.test("Ctrl-C leaves a paste that never ends", () =>
  typing(async ({ input, press }) => {
    const asked = input.next();
    press(`${PASTE_START}get all\r`);
    press("more\r");
    press(CTRL_C);
    assert.deepEqual(await asked, { kind: "cancelled", wasEmpty: false });
    press("get\r");
    assert.deepEqual(await input.next(), line("get"));
  }));

Deno.test("a paste that is too long is left out, and said to be", () =>
  typing(async ({ input, press, shown }) => {
    press(`${PASTE_START}${"x".repeat(MAX_TYPED_AHEAD_CHARACTERS)}`);
    press("x");
    press("y\x1b[201~get\r");
    assert.deepEqual(await input.next(), line("get"));
    assert.match(shown(), /\(left out: more than 4194304 characters at once\)/);
  }));

Deno.test("a notice is shown above the line being typed", () =>
  typing(async ({ input, press, shown }) => {
    const asked = input.next();
    press("ge");
    while (!shown().endsWith("ge")) await new Promise((resolve) => setTimeout(resolve, 0));
    input.notify("(news)");
    press("t\r");
    assert.deepEqual(await asked, line("get"));
    assert(shown().includes("ge\r\x1b[J(news)\n"));
    assert.match(shown(), /\(news\)\n.*ge.*t\r\n/s);
  }));

Deno.test("a closed terminal ends the input", async () => {
  const echo = new PassThrough({ encoding: "utf8" });
  const gone = (async function* () {
    yield "get\r";
    await Promise.resolve();
    throw new Error("gone");
  })();
  const input = new TerminalInput({ keys: gone, output: echo, restore: () => {} }, {
    complete: () => [[], ""],
    interrupted: () => {},
  });
  const first = await input.next();
  if (first.kind === "line") assert.deepEqual(await input.next(), { kind: "end" });
  else assert.deepEqual(first, { kind: "end" });
  input.close();
});
