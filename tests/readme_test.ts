import assert from "node:assert/strict";
import { parseCommandLine } from "../lib/cli.ts";

const ROOT = new URL("../", import.meta.url);
const README = Deno.readTextFileSync(new URL("README.md", ROOT));

function helpOf(command: string): string {
  const invocation = parseCommandLine([command, "--help"]);
  assert(invocation.kind === "text");
  return invocation.text;
}

Deno.test("the README is short", () => assert(README.trimEnd().split("\n").length < 120));

Deno.test("the README's commands bring one version of Deno, and are tasks", () => {
  const commands = [...README.matchAll(/^(?:npx --yes deno@([\d.]+)|deno) task (\w+)$/gm)];
  assert.equal(commands.length, 4);
  assert.equal(new Set(commands.map(([, version]) => version)).size, 2);
  const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
  for (const [, , task] of commands) assert(task in tasks, task);
});

Deno.test("the flags in the README exist", () => {
  const help = helpOf("serve") + helpOf("connect");
  // Those of Deno, curl and npx.
  const others = ["allow-net", "allow-read", "allow-write", "yes", "data-binary", "help"];
  for (const [, flag] of README.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)) {
    assert(others.includes(flag) || help.includes(`--${flag} `), flag);
  }
});

Deno.test("the files and folders in the README exist", () => {
  for (const [, name] of README.matchAll(/`(?:lib\/)?([\w/]+(?:\.ts|\/))`/g)) {
    if (name !== "main.ts" && name !== "lib/") Deno.statSync(new URL(`lib/${name}`, ROOT));
  }
});
