/**
 * Servers under load: starting them, driving them with wrk, and reading what it measured.
 */

const HERE = `${import.meta.dirname}/`;

/** What one run of wrk tells. */
export interface Measured {
  requestsPerSecond: number;
  /** 99 of 100 answers came within this, in milliseconds. */
  p99: number;
  /** Processor time of the server's main thread for each request, in microseconds; NaN where the system does not tell. */
  cpu: number;
}

/** A server process that has printed the address where it listens. */
export class ServerProcess implements AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, url: string) {
    this.#child = child;
    this.pid = child.pid;
    this.url = url;
  }

  /** Starts `deno run` with these arguments, its output in a file, from which the address is read. */
  static async start(args: string[], output: string): Promise<ServerProcess> {
    await Deno.writeTextFile(output, "");
    const child = new Deno.Command("sh", {
      args: [
        "-c",
        'output="$1"; shift; exec "$0" run --quiet --allow-all "$@" > "$output"',
        Deno.execPath(),
        output,
        ...args,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    let ended = false;
    child.status.then(() => ended = true);
    for (;;) {
      const url = /http:\/\/\S+?\/(?=\s)/.exec(await Deno.readTextFile(output).catch(() => ""))?.[0];
      if (url !== undefined) return new ServerProcess(child, url);
      if (ended) throw new Error(`The server ended before it listened: ${args.join(" ")}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Processor time that the main thread has used, in microseconds. */
  async cpu(): Promise<number> {
    const [nanoseconds] = (await Deno.readTextFile(`/proc/${this.pid}/task/${this.pid}/schedstat`).catch(() => ""))
      .split(" ");
    return nanoseconds === "" ? NaN : Number(nanoseconds) / 1000;
  }

  /** Resident memory in MB; `undefined` where the system does not tell. */
  async memory(): Promise<number | undefined> {
    const status = await Deno.readTextFile(`/proc/${this.pid}/status`).catch(() => "");
    const kilobytes = /VmRSS:\s+(\d+) kB/.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }
}

/** How wrk drives a server. */
export interface Load {
  /** The path asked for. */
  path: string;
  connections: number;
  seconds: number;
  /** What `rows.lua` is told; left out, each request is a GET of the path. */
  rows?: readonly string[];
}

/** Runs wrk once. */
export async function drive(server: ServerProcess, load: Load): Promise<Measured> {
  const { path, connections, seconds, rows } = load;
  const target = new URL(path, server.url).href;
  const args = ["-t1", `-c${connections}`, `-d${seconds}`, "--latency"];
  if (rows !== undefined) args.push("-s", `${HERE}rows.lua`);
  args.push(target, ...rows === undefined ? [] : ["--", ...rows]);
  const before = await server.cpu();
  const text = await runWrk(args);
  const cpu = await server.cpu() - before;
  if (/Non-2xx|Socket errors/.test(text)) throw new Error(`wrk ${args.join(" ")}:\n${text}`);
  return {
    cpu: cpu / numberIn(/(\d+) requests in/, text),
    requestsPerSecond: numberIn(/Requests\/sec:\s+([\d.]+)/, text),
    p99: milliseconds(/99%\s+(\S+)/.exec(text)?.[1]),
  };
}

async function runWrk(args: string[]): Promise<string> {
  try {
    const { stdout, stderr, success } = await new Deno.Command("wrk", { args }).output();
    if (success) return new TextDecoder().decode(stdout);
    throw new Error(`wrk failed: ${new TextDecoder().decode(stderr)}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("wrk is missing: apt-get install wrk on Debian and Ubuntu, brew install wrk on macOS");
  }
}

function numberIn(pattern: RegExp, text: string): number {
  return Number(pattern.exec(text)?.[1]);
}

function milliseconds(text = ""): number {
  const [, number, unit] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  return Number(number) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? NaN);
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A row of the classroom's size. */
export const ROW = '{"type":"snail","age":"1","leg":"0"}';

/** A request for the whole table. */
export const GET_ALL = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

/** Opens a connection to a server. */
export async function open(url: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  return await Deno.connect({ hostname, port: Number(port) });
}

/** Puts the rows into a table, a few at a time. The raw loop has no table and answers anything. */
export async function fill(url: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const name = `Pingping${i}`;
    const response = await fetch(new URL(name, url), {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: `{"${name}":${ROW}}`,
    });
    await response.arrayBuffer();
  }
}

const ROWS_PER_REQUEST = 2000;

/** Creates many rows of the classroom's size. */
export async function fillWithMany(url: string, count: number): Promise<void> {
  for (let start = 0; start < count; start += ROWS_PER_REQUEST) {
    const rows = Array.from(
      { length: Math.min(ROWS_PER_REQUEST, count - start) },
      (_, i) => `"Pingping${start + i}":${ROW}`,
    );
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `{${rows.join(",")}}`,
    });
    if (response.status !== 201) throw new Error(`Loading rows: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
}

/** Seconds that reading the whole listing takes. */
export async function readListing(url: string): Promise<number> {
  using conn = await open(url);
  const buffer = new Uint8Array(1024 * 1024);
  const start = performance.now();
  await conn.write(GET_ALL);
  while (await conn.read(buffer) !== null);
  return (performance.now() - start) / 1000;
}
