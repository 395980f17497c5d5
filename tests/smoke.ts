/**
 * One session with the program as a user gets it: an executable, or `deno run … main.ts`. Each step says what it saw.
 *
 *     deno run --allow-all tests/smoke.ts dist/wiretable
 */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };

/** What came of a command that ended. */
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program under test: the words that start it. */
export class Program {
  readonly #words: readonly string[];

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  command(args: readonly string[]): Deno.Command {
    const [file, ...first] = this.#words;
    return new Deno.Command(file, {
      args: [...first, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    });
  }

  async run(...args: string[]): Promise<Outcome> {
    const { code, stdout, stderr } = await this.command(args).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  }

  /** Runs a command that must succeed. Returns what it printed. */
  async succeed(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    assert.deepEqual([code, stderr], [0, ""], `${args.join(" ")} printed ${stdout}`);
    return stdout;
  }

  /** Starts `serve` on a free port and waits until it listens. */
  async serve(...args: string[]): Promise<Served> {
    const child = this.command(["serve", "--port", "0", "--quiet", ...args]).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!printed.endsWith("\n")) {
      const { done, value } = await output.read();
      if (done) throw new Error(`serve ended: ${await child.stderr.text()}`);
      printed += value;
    }
    return { child, output, printed, address: /:\/\/([^/]+)\//.exec(printed)![1] };
  }
}

/** A `serve` that runs. */
interface Served {
  readonly child: Deno.ChildProcess;
  readonly output: ReadableStreamDefaultReader<string>;
  /** The lines that tell where it listens. */
  readonly printed: string;
  readonly address: string;
}

/** Ends a server with a signal. Returns its exit code and what it wrote to standard error. */
async function stop({ child, output }: Served, signal: Deno.Signal): Promise<[code: number, stderr: string]> {
  child.kill(signal);
  const [{ code }, stderr] = await Promise.all([child.status, child.stderr.text()]);
  await output.cancel();
  return [code, stderr];
}

/** Windows ends a process at once whatever the signal, so how it stops in good order cannot be asked there. */
const STOPS = Deno.build.os !== "windows";

/** The steps, each with what it shows. */
const STEPS: readonly [name: string, step: (program: Program, folder: string) => Promise<void>][] = [
  ["the version is that of deno.json", async (program) => {
    assert.match(await program.succeed("--version"), new RegExp(`^wiretable ${config.version} \\(Deno [\\d.]+\\)\\n$`));
  }],
  ["a session over loopback: post, get, patch, delete; then Ctrl-C stops the server", async (program) => {
    const server = await program.serve();
    const row = '{"Pingping":{"type":"snail","age":"1","leg":"0"}}';
    const send = (...words: string[]) => program.succeed("connect", server.address, ...words);
    assert.equal((await send("post", "Pingping", "snail", "1", "0")).trimEnd(), row);
    assert.equal((await send("get", "Pingping")).trimEnd(), row);
    assert.equal((await send("patch", "Pingping", "age=2")).trimEnd(), row.replace('"1"', '"2"'));
    assert.equal((await send("delete", "Pingping")).trimEnd(), "");
    assert.equal((await program.run("connect", server.address, "get", "Pingping")).code, 4);
    const ended = await stop(server, "SIGINT");
    if (STOPS) assert.deepEqual(ended, [0, ""]);
  }],
  ["rows in a file outlive a crash, written by the thread that the executable brings", async (program, folder) => {
    const store = ["--store", `sqlite:${folder}/table.db`];
    let server = await program.serve(...store);
    await program.succeed("connect", server.address, "post", "Momo", "cat", "3", "4");
    await stop(server, "SIGKILL");
    server = await program.serve(...store);
    const rows = await program.succeed("connect", server.address, "get", "all");
    assert.equal(rows.trimEnd(), '{"Momo":{"type":"cat","age":"3","leg":"4"}}');
    const ended = await stop(server, "SIGTERM");
    if (STOPS) assert.deepEqual(ended, [0, ""]);
  }],
  ["completions are printed", async (program) => {
    assert.match(await program.succeed("completions", "bash"), /complete .* wiretable\n$/);
  }],
];

/** Runs every step, and tells each that has passed. */
export async function smoke(program: Program, tell: (line: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, step] of STEPS) {
      await step(program, folder);
      tell(`ok: ${name}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await smoke(new Program(Deno.args), console.log);
