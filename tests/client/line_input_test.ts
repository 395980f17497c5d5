import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { type LineInput, pipedInput, terminalInput } from "../../lib/client/line_input.ts";

async function linesOf(...pieces: (string | number[])[]): Promise<string[]> {
  const encoder = new TextEncoder();
  const input = pipedInput(ReadableStream.from(
    pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : Uint8Array.from(piece)),
  ));
  const lines: string[] = [];
  for (let line = await input.next(); line !== undefined; line = await input.next()) lines.push(line);
  input.close();
  return lines;
}

Deno.test("lines end with LF or CR LF, the last one with the input", async () => {
  assert.deepEqual(await linesOf("a\nb\r\n\nc"), ["a", "b", "", "c"]);
  assert.deepEqual(await linesOf("a\n"), ["a"]);
  assert.deepEqual(await linesOf(), []);
});

Deno.test("lines and characters may come in pieces", async () => {
  assert.deepEqual(await linesOf("ge", "t a", "ll\r", "\nq"), ["get all", "q"]);
  assert.deepEqual(await linesOf([0xed, 0x95], [0x91, 0x0a]), ["핑"]);
});

Deno.test("a line has a greatest length", async () => {
  await assert.rejects(linesOf("x".repeat(1024 * 1024 + 1), "\n"), {
    name: "InputError",
    message: "A line of the input is longer than 1048576 characters",
  });
});

/** A terminal whose keys the test presses. */
async function typing(body: (input: LineInput, press: (keys: string) => void, shown: () => string) => Promise<void>) {
  const [keys, echo] = [new PassThrough(), new PassThrough({ encoding: "utf8" })];
  let shown = "";
  echo.on("data", (text) => shown += text);
  const words = ["get", "head", "help"];
  const input = await terminalInput({ input: keys, output: echo }, words, () => keys.end("interrupted\r"));
  try {
    // Tab completes only what is typed: keys that come together are taken for a paste.
    const press = (text: string) => text.split(/(?<=\t)|(?=\t)/).forEach((key) => keys.write(key));
    await body(input, press, () => shown);
  } finally {
    input.close();
  }
}

const UP = "\x1b[A";
const LEFT = "\x1b[D";
const BACKSPACE = "\x7f";
const CTRL_C = "\x03";
const CTRL_D = "\x04";

const typed: [what: string, keys: string, lines: string[]][] = [
  ["lines, and more than one at a time", "get all\rhead all\r", ["get all", "head all"]],
  ["a line that is edited", `gat${LEFT}${BACKSPACE}e\r`, ["get"]],
  ["a word that Tab completes", "g\t\r", ["get"]],
  ["only the first word is completed", "get h\t\r", ["get h"]],
  ["a line from the history", `get a\rhead b\r${UP}${UP}\r`, ["get a", "head b", "get a"]],
  ["other scripts", "post 핑핑\r", ["post 핑핑"]],
];

for (const [what, keys, lines] of typed) {
  Deno.test(`typed at the terminal: ${what}`, () =>
    typing(async (input, press, shown) => {
      press(keys);
      for (const line of lines) assert.equal(await input.next(), line);
      press(CTRL_D);
      assert.equal(await input.next(), undefined);
      assert.match(shown(), /\r\n/, "what is typed is echoed");
    }));
}

Deno.test("a line may be asked for before it is typed", () =>
  typing(async (input, press) => {
    const line = input.next();
    press("get all\r");
    assert.equal(await line, "get all");
  }));

Deno.test("Ctrl-C at the terminal is told", () =>
  typing(async (input, press) => {
    press(CTRL_C);
    assert.equal(await input.next(), "interrupted");
    assert.equal(await input.next(), undefined);
  }));
