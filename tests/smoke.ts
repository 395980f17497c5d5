/**
 * One session with the program as a user gets it: an executable, or `deno run … main.ts`. Each step says what it saw.
 *
 *     deno run --allow-all tests/smoke.ts dist/wiretable
 */

import assert from "node:assert/strict";
import config from "../deno.json" with { type: "json" };
import { STOPS } from "./serve_process.ts";

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

  /** Starts `serve` on a free port and waits until it listens, and until its page is open if it has one. */
  async serve(...args: string[]): Promise<Served> {
    const child = this.command(["serve", "--port", "0", "--quiet", ...args]).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const lines = args.includes("--page") ? 2 : 1;
    let printed = "";
    while (printed.split("\n").length <= lines) {
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

/** Starts `serve` on a file whose server was killed. Windows may take a moment to release the lock on it. */
async function serveOnceFree(program: Program, store: readonly string[]): Promise<Served> {
  for (let left = 40;; left--) {
    try {
      return await program.serve(...store);
    } catch (error) {
      if (Deno.build.os !== "windows" || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

/** The files of the page, which an executable brings with it. */
const PAGE_FOLDER = new URL("../lib/traffic/page/", import.meta.url);

/** Asks for a file of the page. Returns its text and the cookie that came with it. */
async function pageFile(url: URL, init?: RequestInit): Promise<[text: string, cookie: string]> {
  const response = await fetch(url, init);
  const text = await response.text();
  assert.equal(response.status, 200, `${url.pathname}: ${text}`);
  return [text, (response.headers.get("set-cookie") ?? "").split(";")[0]];
}

/** Reads the page's events until one of them has this text. */
async function eventWith(text: string, url: URL, cookie: string): Promise<void> {
  const response = await fetch(new URL("/live/events", url), { headers: { cookie } });
  assert.equal(response.status, 200);
  let seen = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    seen += piece;
    if (seen.includes(text)) return;
  }
  throw new Error(`the page's events ended without ${JSON.stringify(text)}: ${seen}`);
}

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
    server = await serveOnceFree(program, store);
    const rows = await program.succeed("connect", server.address, "get", "all");
    assert.equal(rows.trimEnd(), '{"Momo":{"type":"cat","age":"3","leg":"4"}}');
    const ended = await stop(server, "SIGTERM");
    if (STOPS) assert.deepEqual(ended, [0, ""]);
  }],
  ["explain labels the octets of a file, and shows which one breaks a rule", async (program, folder) => {
    const file = `${folder}/request.http`;
    await Deno.writeTextFile(file, "GET /Momo HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.match(await program.succeed("explain", file), /^ +20 Host: localhost\\r\\n +which site/m);
    await Deno.writeTextFile(file, "GET /Momo HTTP/1.1\r\nHost : localhost\r\n\r\n");
    const { code, stdout } = await program.run("explain", file);
    assert.equal(code, 1);
    assert.match(stdout, /\^ octet 24\r?\n/);
  }],
  ["the page is served whole, and shows the traffic as it happens", async (program) => {
    const server = await program.serve("--page", "0");
    const url = new URL(/ (http:\/\/127\.0\.0\.1:\d+\/\?key=\w+)\r?\n/.exec(server.printed)![1]);
    const [html, cookie] = await pageFile(url);
    assert.equal(html, await Deno.readTextFile(new URL("page.html", PAGE_FOLDER)));
    for await (const { name } of Deno.readDir(PAGE_FOLDER)) {
      if (!/\.(?:js|css)$/.test(name)) continue;
      const [text] = await pageFile(new URL(`/${name}`, url));
      assert.equal(text, await Deno.readTextFile(new URL(name, PAGE_FOLDER)), name);
    }
    await program.succeed("connect", server.address, "post", "Momo", "cat", "3", "4");
    await eventWith("POST /Momo", url, cookie);
    const ended = await stop(server, "SIGINT");
    if (STOPS) assert.deepEqual(ended, [0, ""]);
  }],
  ["a recording goes into a new file, which its owner alone may read", async (program, folder) => {
    const file = `${folder}/traffic.pcapng`;
    const server = await program.serve("--record", file);
    await program.succeed("connect", server.address, "get", "all");
    const [, stderr] = await stop(server, "SIGINT");
    if (!STOPS) return;
    assert.match(stderr, /^wiretable: The traffic is recorded in .*\n$/);
    const text = new TextDecoder("latin1").decode(await Deno.readFile(file));
    assert(text.startsWith("\n\r\r\n"));
    assert(text.includes("GET / HTTP/1.1\r\n") && text.includes("HTTP/1.1 200 OK\r\n"));
    assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    const { code, stderr: refused } = await program.run("serve", "--port", "0", "--record", file);
    assert.equal(code, 1);
    assert.match(refused, /: the file already exists\n$/);
  }],
  ["a client's recording is explained, and replayed with the same answers", async (program, folder) => {
    const file = `${folder}/client.pcapng`;
    const server = await program.serve();
    const recorded = await program.run("connect", server.address, "put", "Momo", "cat", "3", "4", "--record", file);
    assert.equal(recorded.code, 0, recorded.stderr);
    assert.match(await program.succeed("explain", file), /PUT [^]+HTTP\/1\.1 [^]+201 /);
    const { code, stdout } = await program.run("replay", file, "--fast");
    assert.deepEqual([code, /recorded: 201 Created\r?\n +now: +200 OK/.test(stdout)], [1, true], stdout);
    await program.succeed("connect", server.address, "delete", "Momo");
    assert.match(await program.succeed("replay", file, "--fast"), /^1 exchange: the same\r?$/m);
    const ended = await stop(server, "SIGINT");
    if (STOPS) assert.deepEqual(ended, [0, ""]);
  }],
  ["raw octets are sent as they were written, and the answer stands beside what the rules say", async (program) => {
    const server = await program.serve();
    const { code, stdout } = await program.run("connect", server.address, "raw", '"GET / HTTP/1.1\\r\\n"', '"\\n"');
    assert.equal(code, 4);
    assert.match(stdout, /by the rules: may be refused: 400 [^]+ HTTP\/1\.1 400 Bad Request/);
    const ended = await stop(server, "SIGINT");
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
