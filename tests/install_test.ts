/** `deno install --global` from a clone, as the README has it. */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import config from "../deno.json" with { type: "json" };
import { ROOT } from "./serve_process.ts";
import { TempFolder } from "./support.ts";

const [, COMMAND] = /`deno (install [^`]+)`/.exec(Deno.readTextFileSync(`${ROOT}README.md`))!;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in a folder. The installed program starts the `deno` that it finds: the one of this process. */
async function run(command: readonly string[], cwd: string): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", 'PATH="$0:$PATH" exec "$@"', dirname(Deno.execPath()), ...command],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

const test = Deno.build.os === "windows" ? Deno.test.ignore : Deno.test;
const name = "the README's command installs the program; an error names a command that works";

test(`${Deno.build.os === "windows" ? "skipped, for it needs sh: " : ""}${name}`, async () => {
  using folder = new TempFolder();
  const [install, ...flags] = COMMAND.split(" ");
  const installed = await run(["deno", install, "--root", folder.path, ...flags], ROOT);
  assert.equal(installed.code, 0, installed.stderr);
  const program = folder.file("bin/wiretable");
  const version = await run([program, "--version"], folder.path);
  assert.match(version.stdout, new RegExp(`^wiretable ${config.version} \\(`));

  await Deno.writeTextFile(folder.file("a request"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const refused = await run([program, "explain", "a request"], folder.path);
  assert.equal(refused.code, 1);
  const [, command] = /^wiretable: Reading a request needs a permission: (deno install .* -- --installed)\n$/
    .exec(refused.stderr)!;
  assert.match(command, /^deno install --global --force --name wiretable --allow-net --allow-read \S/);
  // Into the folder of this test instead of the user's.
  const again = await run(["sh", "-c", command.replace("--global", `--global --root '${folder.path}'`)], folder.path);
  assert.equal(again.code, 0, again.stderr);
  const explained = await run([program, "explain", "a request"], folder.path);
  assert.deepEqual([explained.code, explained.stderr], [0, ""]);
  assert.match(explained.stdout, /^ +0 GET /);
});
