import assert from "node:assert/strict";
import { ROOT } from "../serve_process.ts";
import { TempFolder } from "../support.ts";

/** Runs the program in a Deno that pretends to be another version. */
async function runIn(version: string, args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  using folder = new TempFolder();
  const preload = folder.file("version.js");
  await Deno.writeTextFile(
    preload,
    `Object.defineProperty(Deno, "version", { value: { ...Deno.version, deno: "${version}" } });`,
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", `--preload=${preload}`, `${ROOT}main.ts`, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

Deno.test("a Deno that is too old is told so in one line, before anything else", async () => {
  const npx = /npx --yes deno@[\d.]+/.exec(Deno.readTextFileSync(`${ROOT}README.md`))![0];
  for (const version of ["2.5.7", "2.8.99", "1.46.3", "2.0.0-rc.1"]) {
    assert.deepEqual(await runIn(version, ["serve", "--nonsense"]), {
      code: 1,
      stdout: "",
      stderr: `wiretable needs Deno 2.9 or later, this is ${version}: deno upgrade, or ${npx} run …\n`,
    });
  }
});

Deno.test("versions of Deno are compared as numbers", async () => {
  for (const version of ["2.9.0", "2.10.0", "2.9.6+abc", "3.0.0", "10.1.0"]) {
    const { code, stdout, stderr } = await runIn(version, ["--version"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert(stdout.includes(`(Deno ${version})`));
  }
});

Deno.test("the version is the first thing that the program looks at", () => {
  const [first] = /^import .*$/m.exec(Deno.readTextFileSync(`${ROOT}main.ts`))!;
  assert.equal(first, 'import "./lib/cli/deno_version.ts";');
});
