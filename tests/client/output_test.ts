import assert from "node:assert/strict";
import { Output, ProcessScreen } from "../../lib/client/output.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function collector(most = Infinity) {
  const writes: string[] = [];
  return {
    writes,
    write(part: Uint8Array): Promise<number> {
      const taken = part.subarray(0, most);
      writes.push(new TextDecoder().decode(taken));
      return Promise.resolve(taken.length);
    },
  };
}

Deno.test("pieces of one turn are written together, without a flush", async () => {
  const sink = collector();
  const output = new Output(sink);
  const piece = bytes("a");
  for (let i = 0; i < 3; i++) await output.write(piece);
  piece.fill(0);
  while (sink.writes.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(sink.writes, ["aaa"]);
  await output.write(bytes("b"));
  await output.flush();
  assert.deepEqual(sink.writes, ["aaa", "b"]);
});

Deno.test("everything is written in order, in any amount and any parts", async () => {
  const sink = collector(10_000);
  const output = new Output(sink);
  let all = "";
  for (let i = 0; i < 50; i++) {
    const text = `${i}:`.repeat(i * 200);
    all += text;
    await output.write(bytes(text));
  }
  const large = "x".repeat(64 * 1024 + 1);
  await output.write(bytes(large));
  await output.write(bytes("end"));
  await output.flush();
  assert.equal(sink.writes.join(""), `${all}${large}end`);
});

Deno.test("a failed write is reported by the next write, and by a flush", async () => {
  const output = new Output({ write: () => Promise.reject(new Deno.errors.BrokenPipe()) });
  await output.write(bytes("a"));
  await assert.rejects(output.flush(), Deno.errors.BrokenPipe);
  await assert.rejects(output.write(bytes("b")), Deno.errors.BrokenPipe);
});

for (const interactive of [false, true]) {
  for (const terminal of [false, true]) {
    const where = interactive && terminal ? "among" : "beside";
    Deno.test(`notes go ${where} the output, ${interactive ? "" : "not "}at a prompt, ${terminal ? "" : "no "}terminal`, async () => {
      const { stdout, stderr } = Deno;
      const [out, beside] = [collector(), collector()];
      try {
        Object.assign(stdout, { isTerminal: () => terminal, write: out.write });
        Object.assign(stderr, { write: beside.write });
        await new ProcessScreen(interactive).note("a");
      } finally {
        for (const key of ["isTerminal", "write"]) Reflect.deleteProperty(stdout, key);
        Reflect.deleteProperty(stderr, "write");
      }
      assert.deepEqual([out.writes, beside.writes], where === "among" ? [["a\n"], []] : [[], ["a\n"]]);
    });
  }
}
