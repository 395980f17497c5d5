/**
 * Counts the files and lines that a request and a command run through, so that the way stays one that a reader can
 * walk. The counts are those of V8's coverage: lines that ran, minus those of a process that did nothing.
 */

import assert from "node:assert/strict";
import { ROOT, runProgram, ServeProcess, STOPS } from "./serve_process.ts";
import { TempFolder } from "./support.ts";

/** The files and lines of this program that ran in the processes whose coverage is in a folder. */
async function linesRun(folder: string): Promise<Set<string>> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["coverage", "--lcov", folder] }).output();
  const ran = new Set<string>();
  let file = "";
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    if (line.startsWith("SF:")) file = line.slice("SF:".length + ROOT.length).trim().replaceAll("\\", "/");
    const [, number, times] = /^DA:(\d+),(\d+)/.exec(line) ?? [];
    if (Number(times) > 0) ran.add(`${file}:${number}`);
  }
  return ran;
}

/** How many files a set of lines is in, and how many lines it has. */
function counts(lines: Set<string>): { files: number; lines: number } {
  return { files: new Set([...lines].map((line) => line.replace(/:\d+$/, ""))).size, lines: lines.size };
}

/** What a server runs from its start to its end, with one exchange in between or with none. */
async function served(exchange?: string): Promise<Set<string>> {
  using folder = new TempFolder();
  await using server = await ServeProcess.start([], ["--allow-net", `--coverage=${folder.path}`]);
  if (exchange !== undefined) {
    const peer = await server.connect();
    const { head } = await peer.exchange(exchange);
    assert.equal(head.status, 201);
    await server.printed("snail");
    peer.close();
  }
  await server.stop("SIGINT");
  return await linesRun(folder.path);
}

/** Coverage is written by a process that ends by itself. */
const way = { ignore: !STOPS };

Deno.test({
  ...way,
  name: "a PUT of a row runs through few files and lines",
  async fn(t) {
    const row = `{"Pingping":{"type":"snail","age":"1","leg":"0"}}`;
    const fields = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${row.length}\r\n`;
    const [idle, busy] = await Promise.all([served(), served(`PUT /Pingping HTTP/1.1\r\n${fields}\r\n${row}`)]);
    const { files, lines } = counts(busy.difference(idle));
    await t.step(`${files} files, at most 27, and ${lines} lines, at most 1,100`, () => {
      assert(lines > 500);
      assert(files <= 27 && lines <= 1_100);
    });
  },
});

Deno.test("`connect get all` loads few files", async (t) => {
  await using server = await ServeProcess.start();
  using folder = new TempFolder();
  const args = ["connect", "--port", String(server.port), "get", "all"];
  const { code, stdout } = await runProgram(args, "", ["--allow-net", `--coverage=${folder.path}`]);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: "{}" });
  const { files, lines } = counts(await linesRun(folder.path));
  await t.step(`${files} files, at most 50, and ${lines} lines`, () => assert(files > 10 && files <= 50));
});
