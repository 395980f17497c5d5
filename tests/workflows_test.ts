import assert from "node:assert/strict";
import { ROOT } from "./serve_process.ts";

const read = (path: string) => Deno.readTextFileSync(`${ROOT}${path}`);
const WORKFLOWS = ["ci", "release"].map((name) => read(`.github/workflows/${name}.yml`));
const { version } = JSON.parse(read("deno.json"));

Deno.test("workflows run the README's version of Deno", () => {
  const [, deno] = /npx --yes deno@([\d.]+)/.exec(read("README.md"))!;
  for (const text of WORKFLOWS) assert.equal(/DENO_VERSION: ([\d.]+)/.exec(text)?.[1], deno);
});

Deno.test("workflows name each action by its commit, the same one everywhere", () => {
  const uses = WORKFLOWS.flatMap((text) => [...text.matchAll(/uses: (\S+)@(\S+) # v[\d.]+$/gm)]);
  assert.equal(uses.length, WORKFLOWS.join().split("uses:").length - 1);
  const commits = new Map(uses.map(([, action, commit]) => [action, commit]));
  for (const [, action, commit] of uses) {
    assert.match(commit, /^[0-9a-f]{40}$/);
    assert.equal(commit, commits.get(action));
  }
});

Deno.test("a release is compiled for six systems, and run on each of them", () => {
  const [, release] = WORKFLOWS;
  const [compile, smoke] = release.split(/^ {2}smoke:$/m);
  const targets = (text: string) => text.match(/\b(?:x86_64|aarch64)-[a-z]+-[a-z]+(?:-[a-z]+)?\b/g)!.sort();
  assert.equal(targets(compile).length, 6);
  assert.deepEqual(targets(compile), targets(smoke));
});

Deno.test("the changelog's newest section is this version's", () => {
  assert.equal(/^## (\S+)$/m.exec(read(".github/CHANGELOG.md"))?.[1], version);
});

Deno.test("this program's workflows install what tests need, as .ci/run does", () => {
  const [, packages] = /packages=\(([^)]+)\)/.exec(read(".ci/run"))!;
  // Chromium is a part of GitHub's Linux image already.
  for (const name of packages.split(" ").filter((name) => name !== "chromium")) {
    assert.match(WORKFLOWS[0], new RegExp(`install .*\\b${name}\\b`));
  }
});

Deno.test("a missing program skips its tests where the workflow leaves CI empty, and fails them with CI=true", async () => {
  for (const module of ["tshark.ts", "chromium.ts", "store/etcd_nodes.ts"]) {
    const code = `const module = await import(${JSON.stringify(new URL(module, import.meta.url).href)});
      module.findChromium?.();`;
    for (const [CI, expected] of [["", 0], ["true", 1]] as const) {
      const { code: exit, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-check", code],
        env: { CI, PATH: "" },
      }).output();
      assert.equal(exit, expected, `${module} with CI=${CI}: ${new TextDecoder().decode(stderr)}`);
    }
  }
});
