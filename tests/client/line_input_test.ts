import assert from "node:assert/strict";
import { pipedInput } from "../../lib/client/line_input.ts";

async function linesOf(...pieces: (string | number[])[]): Promise<string[]> {
  const encoder = new TextEncoder();
  const input = pipedInput(ReadableStream.from(
    pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : Uint8Array.from(piece)),
  ));
  const lines: string[] = [];
  for (let line = await input.next(); line.kind === "line"; line = await input.next()) lines.push(line.text);
  input.close();
  return lines;
}

Deno.test("lines end with LF or CR LF, the last one with the input", async () => {
  assert.deepEqual(await linesOf("a\nb\r\n\nc"), ["a", "b", "", "c"]);
  assert.deepEqual(await linesOf("a\n"), ["a"]);
  assert.deepEqual(await linesOf(), []);
});

Deno.test("lines and characters may be split", async () => {
  assert.deepEqual(await linesOf("ge", "t a", "ll\r", "\nq"), ["get all", "q"]);
  assert.deepEqual(await linesOf([0xed, 0x95], [0x91, 0x0a]), ["핑"]);
});

Deno.test("the length of a line is limited", async () => {
  await assert.rejects(linesOf("x".repeat(1024 * 1024 + 1), "\n"), {
    name: "InputError",
    message: "A line of the input is longer than 1048576 characters",
  });
});
