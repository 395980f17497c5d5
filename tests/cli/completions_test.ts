import assert from "node:assert/strict";
import { completionScript } from "../../lib/cli/completions.ts";
import { COMMANDS } from "../../lib/cli/help.ts";
import { isInstalled, TempFolder } from "../support.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

for (const shell of SHELLS) {
  Deno.test(`${shell} completes every command and every flag`, () => {
    const script = completionScript([shell]);
    for (const { name, flags } of COMMANDS) {
      assert(script.includes(name), name);
      for (const { name: flag } of flags) {
        assert(script.includes(shell === "fish" ? `-l ${flag} ` : `--${flag}`), `${name} ${flag}`);
      }
    }
  });

  Deno.test({
    name: isInstalled(shell, "to test completions with")
      ? `${shell} can read its script`
      : `skipped, for ${shell} is not installed: its script`,
    ignore: !isInstalled(shell, "to test completions with"),
    fn: async () => {
      using folder = new TempFolder();
      const file = `${folder.path}/script`;
      await Deno.writeTextFile(file, completionScript([shell]));
      const args = shell === "fish" ? ["--no-execute", file] : ["-n", file];
      const { code, stderr } = await new Deno.Command(shell, { args }).output();
      assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
    },
  });
}

Deno.test("fish completes files, known values, or neither", () => {
  const lines = completionScript(["fish"]).split("\n");
  const lineOf = (flag: string) => lines.find((line) => line.includes(`from serve' -l ${flag} `))!;
  assert.match(lineOf("cert"), / -l cert -r -F -d /);
  assert.match(lineOf("log-format"), / -l log-format -x -a 'text json' -d /);
  assert.match(lineOf("host"), / -l host -x -a '' -d /);
  assert.match(lineOf("quiet"), / -l quiet -s q -d /);
});

/** What is typed, and what it becomes. Each shell has one match only, so that it completes the whole word. */
const TYPED: readonly [words: string, completed: string][] = [
  ["con", "connect"],
  ["--v", "--version"],
  ["serve --idle", "--idle-timeout"],
  ["serve --page --qui", "--quiet"],
  ["serve --log-format j", "json"],
  ["connect --color n", "never"],
  ["serve --cert pub", "public key.pem"],
  ["explain --all pub", "public key.pem"],
  ["replay pub", "public key.pem"],
  ["completions z", "zsh"],
];

/** Completes lines in a shell that has read its script. Returns the last word of each. */
const COMPLETE: Record<(typeof SHELLS)[number], (lines: string[], folder: string) => Promise<string[]>> = {
  bash: async (lines, folder) => {
    const calls = lines.map((line) =>
      `COMP_WORDS=(${line}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _wiretable; echo "\${COMPREPLY[*]}"`
    );
    return await outputOf(folder, "bash", ["-c", `source ./script; ${calls.join("; ")}`]);
  },
  // A shell in a terminal of its own, in which each line is completed and then prints its arguments.
  zsh: async (lines, folder) => {
    const driver = `
      zmodload zsh/zpty && zpty z zsh -f -i
      zpty -w z "autoload -U compinit && compinit -u -D; source ./script"
      zpty -w z 'wiretable() { print -r -- "ran<$@[-1]>" }; print READY$((1 + 1))'
      zpty -r z out '*READY2*'
      for line; do
        zpty -w z "$line"$'\t'
        zpty -r z out '*ran<*>*'
        print -r -- \${\${out##*ran<}%%>*}
      done`;
    return await outputOf(folder, "zsh", ["-f", "-c", driver, "zsh", ...lines]);
  },
  fish: async (lines, folder) => {
    const calls = lines.map((line) => `complete -C '${line}'`);
    const words = await outputOf(folder, "fish", ["--no-config", "-c", `source ./script; ${calls.join("; ")}`]);
    return words.map((word) => word.split("\t")[0]);
  },
};

for (const shell of SHELLS) {
  Deno.test({
    name: isInstalled(shell, "to test completions with")
      ? `${shell} completes what is typed`
      : `skipped, for ${shell} is not installed: ${shell} completes what is typed`,
    ignore: !isInstalled(shell, "to test completions with"),
    fn: async () => {
      using folder = new TempFolder();
      await Deno.writeTextFile(folder.file("script"), completionScript([shell]));
      await Deno.writeTextFile(folder.file("public key.pem"), "");
      const lines = TYPED.map(([words]) => `wiretable ${words}`);
      const completed = await COMPLETE[shell](lines, folder.path);
      assert.deepEqual(completed, TYPED.map(([, word]) => word));
    },
  });
}

Deno.test({
  name: "bash completes --flag=value, which it splits into three words, and has nothing for other values",
  ignore: !isInstalled("bash", "to test completions with"),
  fn: async () => {
    using folder = new TempFolder();
    await Deno.writeTextFile(folder.file("script"), completionScript(["bash"]));
    const lines = ["serve --log-format = t", "serve --log-format =", "serve --port ''", "serve -p ''"];
    const completed = await COMPLETE.bash(lines.map((line) => `wiretable ${line}`), folder.path);
    assert.deepEqual(completed, ["text", "text json", "", ""]);
  },
});

/** Runs a shell in a folder. Returns the lines that it prints. */
async function outputOf(folder: string, shell: string, args: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command(shell, { args, cwd: folder, env: { TERM: "dumb" } }).output();
  return new TextDecoder().decode(stdout).split(/\r?\n/).slice(0, -1);
}
