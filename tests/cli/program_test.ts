import assert from "node:assert/strict";
import {
  commandLine,
  type FileNeeds,
  insecureAdvice,
  type Start,
  surplusPermissions,
  thisStart,
} from "../../lib/cli/program.ts";
import { ROOT } from "../serve_process.ts";

const SCRIPT: Start = { standalone: false, script: "main.ts", windows: false };
const EXECUTABLE: Start = { standalone: true, script: "", windows: false };
const NOTHING: FileNeeds = { read: [], write: [] };

const commands: [name: string, args: string[], needs: FileNeeds, script: string, executable: string][] = [
  ["no files", ["serve", "-q"], NOTHING, "deno run --allow-net main.ts serve -q", "wiretable serve -q"],
  [
    "files to read",
    ["serve", "--cert", "a", "--key", "b"],
    { read: ["a", "b"], write: [] },
    "deno run --allow-net --allow-read=a,b main.ts serve --cert a --key b",
    "wiretable serve --cert a --key b",
  ],
  [
    "any file",
    ["serve", "--store", "sqlite:a"],
    { read: true, write: true },
    "deno run --allow-net --allow-read --allow-write main.ts serve --store sqlite:a",
    "wiretable serve --store sqlite:a",
  ],
  [
    "words with blanks and quotes",
    ["connect", "post", "a", "it's", "*"],
    { read: [], write: ["my file,1"] },
    "deno run --allow-net '--allow-write=my file,,1' main.ts connect post a 'it'\\''s' '*'",
    "wiretable connect post a 'it'\\''s' '*'",
  ],
  ["an empty word", ["connect", ""], NOTHING, "deno run --allow-net main.ts connect ''", "wiretable connect ''"],
];

for (const [name, args, needs, script, executable] of commands) {
  Deno.test(`the command to type, ${name}: as a script and as an executable`, () => {
    assert.equal(commandLine(args, needs, SCRIPT), script);
    assert.equal(commandLine(args, needs, EXECUTABLE), executable);
  });
}

const installs: [given: ("read" | "write")[], needs: FileNeeds, command: string][] = [
  [[], { read: ["a"], write: [] }, "--allow-net --allow-read '/a b/main.ts'"],
  [[], { read: [], write: ["a"] }, "--allow-net --allow-write '/a b/main.ts'"],
  [["read"], { read: [], write: ["a"] }, "--allow-net --allow-read --allow-write '/a b/main.ts'"],
  [[], { read: true, write: true }, "--allow-net --allow-read --allow-write '/a b/main.ts'"],
  [[], NOTHING, "--allow-net '/a b/main.ts'"],
];

for (const [installed, needs, command] of installs) {
  Deno.test(`an installed command is installed again with what it lacks and has: ${command}`, () => {
    const start = { standalone: false, script: "/a b/main.ts", windows: false, installed };
    assert.equal(
      commandLine(["serve"], needs, start),
      `deno install --global --force --name wiretable ${command} -- --installed`,
    );
    assert.equal(
      commandLine(["connect", "a"], { ...NOTHING, anyCertificateOf: "a" }, start),
      "deno run --allow-net --unsafely-ignore-certificate-errors=a '/a b/main.ts' connect a",
    );
  });
}

Deno.test("the command to type into a Windows shell", () => {
  const start = { standalone: false, script: "..\\wiretable\\main.ts", windows: true };
  assert.equal(
    commandLine(["connect", "post", "a", 'b "c"'], { read: ["C:\\x y"], write: [] }, start),
    'deno run --allow-net "--allow-read=C:\\x y" ..\\wiretable\\main.ts connect post a "b \\"c\\""',
  );
  assert.equal(
    commandLine(["connect", "post", "all", "@C:\\rows.json", ""], { read: ["a", "b"], write: [] }, start),
    'deno run --allow-net "--allow-read=a,b" ..\\wiretable\\main.ts connect post all "@C:\\rows.json" ""',
  );
});

Deno.test("an executable gives up the permissions that its command does not need, a script none", () => {
  assert.deepEqual(surplusPermissions(NOTHING, EXECUTABLE), ["read", "write"]);
  assert.deepEqual(surplusPermissions({ read: ["a"], write: [] }, EXECUTABLE), ["write"]);
  assert.deepEqual(surplusPermissions({ read: true, write: true }, EXECUTABLE), []);
  assert.deepEqual(surplusPermissions({ ...NOTHING, readsLater: true }, EXECUTABLE), ["write"]);
  assert.deepEqual(surplusPermissions(NOTHING, SCRIPT), []);
});

Deno.test("in the place of --insecure there is Deno's flag for a script, and --cacert for an executable", () => {
  assert.match(insecureAdvice(SCRIPT), /^deno run --unsafely-ignore-certificate-errors=HOST /);
  assert.match(insecureAdvice(EXECUTABLE), /^--cacert FILE /);
});

Deno.test("no other module asks whether the program is compiled", async () => {
  const asking: string[] = [];
  const look = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(`${ROOT}${folder}`)) {
      const path = `${folder}${name}`;
      if (isDirectory) await look(`${path}/`);
      else if (name.endsWith(".ts") && /standalone/.test(await Deno.readTextFile(ROOT + path))) asking.push(path);
    }
  };
  await look("lib/");
  assert.deepEqual(asking, ["lib/cli/program.ts"]);
  assert.doesNotMatch(await Deno.readTextFile(`${ROOT}main.ts`), /standalone/);
});

Deno.test("a script knows the path to its main module", () => {
  const { standalone, script } = thisStart();
  assert.equal(standalone, Deno.build.standalone);
  assert.match(script, /\.ts$/);
});

Deno.test("a script knows its path when the current folder was removed", async () => {
  // Windows removes no folder that is in use.
  if (Deno.build.os === "windows") return;
  const code = `Deno.removeSync(Deno.cwd());
    const { thisStart } = await import("file://${ROOT}lib/cli/program.ts");
    console.log(thisStart().script);`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", code], cwd: Deno.makeTempDirSync() })
    .output();
  assert.match(new TextDecoder().decode(stdout), /^\/.*ts\n$/);
});
