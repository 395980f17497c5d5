import assert from "node:assert/strict";
import { ROOT } from "./serve_process.ts";
import { TempFolder } from "./support.ts";

const read = (path: string) => Deno.readTextFileSync(`${ROOT}${path}`);
const WORKFLOWS = ["ci", "release"].map((name) => read(`.github/workflows/${name}.yml`));
const { version } = JSON.parse(read("deno.json"));

Deno.test("workflows run the README's version of Deno", () => {
  const [, deno] = /npx --yes deno@([\d.]+)/.exec(read("README.md"))!;
  for (const text of WORKFLOWS) assert.equal(/DENO_VERSION: ([\d.]+)/.exec(text)?.[1], deno);
});

Deno.test("workflows name each action by its commit, the same one everywhere", () => {
  const uses = WORKFLOWS.flatMap((text) => [...text.matchAll(/uses: (\S+)@(\S+) # v[\d.]+$/gm)]);
  // But for the workflow of this repository.
  assert.equal(uses.length, WORKFLOWS.join().split(/uses: (?!\.\/)/).length - 1);
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

/** The commands of a step, as they stand in a workflow. */
function commandsOf(workflow: string, step: string): string {
  const [, indent, commands] = new RegExp(
    `- name: ${step}\\n(?: +shell: bash\\n)? +run: \\|\\n( +)([^]+?\\n)(?! *\\n|\\1)`,
  )
    .exec(`${workflow}\n`)!;
  return commands.replaceAll(`\n${indent}`, "\n");
}

/** Whether the programs that the release's steps use are here. With CI=true, that they are not is a failure. */
const CAN_PACK = (() => {
  try {
    const command = "zip --version && tar --version && sha256sum --version && awk 1 /dev/null";
    if (new Deno.Command("bash", { args: ["-c", command] }).outputSync().success) return true;
  } catch {
    // There is no bash.
  }
  if (Deno.env.get("CI") === "true") {
    throw new Error("There are no bash, zip, tar, sha256sum or awk to test a release with");
  }
  return false;
})();

function packTest(name: string, fn: () => Promise<void>): void {
  if (CAN_PACK && Deno.build.os !== "windows") Deno.test(name, fn);
  else Deno.test.ignore(`skipped, for bash, zip, tar or sha256sum is not installed, or this is Windows: ${name}`, fn);
}

/** Runs a step of the release in a folder, as GitHub does. Returns what it prints. */
async function runStep(step: string, folder: string, env: Record<string, string>): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-e", "-o", "pipefail", "-c", commandsOf(WORKFLOWS[1], step)],
    cwd: folder,
    env: { GITHUB_REF_NAME: `v${version}`, ...env },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

packTest("the release's steps pack each executable with the licence, and their sums hold", async () => {
  using folder = new TempFolder();
  const targets = ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc"];
  for (const target of targets) {
    const dist = folder.file(`dist/wiretable-v${version}-${target}`);
    await Deno.mkdir(dist, { recursive: true });
    await Deno.writeTextFile(`${dist}/wiretable${target.includes("windows") ? ".exe" : ""}`, "program", {
      mode: 0o755,
    });
    await Deno.writeTextFile(`${dist}/LICENSE`, "licence");
  }
  await runStep("Archives, for artifacts lose the execute bit", folder.path, {});
  assert.equal(
    await runStep("The sums hold", folder.path, {}).then((text) => text.match(/: OK$/gm)?.length),
    targets.length,
  );
  const list = await new Deno.Command("zip", {
    args: ["-sf", folder.file(`archives/wiretable-v${version}-${targets[1]}.zip`)],
  }).output();
  assert.match(
    new TextDecoder().decode(list.stdout),
    /\/LICENSE\n[^]*\/wiretable\.exe\n|\/wiretable\.exe\n[^]*\/LICENSE\n/,
  );
  await runStep("Unpack", folder.path, { TARGET: targets[0] });
  assert.equal((await Deno.stat(folder.file("program/wiretable"))).mode! & 0o111, 0o111);
});

packTest("the release's notes are the newest section of the changelog", async () => {
  using folder = new TempFolder();
  await Deno.mkdir(folder.file(".github"));
  await Deno.writeTextFile(
    folder.file(".github/CHANGELOG.md"),
    "# Changelog\n\n## 2.0.0\n\nNew.\n\n## 1.0.0\n\nOld.\n",
  );
  await Deno.mkdir(folder.file("archives"));
  const step = "Publish, with the newest section of the changelog as notes";
  // In the place of GitHub's program, which would publish: it knows a release once it was created.
  const gh = '#!/bin/sh\necho "$*" >> calls\n[ "$2" != view ] || [ -e released ] || exit 1\n' +
    'if [ "$2" = create ]; then touch released; cat notes.md; fi\n';
  await Deno.writeTextFile(folder.file("gh"), gh, { mode: 0o755 });
  await Deno.writeTextFile(folder.file("archives/a.zip"), "");
  const publish = () => runStep(step, folder.path, { PATH: `${folder.path}:/usr/bin:/bin` });
  assert.equal(await publish(), "\nNew.\n\n");
  // What was published in part is published again.
  assert.equal(await publish(), "");
  const tag = `v${version}`;
  assert.deepEqual((await Deno.readTextFile(folder.file("calls"))).trimEnd().split("\n"), [
    `release view ${tag}`,
    `release create ${tag} --title wiretable ${tag} --notes-file notes.md archives/a.zip`,
    `release view ${tag}`,
    `release upload ${tag} --clobber archives/a.zip`,
  ]);
});

Deno.test("the systems of the workflows are those that GitHub has", () => {
  // As of November 2026; macos-14 went on the second of that month.
  const labels = ["ubuntu-24.04", "ubuntu-24.04-arm", "macos-15", "macos-15-intel", "windows-2022", "windows-11-arm"];
  const used = WORKFLOWS.flatMap((text) => text.match(/\b(?:ubuntu|macos|windows)-\d[\w.-]+/g) ?? []);
  assert.deepEqual([...new Set(used)].sort(), labels.sort());
});

Deno.test("nothing is published before the whole gate has passed for the tag", () => {
  const [ci, release] = WORKFLOWS;
  assert.match(ci, /^on:\n(?: .*\n)* {2}workflow_call:$/m);
  assert.match(release, /^ {2}gate:\n {4}uses: \.\/\.github\/workflows\/ci\.yml\n\n {2}compile:\n {4}needs: gate\n/m);
  assert.match(release, /^ {2}smoke:\n[^]*? {4}needs: compile\n/m);
});

Deno.test("workflows may only read but where a release is published, and none is cut off while it is", () => {
  for (const text of WORKFLOWS) assert.match(text, /^permissions:\n {2}contents: read\n/m);
  const [ci, release] = WORKFLOWS.map((text) => [...text.matchAll(/^ +([\w-]+): write$/gm)].map(([, name]) => name));
  assert.deepEqual([ci, release], [[], ["contents", "id-token", "attestations"]]);
  assert.match(WORKFLOWS[1], /^ {2}release:\n {4}needs: smoke\n[^]+contents: write/m);
  assert.match(WORKFLOWS[0], /^concurrency:\n.*\n {2}cancel-in-progress: true$/m);
  assert.match(WORKFLOWS[1], /^concurrency:\n.*\n {2}cancel-in-progress: false$/m);
});

Deno.test("the changelog's newest section is this version's", () => {
  assert.equal(/^## (\S+)$/m.exec(read(".github/CHANGELOG.md"))?.[1], version);
});

Deno.test("this program's workflows install what tests need, as .ci/run does", () => {
  const [, packages] = /packages=\(([^)]+)\)/.exec(read(".ci/run"))!;
  // GitHub's Linux image has a browser already.
  for (const name of packages.split(" ").filter((name) => name !== "chromium-headless-shell")) {
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

Deno.test("tasks that run the program do not look for updates of Deno, which would stand in a class's capture", () => {
  const { tasks } = JSON.parse(read("deno.json"));
  const commands = Object.values<{ command: string }>(tasks).map(({ command }) => command);
  for (const command of commands.filter((command) => /\bdeno run\b/.test(command))) {
    assert.match(command, /^DENO_NO_UPDATE_CHECK=1 deno run /);
  }
});
