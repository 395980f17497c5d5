import assert from "node:assert/strict";
import { openHistory } from "../../lib/cli/files.ts";
import { Failure } from "../../lib/cli/values.ts";
import { MAX_FLAG_FILE_BYTES, MAX_HISTORY_LINES } from "../../lib/limits.ts";
import { TempFolder } from "../support.ts";

const NEVER = (line: string) => assert.fail(line);

Deno.test("lines are saved for the next session, except those that begin with a space", async () => {
  using folder = new TempFolder();
  const name = folder.file("history");
  {
    using history = await openHistory(name, NEVER);
    assert.deepEqual(history.lines, []);
    const left = ["", "  ", " get secret"];
    for (const line of ["get all", ...left, "post 핑 {}", "get authors"]) history.add(line);
  }
  using history = await openHistory(name, NEVER);
  assert.deepEqual(history.lines, ["get all", "post 핑 {}", "get authors"]);
  if (Deno.build.os !== "windows") assert.equal((await Deno.stat(name)).mode! & 0o777, 0o600);
});

Deno.test("if there are too many lines, the newest are kept, also in the file", async () => {
  using folder = new TempFolder();
  const name = folder.file("history");
  const lines = Array.from({ length: MAX_HISTORY_LINES + 1 }, (_, i) => `get ${i}`);
  await Deno.writeTextFile(name, lines.map((line) => `${line}\r\n`).join(""));
  {
    using history = await openHistory(name, NEVER);
    assert.deepEqual(history.lines, lines.slice(1));
    history.add("get last");
  }
  const kept = (await Deno.readTextFile(name)).split("\n");
  assert.deepEqual([kept.length, kept[0], kept.at(-2)], [MAX_HISTORY_LINES + 2, "get 1", "get last"]);
});

Deno.test("a file that is too large or missing is refused with its name", async () => {
  using folder = new TempFolder();
  const name = folder.file("history");
  await Deno.writeTextFile(name, "x".repeat(MAX_FLAG_FILE_BYTES));
  (await openHistory(name, NEVER))[Symbol.dispose]();
  await Deno.writeTextFile(name, "x", { append: true });
  await assert.rejects(openHistory(name, NEVER), (error) => {
    return error instanceof Failure && /^--history \S+: the file has more than the 1048576 octets/.test(error.message);
  });
  await assert.rejects(openHistory(folder.path, NEVER), /^Error: --history \S+: /);
});

Deno.test("a failure to save the history is reported once, and the prompt goes on", async () => {
  using folder = new TempFolder();
  const told: string[] = [];
  const history = await openHistory(folder.file("history"), (line) => told.push(line));
  history[Symbol.dispose]();
  history.add("get a");
  history.add("get b");
  assert.equal(told.length, 1);
  assert.match(told[0], /^The history is no longer saved: /);
});

Deno.test({
  name: Deno.build.os === "windows"
    ? "skipped, for Windows has no modes: a file that others may read"
    : "a file that others may read is closed to them, a device is left as it is",
  ignore: Deno.build.os === "windows",
  async fn() {
    using folder = new TempFolder();
    const name = folder.file("history");
    await Deno.writeTextFile(name, "get a\n");
    for (const mode of [0o644, 0o640, 0o602]) {
      await Deno.chmod(name, mode);
      using history = await openHistory(name, NEVER);
      assert.deepEqual(history.lines, ["get a"]);
      assert.equal((await Deno.stat(name)).mode! & 0o777, 0o600);
    }
    const { mode } = await Deno.stat("/dev/null");
    (await openHistory("/dev/null", NEVER))[Symbol.dispose]();
    assert.equal((await Deno.stat("/dev/null")).mode, mode);
  },
});
