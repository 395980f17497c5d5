/**
 * wiretable: both ends of an HTTP/1.1 connection, with every byte in view.
 *
 * `serve` is a JSON table behind a TCP listener: bytes go through {@linkcode Server} and its decoder to a
 * {@linkcode Table} over a store, and back. `connect` is the client: a line becomes a request, a {@linkcode Session}
 * sends it and decodes the response.
 *
 * @module
 */

import { BatchWriter } from "./lib/batch_writer.ts";
import { writeAll } from "./lib/bytes.ts";
import { type ConnectOptions, parseCommandLine, type ServeOptions, UsageError } from "./lib/cli.ts";
import { ClientError, Session, TimeoutError } from "./lib/client.ts";
import { LOCAL_COMMANDS, METHODS, shellWord } from "./lib/command.ts";
import { authorityOf } from "./lib/endpoint.ts";
import type { FieldLine } from "./lib/http_grammar.ts";
import type { Handler } from "./lib/http_message.ts";
import { MAX_FLAG_FILE_BYTES, REPORT_AGAIN_MS } from "./lib/limits.ts";
import { InputError, pipedInput, processTerminal, terminalInput } from "./lib/line_input.ts";
import { EXIT_FAILURE, EXIT_TIMEOUT, runCommand, runCommands, type Screen } from "./lib/repl.ts";
import { requestLog } from "./lib/request_log.ts";
import { Server } from "./lib/server.ts";
import { type Store, StoreError } from "./lib/store.ts";
import { MemoryStore } from "./lib/store_memory.ts";
import { SqliteStore } from "./lib/store_sqlite.ts";
import { Table } from "./lib/table_http.ts";
import { escapeText, painterFor } from "./lib/terminal.ts";
import { Guard } from "./lib/trust.ts";
import config from "./deno.json" with { type: "json" };

const EXIT_INTERRUPTED = 130;
/** Within this time two signals are one. */
const SAME_SIGNAL_MS = 300;

/** What the user is told in one line, before the program ends. */
class Failure extends Error {}

/** Errors whose message is enough; any other is a defect. */
const EXPLAINED = [Failure, UsageError, ClientError, StoreError, InputError, ...Object.values(Deno.errors)];

if (import.meta.main) Deno.exit(await main(Deno.args));

/** Runs the program. Every error ends here, as one line and an exit code. */
async function main(args: readonly string[]): Promise<number> {
  try {
    const invocation = parseCommandLine(args);
    switch (invocation.kind) {
      case "text":
        await printLine(invocation.text.trimEnd());
        return 0;
      case "version":
        await printLine(`wiretable ${config.version} (Deno ${Deno.version.deno})`);
        return 0;
      case "serve":
        return await serve(invocation.options);
      case "connect":
        return await connect(invocation.options);
    }
  } catch (error) {
    console.error(`wiretable: ${escapeText(explain(error))}`);
    return error instanceof TimeoutError ? EXIT_TIMEOUT : EXIT_FAILURE;
  }
}

/** Serves a table until a signal asks to stop. */
async function serve(options: ServeOptions): Promise<number> {
  const token = options.tokenFile === undefined ? undefined : await readToken(options.tokenFile);
  const listener = await listen(options);
  // Last, since opening a store may leave a file behind.
  const store = await openStore(options);
  const { hostname, port } = listener.addr as Deno.NetAddr;

  const guard = new Guard({
    hosts: isLoopback(hostname) && !options.allowHosts.includes("*") ? options.allowHosts : undefined,
    cors: options.cors,
    token,
  });
  const table = new Table(store, options);
  const answer: Handler = (request, content) => table.answer(request, content);
  const writer = new BatchWriter(Deno.stdout);
  const log = requestLog(writer, {
    verbose: options.verbose,
    format: options.logFormat,
    terminal: Deno.stdout.isTerminal(),
  });
  const report = reporter();
  const server = new Server(listener, guard.protect(options.delayMs > 0 ? heldBack(answer, options.delayMs) : answer), {
    screen: (request) => {
      guard.screen(request);
      table.screen(request);
    },
    refusal: (response) => guard.withCors(response),
    messageLimits: options.messageLimits,
    limits: options.limits,
    observer: {
      ...options.quiet ? {} : log,
      cannotAccept: (reason) => report(`Cannot accept a connection now: ${reason}`),
      failed: (error) => report(detailOf(error)),
    },
  });

  // Signals are heard before the address is printed: whoever reads it may stop the server at once.
  const stopped = stopSignal();
  const secure = options.tls !== undefined;
  const url = `${secure ? "https" : "http"}://${authorityOf({ secure, host: hostname, port })}/`;
  await printLine(
    options.logFormat === "json"
      ? JSON.stringify({ time: new Date().toISOString(), event: "listening", url })
      : `Listening on ${url} with rows of ${options.shape} in ${placeOf(options)}; Ctrl-C stops`,
  );
  await stopped;
  await server.shutdown();
  await store.close();
  await writer.flush();
  return 0;
}

function placeOf({ store }: ServeOptions): string {
  return store.kind === "memory" ? "memory" : store.file;
}

async function openStore({ store }: ServeOptions): Promise<Store> {
  if (store.kind === "memory") return new MemoryStore();
  for (const name of ["read", "write"] as const) {
    if ((await Deno.permissions.request({ name })).state === "granted") continue;
    const command = `deno run --allow-net --allow-read --allow-write main.ts serve --store sqlite:${store.file}`;
    throw new Failure(`--store needs more permissions: ${command}`);
  }
  return await SqliteStore.open(store.file);
}

async function listen({ host: hostname, port, tls }: ServeOptions): Promise<Deno.Listener> {
  try {
    if (tls === undefined) return Deno.listen({ hostname, port });
    const cert = await readFlagFile("--cert", tls.certFile);
    const key = await readFlagFile("--key", tls.keyFile);
    return Deno.listenTls({ hostname, port, cert, key, alpnProtocols: ["http/1.1"] });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new Failure(`Port ${port} on ${hostname} is taken${freePort(hostname)}`);
    }
    if (error instanceof Failure || error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
    throw new Failure(`Cannot listen on ${hostname} port ${port}: ${error.message}`);
  }
}

/** A port that may be taken instead, if one can be found. */
function freePort(hostname: string): string {
  try {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    return `; port ${port} is free: --port ${port}`;
  } catch {
    // Perhaps there is permission for the one port alone.
    return ": choose another with --port";
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

function heldBack(handler: Handler, delayMs: number): Handler {
  return async (request, content) => {
    try {
      return await handler(request, content);
    } finally {
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  };
}

/** Makes a function that reports what goes wrong; the same again only after a while. */
function reporter(): (text: string) => void {
  let last = "";
  let lastTime = -Infinity;
  return (text) => {
    if (text === last && performance.now() < lastTime + REPORT_AGAIN_MS) return;
    last = text;
    lastTime = performance.now();
    console.error(`wiretable: ${escapeText(text)}`);
  };
}

/** Resolves on Ctrl-C, or when the system asks the program to end; a second time ends it at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked: number | undefined;
    const stop = () => {
      // Who passes signals on, as `deno task` does, has one Ctrl-C arrive twice.
      if (asked !== undefined && performance.now() > asked + SAME_SIGNAL_MS) Deno.exit(EXIT_INTERRUPTED);
      asked ??= performance.now();
      resolve();
    };
    // Windows has no SIGTERM. SIGHUP is the end of the terminal, there and elsewhere.
    const signals = ["SIGINT", "SIGHUP", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM"] as const;
    for (const signal of signals) Deno.addSignalListener(signal, stop);
  });
}

/** Talks to a server: one command's worth, or until the input ends. */
async function connect(options: ConnectOptions): Promise<number> {
  const { endpoint, command, shape } = options;
  const caCerts = options.caFile === undefined ? [] : [await readFlagFile("--cacert", options.caFile)];
  const defaults: FieldLine[] = [
    ["Host", authorityOf(endpoint)],
    ["User-Agent", `wiretable/${config.version}`],
    ["Accept", "*/*"],
  ];
  if (options.tokenFile !== undefined) defaults.push(["Authorization", `Bearer ${await readToken(options.tokenFile)}`]);

  const session = new Session(endpoint, { timeoutMs: options.timeoutMs, caCerts });
  const interrupted = () => {
    session.close();
    Deno.exit(EXIT_INTERRUPTED);
  };
  Deno.addSignalListener("SIGINT", interrupted);
  const interactive = command.length === 0 && Deno.stdin.isTerminal();
  const terminal = Deno.stdout.isTerminal();
  const colored = options.color === "auto" ? interactive && terminal && !Deno.noColor : options.color === "always";
  const input = interactive
    ? await terminalInput(await processTerminal(), [...METHODS, ...LOCAL_COMMANDS], interrupted)
    : pipedInput(Deno.stdin.readable);
  const replOptions = {
    session,
    screen: screenFor(interactive, terminal, colored),
    print: options.print ?? (terminal ? "hb" : "b"),
    interactive,
    painter: painterFor(colored),
    shape,
    defaults,
  };
  try {
    await session.connect();
    if (command.length > 0) return await runCommand(command.map(shellWord), input, replOptions);
    return await runCommands(input, replOptions);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return EXIT_FAILURE;
    throw error;
  } finally {
    session.close();
    input.close();
  }
}

function screenFor(interactive: boolean, terminal: boolean, colored: boolean): Screen {
  return {
    // Colours are for a terminal, even if it is behind a pager.
    terminal: terminal || colored,
    write: (bytes) => writeAll(Deno.stdout, bytes),
    tell: (line) =>
      writeAll(interactive && terminal ? Deno.stdout : Deno.stderr, new TextEncoder().encode(`${line}\n`)),
  };
}

async function printLine(line: string): Promise<void> {
  await writeAll(Deno.stdout, new TextEncoder().encode(`${line}\n`));
}

async function readToken(file: string): Promise<string> {
  const token = (await readFlagFile("--token-file", file)).trim();
  if (/^[\w\-.~+/]+=*$/.test(token)) return token;
  throw new Failure(`--token-file ${file}: expected one token of letters, digits and -._~+/ (RFC 6750 §2.1)`);
}

/** Reads a small file that a flag names. */
async function readFlagFile(flag: string, file: string): Promise<string> {
  try {
    const { size } = await Deno.stat(file);
    if (size > MAX_FLAG_FILE_BYTES) {
      throw new Failure(`${flag} ${file}: the file has ${size} bytes, at most ${MAX_FLAG_FILE_BYTES} are read`);
    }
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof Deno.errors.NotCapable) {
      throw new Failure(`${flag} ${file} needs a permission: run again with --allow-read=${file}`);
    }
    throw new Failure(`${flag} ${file}: ${(error as Error).message}`);
  }
}

/** An error as one line; a defect of the program with what helps to find it. */
function explain(error: unknown): string {
  return EXPLAINED.some((kind) => error instanceof kind) ? (error as Error).message : detailOf(error);
}

function detailOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
