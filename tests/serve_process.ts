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

/** A `serve` process on a free port. */
export class ServeProcess implements AsyncDisposable {
  /** The output so far. */
  output = "";
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #wake = () => {};
  #ended = false;

  private constructor(child: Deno.ChildProcess, pieces: ReadableStreamDefaultReader<string>, start: string) {
    this.#child = child;
    this.output = start;
    this.port = Number(/:(\d+)\//.exec(start)![1]);
    this.#reading = this.#read(pieces);
  }

  static async start(args: string[] = [], permissions?: string[]): Promise<ServeProcess> {
    const child = wiretable(["serve", "--port", "0", ...args], permissions);
    await child.stdin.close();
    const pieces = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let start = "";
    while (!start.includes("\n")) {
      const { done, value } = await pieces.read();
      if (done) throw new Error(`serve ended: ${new TextDecoder().decode((await child.stderr.bytes()) as Uint8Array)}`);
      start += value;
    }
    return new ServeProcess(child, pieces, start);
  }

  async #read(pieces: ReadableStreamDefaultReader<string>): Promise<void> {
    for (;;) {
      const { done, value } = await pieces.read();
      if (done) break;
      this.output += value;
      this.#wake();
    }
    this.#ended = true;
    this.#wake();
  }

  /** Resolves once the output contains the text. */
  async printed(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.#ended) throw new Error(`serve ended without printing ${JSON.stringify(text)}: ${this.output}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async connect(): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port: this.port }));
  }

  /** Kills the process, as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await Promise.all([this.#child.status, this.#reading, this.#child.stderr.cancel()]);
  }

  /** Stops the process with a signal. Returns its exit code and its standard error. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; stderr: string }> {
    this.#child.kill(signal);
    const [{ code }, stderr] = await Promise.all([this.#child.status, this.#child.stderr.text(), this.#reading]);
    return { code, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.kill();
    } catch {
      // Already ended.
    }
  }
}
