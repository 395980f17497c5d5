import assert from "node:assert/strict";
import { parseCommandLine } from "../lib/cli.ts";
import { COMMANDS } from "../lib/cli/help.ts";
import { ROOT } from "./serve_process.ts";
import { TempFolder } from "./support.ts";

const README = Deno.readTextFileSync(`${ROOT}README.md`);
const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));

/** The README's code blocks of a language. */
function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , text]) =>
    text
  );
}

Deno.test("the README can be read to its end", () => assert(README.trimEnd().split("\n").length < 250));

Deno.test("every code block says whether it is run: console is, sh and text are looked at", () => {
  const languages = [...README.matchAll(/^```(\w*)$/gm)].map(([, name]) => name).filter((_, i) => i % 2 === 0);
  for (const language of languages) assert(["console", "sh", "text"].includes(language), language);
});

Deno.test("the README's commands for a start bring one version of Deno, and are tasks", () => {
  const commands = blocks("sh").join("").trimEnd().split("\n").filter((line) => !line.startsWith("git clone "));
  const started = commands.map((line) => /^(?:npx --yes deno@([\d.]+)|deno) task (\w+)$/.exec(line));
  for (const match of started) assert(match !== null && match[2] in tasks, String(match));
  assert.deepEqual(started.map((match) => match![2]), ["serve", "connect", "test", "serve", "connect", "test"]);
  assert.equal(new Set(started.map((match) => match![1])).size, 2);
});

Deno.test("the flags in the README exist", () => {
  const help = COMMANDS.map(({ name }) => parseCommandLine([name, "--help"])).map((invocation) => {
    assert(invocation.kind === "text");
    return invocation.text;
  }).join("");
  const prose = README.replace(/^\$ openssl .*$/gm, "");
  // Those of Deno, curl and npx.
  const others = ["allow-net", "allow-read", "allow-write", "yes", "global", "name", "help"];
  for (const [, flag] of prose.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)) {
    assert(others.includes(flag) || help.includes(`--${flag} `), flag);
  }
});

Deno.test("the files and folders in the README exist", () => {
  for (const [, name] of README.matchAll(/`(?:lib\/)?([\w/]+(?:\.ts|\/))`/g)) {
    if (name !== "main.ts" && name !== "lib/") Deno.statSync(`${ROOT}lib/${name}`);
  }
  for (const [, name] of README.matchAll(/\]\((\.github\/[\w.-]+|LICENSE)\)/g)) Deno.statSync(`${ROOT}${name}`);
});

/** Whether the programs that the blocks use beside this one are here. */
const INSTALLED = Deno.build.os !== "windows" && (() => {
  try {
    return new Deno.Command("sh", { args: ["-c", "curl --version && openssl version"] }).outputSync().success;
  } catch {
    return false;
  }
})();

/** Runs a block's commands, one after the other, in a folder of their own, and looks at what they print. */
class Shell implements AsyncDisposable {
  readonly #folder = new TempFolder();
  readonly #servers: Deno.ChildProcess[] = [];
  #port = "9999";

  /** Commands as they are typed, but with this checkout's main.ts, and with the server's port in the place of 9999. */
  #prepare(command: string): string {
    return command.replaceAll("9999", this.#port)
      .replace(/\bmain\.ts connect (?!https?:)/, `main.ts connect --port ${this.#port} `)
      .replaceAll("main.ts", `"${ROOT}main.ts"`)
      .replace(/^deno /, `"${Deno.execPath()}" `);
  }

  async serve(command: string): Promise<void> {
    const args = ["-c", `exec ${this.#prepare(command)} --port 0`];
    const child = new Deno.Command("sh", { args, cwd: this.#folder.path, stdout: "piped", stderr: "inherit" }).spawn();
    this.#servers.push(child);
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!/:(\d+)\//.test(printed)) {
      const { done, value } = await reader.read();
      assert(!done, `${command} ended`);
      printed += value;
    }
    this.#port = /:(\d+)\//.exec(printed)![1];
    await reader.cancel();
  }

  async run(command: string): Promise<string> {
    const { stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", this.#prepare(command)],
      cwd: this.#folder.path,
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    // openssl tells of its progress there.
    return command.startsWith("openssl") ? text : text + new TextDecoder().decode(stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#servers) {
      child.kill("SIGKILL");
      await child.status;
    }
    this.#folder[Symbol.dispose]();
  }
}

blocks("console").forEach((block, i) => {
  const first = block.slice(2, block.indexOf("\n")).slice(0, 60);
  Deno.test({
    name: INSTALLED
      ? `the README's block ${i + 1} does what it says: ${first}`
      : `skipped, for curl, openssl or sh is not installed, or this is Windows: the README's block ${i + 1}`,
    ignore: !INSTALLED,
    fn: async () => {
      await using shell = new Shell();
      for (const [, command, expected] of block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
        if (command.endsWith(" &")) {
          await shell.serve(command.slice(0, -2));
          continue;
        }
        // Three dots stand for what is never the same.
        const pattern = expected.trimEnd().split("…").map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(
          ".+",
        );
        assert.match((await shell.run(command)).trimEnd(), new RegExp(`^${pattern}$`), command);
      }
    },
  });
});
