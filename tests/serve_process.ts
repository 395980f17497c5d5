/** Runs the program as a process, as its users do. */

import { fileURLToPath } from "node:url";
import { Peer } from "./support.ts";

/** The folder of the project. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Starts `deno run` of main.ts, by default only with network permission. */
export function wiretable(args: string[], permissions: string[] = ["--allow-net"]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, `${ROOT}main.ts`, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

/** Runs the program with this input until it ends. */
export async function runProgram(
  args: string[],
  input: string | Uint8Array = "",
  permissions?: string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = wiretable(args, permissions);
  const writer = child.stdin.getWriter();
  await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** Whether a signal stops a process gracefully. On Windows it ends a process at once. */
export const STOPS = Deno.build.os !== "windows";

/** Tests how the program ends on a signal, where that is possible. */
export function signalTest(name: string, fn: () => Promise<void>): void {
  if (STOPS) Deno.test(name, fn);
  else Deno.test.ignore(`skipped, for on Windows a signal ends a process at once: ${name}`, fn);
}

function textOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStreamDefaultReader<string> {
  return stream.pipeThrough(new TextDecoderStream()).getReader();
}

/** A process of `serve`, or of another command that prints where it listens, on a free port. */
export class ServeProcess implements AsyncDisposable {
  /** The output so far. */
  output = "";
  /** The standard error so far. */
  errors = "";
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #wake = () => {};
  #ended = false;

  private constructor(child: Deno.ChildProcess, pieces: ReadableStreamDefaultReader<string>, start: string) {
    this.#child = child;
    this.output = start;
    this.port = Number(/:(\d+)\//.exec(start)![1]);
    this.#reading = Promise.all([
      this.#read(pieces, (text) => this.output += text),
      this.#read(textOf(child.stderr), (text) => this.errors += text),
    ]).then(() => this.#ended = true).then(() => this.#wake());
  }

  static async start(
    args: string[] = [],
    permissions?: string[],
    command: string[] = ["serve", "--port", "0"],
  ): Promise<ServeProcess> {
    const child = wiretable([...command, ...args], permissions);
    await child.stdin.close();
    const pieces = textOf(child.stdout);
    let start = "";
    while (!start.includes("\n")) {
      const { done, value } = await pieces.read();
      if (done) throw new Error(`serve ended: ${new TextDecoder().decode((await child.stderr.bytes()) as Uint8Array)}`);
      start += value;
    }
    return new ServeProcess(child, pieces, start);
  }

  async #read(pieces: ReadableStreamDefaultReader<string>, add: (text: string) => void): Promise<void> {
    for (let next = await pieces.read(); !next.done; next = await pieces.read()) {
      add(next.value);
      this.#wake();
    }
  }

  /** Resolves once the output, or the standard error, contains the text. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text) && !this.errors.includes(text)) {
      if (this.#ended) throw new Error(`serve ended without printing ${JSON.stringify(text)}: ${this.output}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Sends the process a signal that does not end it. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async connect(): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port: this.port }));
  }

  /** Kills the process, as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await Promise.all([this.#child.status, this.#reading]);
  }

  /** Stops the process with a signal. Returns its exit code and its standard error. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; stderr: string }> {
    this.#child.kill(signal);
    const [{ code }] = await Promise.all([this.#child.status, this.#reading]);
    return { code, stderr: this.errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.kill();
    } catch {
      // Already ended.
    }
  }
}
