import assert from "node:assert/strict";
import { completionScript } from "../../lib/cli/completions.ts";
import { COMMANDS } from "../../lib/cli/help.ts";
import { TempFolder } from "../support.ts";

for (const shell of ["bash", "zsh", "fish"]) {
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
    name: isInstalled(shell) ? `${shell} can read its script` : `skipped, for ${shell} is not installed: its script`,
    ignore: !isInstalled(shell),
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

Deno.test({
  name: "bash completes what is typed",
  ignore: !isInstalled("bash"),
  fn: async () => {
    const cases: [words: string, completed: string][] = [
      ["wiretable con", "connect"],
      ["wiretable serve --idle", "--idle-timeout"],
      ["wiretable serve --log-format j", "json"],
      ["wiretable completions z", "zsh"],
    ];
    for (const [words, completed] of cases) {
      const script = `${completionScript(["bash"])}
        COMP_WORDS=(${words}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _wiretable; echo "\${COMPREPLY[@]}"`;
      const { stdout } = await new Deno.Command("bash", { args: ["-c", script] }).output();
      assert.equal(new TextDecoder().decode(stdout), `${completed}\n`, words);
    }
  },
});

function isInstalled(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}
