import assert from "node:assert/strict";
import { parseCommandLine } from "../../lib/cli.ts";
import { COMMANDS } from "../../lib/cli/help.ts";
import { exampleLine } from "../../lib/cli/program.ts";

function helpOf(...args: string[]): string {
  const invocation = parseCommandLine(args);
  assert(invocation.kind === "text");
  // The examples name this file, which is the one that was started.
  return invocation.text.replaceAll(/(?<=--allow-net )\S+/g, "main.ts");
}

for (const { name, flags } of COMMANDS) {
  Deno.test(`${name} --help fits a terminal, and describes each flag once`, () => {
    const lines = helpOf(name, "--help").split("\n");
    for (const line of lines) assert(line.length <= 80, line);
    for (const { name, help } of flags) {
      const found = lines.filter((line) => new RegExp(`^  (?:-\\w, |    )--${name} `).test(line));
      assert.deepEqual(found.map((line) => line.slice(30)), [help], name);
    }
  });
}

Deno.test("--help fits a terminal", () => {
  for (const line of helpOf("--help").split("\n")) assert(line.length <= 80, line);
});

const grouped: [command: string, groups: string[]][] = [
  ["serve", ["Address", "Rows", "What is shown and kept", "Who is answered, and how", "TLS", "etcd", "Limits"]],
  ["connect", ["Server", "What is sent", "What is shown and kept"]],
  ["relay", ["Address", "What is shown and kept", "TLS", "Limits"]],
];

for (const [command, groups] of grouped) {
  Deno.test(`the help of ${command} has its flags in groups, and two examples at its end`, () => {
    const parts = helpOf(command, "--help").trimEnd().split("\n\n");
    const titles = parts.filter((part) => /^[^ ].*:\n +(?:-\w, )?--/.test(part)).map((part) => part.split(":")[0]);
    assert.deepEqual(titles, groups);
    const [title, ...examples] = parts.at(-1)!.split("\n");
    assert.equal(title, "Examples:");
    assert.equal(examples.length, 2);
    for (const example of examples) assert.match(example, new RegExp(`^  deno run --allow-net main.ts ${command} `));
    for (const args of COMMANDS.find(({ name }) => name === command)!.examples!) {
      assert.equal(parseCommandLine(args).kind, command);
    }
  });
}

Deno.test("an example is what starts the program: as a script, as an executable, as an installed command", () => {
  const script = { standalone: false, script: "main.ts", windows: false };
  assert.equal(exampleLine(["serve", "--page"], script), "deno run --allow-net main.ts serve --page");
  assert.equal(exampleLine(["serve", "--page"], { ...script, installed: [] }), "wiretable serve --page");
  assert.equal(exampleLine(["serve", "--page"], { ...script, standalone: true }), "wiretable serve --page");
  const query = ["connect", "http://a", "get", "/b?c&d"];
  assert.equal(exampleLine(query, { ...script, installed: [] }), "wiretable connect http://a get '/b?c&d'");
});
