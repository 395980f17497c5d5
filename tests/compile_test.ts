/**
 * What `deno compile` puts into the executable. Its runtime is not at hand in tests: `deno` itself stands for it, which
 * embeds the same files though it does not run as the program. Executables are run by tests/smoke.ts before a release.
 */

import assert from "node:assert/strict";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./serve_process.ts";
import { TempFolder } from "./support.ts";

/** The files that are run or read: the modules of an entry and what they import, types left out. */
async function modulesOf(entry: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: ROOT,
  }).output();
  interface Dependency {
    readonly code?: { readonly specifier: string };
  }
  const { roots, modules } = JSON.parse(new TextDecoder().decode(stdout)) as {
    roots: string[];
    modules: { specifier: string; dependencies?: Dependency[] }[];
  };
  const found = new Set(roots);
  for (const specifier of found) {
    for (const { code } of modules.find((module) => module.specifier === specifier)?.dependencies ?? []) {
      if (code?.specifier.startsWith("file:")) found.add(code.specifier);
    }
  }
  return [...found].map((specifier) => relative(ROOT, fileURLToPath(specifier)).replaceAll("\\", "/"));
}

/** The files in the tree that `deno compile` prints; a folder that is embedded whole stands there as `folder/*`. */
function embeddedFiles(printed: string): string[] {
  const path: string[] = [];
  return printed.split("\n").flatMap((line) => {
    const [, indent, name] = /^((?:[│ ] )*)[├└]─[─┬] ([^ ]+)/.exec(line) ?? [];
    if (name === undefined) return [];
    path.length = indent.length / 2;
    path.push(name);
    const file = path.join("/");
    if (!file.endsWith("/*")) return /\.\w+$/.test(file) ? [file] : [];
    return filesIn(file.slice(0, -2));
  });
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(`${ROOT}${folder}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

Deno.test("an executable holds every module that runs, the thread's and the page's too, and nothing else", async () => {
  using folder = new TempFolder();
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const words: string[] = tasks.compile.command.split(" ").slice(1).filter((word: string) => word !== "$COMPILE_FLAGS");
  const args = words.map((word) => word.startsWith("dist/") ? `${folder.path}/wiretable` : word);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
  }).output();
  const printed = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, printed);
  const expected = new Set([...await modulesOf("main.ts"), ...await modulesOf("lib/store/sqlite_writer.ts")]);
  expected.add("deno.json");
  assert.deepEqual(embeddedFiles(printed).sort(), [...expected].sort());
});

Deno.test("an executable never prompts, and has permissions only for the network and files", () => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const flags = tasks.compile.command.split(" ").filter((word: string) => /^--(?:allow|no-prompt)/.test(word));
  assert.deepEqual(flags, ["--no-prompt", "--allow-net", "--allow-read", "--allow-write"]);
});
