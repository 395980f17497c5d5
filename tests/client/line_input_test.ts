import assert from "node:assert/strict";
import { pipedInput } from "../../lib/client/line_input.ts";

async function linesOf(...pieces: (string | number[])[]): Promise<string[]> {
  const encoder = new TextEncoder();
  const input = pipedInput(ReadableStream.from(
    pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : Uint8Array.from(piece)),
  ));
  const lines: string[] = [];
  for (let line = await input.next(); line.kind !== "end"; line = await input.next()) {
    lines.push(line.kind === "line" ? line.text : line.kind);
  }
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

Deno.test("only the lines that are not UTF-8 are damaged", async () => {
  const euckr = [0xb4, 0xde];
  assert.deepEqual(await linesOf("a ", euckr, "\n핑\ufffd\r\n", euckr), ["damaged", "핑\ufffd", "damaged"]);
  assert.deepEqual(await linesOf([0xed, 0x95, 0x0a, 0x91]), ["damaged", "damaged"]);
});

for (const start of [[0xff, 0xfe, 0x67, 0], [0xfe, 0xff, 0, 0x67], [0x67, 0, 0x65, 0], [0, 0x67, 0, 0x65]]) {
  Deno.test(`UTF-16 is named, as old programs of Windows write it: [${start}]`, async () => {
    await assert.rejects(linesOf(start, [0x0a, 0]), {
      message: "The commands are in UTF-16: save them as UTF-8",
    });
  });
}

Deno.test("a byte order mark is left out before the first line only", async () => {
  const mark = [0xef, 0xbb, 0xbf];
  assert.deepEqual(await linesOf(mark.slice(0, 2), mark.slice(2), "a\n", mark, "b"), ["a", "\ufeffb"]);
  assert.deepEqual(await linesOf(mark, mark, "a"), ["\ufeffa"]);
  assert.deepEqual(await linesOf(mark), [""]);
});

Deno.test("the length of a line is limited", async () => {
  await assert.rejects(linesOf("x".repeat(1024 * 1024 + 1), "\n"), {
    message: "A line of the input is longer than 1048576 characters",
  });
  await assert.rejects(linesOf("핑".repeat(1024 * 1024), "x"), /^Error: A line of the input is longer/);
  assert.equal((await linesOf("핑".repeat(1024 * 1024))).length, 1);
});
