/**
 * Composes what `serve` and `relay` have in common: outputs, a listener, the page and the recording of what passes, and a
 * server, until a signal ends it.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { isLoopback, originOf } from "./address.ts";
import { BatchWriter } from "./batch_writer.ts";
import { type Listener, writeLine } from "./bytes.ts";
import type { RelayOptions, ServeOptions } from "./cli.ts";
import { answeringAddress, linesForOthers, portProblem, WILDCARDS } from "./cli/addresses.ts";
import type { Identity } from "./cli/certificate.ts";
import { makeFile, readFlagFile } from "./cli/files.ts";
import { certificateCommand } from "./cli/program.ts";
import { END_SIGNALS, Failure } from "./cli/values.ts";
import { EXIT_INTERRUPTED } from "./exit_code.ts";
import { HttpError, type Service } from "./http_message.ts";
import type { LivePage, PageOptions } from "./page.ts";
import { type ConnectionMaker, Server, type ServerOptions } from "./server.ts";
import { joined } from "./server/context.ts";
import { type LoggedExchange, logLine } from "./server/exchange_log.ts";
import type { TlsRelay } from "./server/tls_relay.ts";
import { StoreError } from "./store.ts";
import { escapeText, terminalColumns, wrapMessage } from "./terminal.ts";
import type { End, TrafficListener } from "./traffic.ts";
import type { Recorder } from "./traffic/capture/recorder.ts";
import { allOf, tappedListener } from "./traffic/tap.ts";

export type { Identity };

/** The size of a read buffer of a tapped connection, so that one send of a client is one read. */
export const TAPPED_READ_BYTES: number = 16 * 1024;

/** Two signals within this time count as one. */
const SAME_SIGNAL_MS = 300;
/** The minimum interval between identical reports. */
const REPORT_AGAIN_MS = 10_000;
/** How long the rest of the output may take at the end, where the shutdown has used up its time. */
const MIN_FLUSH_MS = 250;

type Options = ServeOptions | RelayOptions;

/** A command that listens, and what shows what passes. */
export class Listening {
  /** The address that it listens on. */
  readonly addr: Deno.NetAddr;
  /** The page that shows what passes, if there is one. */
  page: LivePage | undefined;
  /** Receives what passes; `undefined` if nothing shows it. */
  tap: TrafficListener | undefined;
  #recorder: Recorder | undefined;
  /** The server's own certificate, for the page's requests. */
  readonly #caCerts: string[];

  private constructor(
    private readonly options: Options,
    /** The outputs of the process. */
    readonly outputs: Outputs,
    private readonly listener: Listener,
    identity: Identity | undefined,
  ) {
    this.#caCerts = identity === undefined ? [] : [identity.cert];
    this.addr = listener.addr as Deno.NetAddr;
  }

  /**
   * Listens, with TLS if there is a certificate. From here on all output uses `outputs`.
   *
   * @throws {Failure} If the address cannot be listened on.
   */
  static async open(options: Options, identity: Identity | undefined): Promise<Listening> {
    const outputs = new Outputs();
    return new Listening(options, outputs, await listen(options, identity, outputs.note), identity);
  }

  /** Uses another certificate from now on. */
  renew(identity: Identity): void {
    (this.listener as TlsRelay).renew(identity);
    this.#caCerts.splice(0, 1, identity.cert);
  }

  /** Starts the recording and the page if they are asked for; both, and `view`, receive what passes. */
  async show(
    about: Pick<PageOptions, "messageLimits" | "words" | "table" | "relayTo">,
    { view, interfaces }: { view?: TrafficListener; interfaces?: Readonly<Record<End, string>> },
  ): Promise<void> {
    const { recordFile: name, page, showCredentials, tls } = this.options;
    const { note } = this.outputs;
    if (name !== undefined) {
      const { Recorder, RECORDING_NOTICE } = await import("./traffic/capture/recorder.ts");
      const file = await makeFile("--record", name);
      note(`The traffic is recorded in ${name}: ${RECORDING_NOTICE}`);
      this.#recorder = new Recorder(file, { program: `wiretable ${config.version}`, name, note, interfaces });
    }
    if (page !== undefined) {
      // What is not asked for is not loaded: with the page and all stores, the start would take a third longer.
      const { openPage } = await import("./page.ts");
      const { hostname, port } = this.addr;
      // This program reaches a wildcard address by loopback.
      const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
      this.page = openPage({
        ...page,
        ...about,
        showCredentials,
        endpoint: { secure: tls !== undefined, host, port },
        caCerts: this.#caCerts,
        failed: this.#failed,
        cannotAccept: this.#cannotAccept,
      });
    }
    this.tap = allOf([this.page?.receive, this.#recorder?.receive, view].filter((one) => one !== undefined));
  }

  /** Resolves once there is room for a recording, or returns `undefined` if there is; `undefined` without a recording. */
  get room(): (() => Promise<void> | undefined) | undefined {
    const recorder = this.#recorder;
    return recorder && (() => recorder.room());
  }

  /** Starts a server. */
  serve(answers: Service | ConnectionMaker, { observer = {}, ...options }: ServerOptions): Server {
    const { tap } = this;
    const listener = tap === undefined ? this.listener : tappedListener(this.listener, tap);
    const own = { cannotAccept: this.#cannotAccept, failed: this.#failed };
    return new Server(listener, answers, { ...options, observer: joined([observer, own]) });
  }

  /** Prints the address, and before it a warning; serves until a signal comes; ends the server, and what shows it. */
  async run(server: Server, running: {
    readonly warning: string | undefined;
    /** What is said after the URL, and what programs are told besides it. */
    readonly what: string;
    readonly facts?: { readonly server: string };
    /** Answers SIGHUP with a line. */
    readonly renew: () => Promise<string>;
    /** Ends what the server needed. */
    readonly stopped?: () => Promise<void>;
    readonly log: { readonly connections: number; readonly exchanges: number } | undefined;
  }): Promise<number> {
    const { page, outputs: { note, writer } } = this;
    const { logFormat, tls, limits } = this.options;
    const { warning, what, facts, log } = running;
    // Signals are handled before the address is printed, because a reader of the address may stop the server immediately.
    const stopped = stopSignal(async () => this.outputs.say(await running.renew()));
    if (warning !== undefined) note(warning);
    const { hostname, port } = this.addr;
    // Some systems cannot open a wildcard address.
    const host = WILDCARDS.includes(hostname) ? "localhost" : hostname;
    const url = `${originOf({ secure: tls !== undefined, host, port })}/`;
    const isText = logFormat === "text";
    const print = (line: string, event: string, members: object) =>
      writeLine(Deno.stdout, isText ? line : logLine(event, members).trimEnd());
    const line = wrapMessage(`Listening on ${url}${what}; Ctrl-C stops`, columnsOf(Deno.stdout)?.());
    await print(line, "listening", { url, ...facts });
    for (const line of isText ? linesForOthers(this.addr, tls !== undefined) : []) await writeLine(Deno.stdout, line);
    if (page !== undefined) await print(`The traffic is shown at ${page.url}`, "page", { url: page.url });
    await stopped;
    const end = performance.now() + limits.shutdownMs;
    await server.shutdown();
    await page?.close();
    await this.#recorder?.close();
    await running.stopped?.();
    if (log !== undefined) {
      writer.print(logLine("stopped", { connections: log.connections, exchanges: log.exchanges }));
    }
    await this.outputs.flush(end);
    return 0;
  }

  /** Prints an exchange for programs, unless with `--quiet`. */
  readonly logged = (exchange: LoggedExchange): void => {
    if (!this.options.quiet) this.outputs.writer.print(logLine("exchange", exchange));
  };

  readonly #cannotAccept = (reason: string): void => this.outputs.note(`Cannot accept a connection now: ${reason}`);

  readonly #failed = (error: unknown): void => {
    const { note } = this.outputs;
    if (!(error instanceof Error)) return note(String(error));
    // A store has reported damage itself.
    if (error instanceof StoreError && error.fault === "damaged") return;
    // The page asks for the table as a client does, and may be refused like one; a listing may end with its store's.
    const isForeseen = error instanceof HttpError || error instanceof StoreError;
    note(isForeseen ? error.message : error.stack ?? error.message);
  };
}

/** The outputs of a command that listens. A write that waits for its reader must not block the process. */
export class Outputs {
  /** The standard output. */
  readonly writer: BatchWriter;
  readonly #errors = new BatchWriter(Deno.stderr);
  #last = "";
  #lastTime = -Infinity;

  /** Takes over both outputs of the process. */
  constructor() {
    this.writer = new BatchWriter(Deno.stdout, {
      failed: ({ message }) => this.note(`Cannot print: ${message}; retried until it works`),
    });
  }

  /** Prints a line for the user on the standard error. */
  say(text: string): void {
    this.#errors.print(`${wrapMessage(`wiretable: ${escapeText(text)}`, columnsOf(Deno.stderr)?.())}\n`);
  }

  /** Reports a problem, an identical one only at intervals. */
  readonly note = (text: string): void => {
    if (text === this.#last && performance.now() < this.#lastTime + REPORT_AGAIN_MS) return;
    this.#last = text;
    this.#lastTime = performance.now();
    this.say(text);
  };

  /** Resolves once everything is written, or at this time of the monotonic clock: nobody may read the output. */
  async flush(until: number): Promise<void> {
    const leftMs = Math.max(MIN_FLUSH_MS, until - performance.now());
    await Promise.all([this.writer, this.#errors].map((output) => output.flush(leftMs)));
  }
}

/**
 * Reads the files of `--cert` and `--key`, if they are given.
 *
 * @param prefix What the names of the flags start with, besides.
 * @throws {Failure} If one of them is wrong.
 */
export async function readIdentity(files: ServeOptions["tls"], prefix = ""): Promise<Identity | undefined> {
  if (files === undefined) return undefined;
  const cert = await readFlagFile(`--${prefix}cert`, files.certFile);
  const key = await readFlagFile(`--${prefix}key`, files.keyFile);
  const { checkIdentity } = await import("./cli/certificate.ts");
  return { cert, key, problems: checkIdentity({ cert, key }, { ...files, prefix }) };
}

/** @throws {Failure} If the address cannot be listened on. */
async function listen(
  { host: hostname, port }: Options,
  identity: Identity | undefined,
  note: (line: string) => void,
): Promise<Listener> {
  const { problems = [] } = identity ?? {};
  for (const problem of problems) note(problem);
  if (problems.length > 0) {
    const name = WILDCARDS.includes(hostname) || isLoopback(hostname) ? "localhost" : hostname;
    note(`This makes one that they accept: ${certificateCommand(name)}`);
  }
  // Once this server listens, it is the one that answers.
  const other = port === 0 ? undefined : await answeringAddress(hostname, port);
  try {
    const listener = Deno.listen({ hostname, port });
    if (other !== undefined) note(`Another server answers on port ${port} of ${other}: clients may reach that one`);
    if (identity === undefined) return listener;
    const { TlsRelay } = await import("./server/tls_relay.ts");
    return new TlsRelay(listener, identity);
  } catch (error) {
    const problem = portProblem(error, port);
    if (problem !== undefined) throw new Failure(`Port ${port} on ${hostname} is ${problem}${freePort(hostname)}`);
    if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
    throw new Failure(`Cannot listen on ${hostname} port ${port}: ${error.message}`);
  }
}

function freePort(hostname: string): string {
  try {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    return `; port ${port} is free: --port ${port}`;
  } catch {
    // The permission may be limited to one port.
    return ": choose another with --port";
  }
}

/** Says who may do what at an address that others can reach. */
export function anyoneMay(what: string, { hostname, port }: Deno.NetAddr): string {
  const reach = `who reaches port ${port} of ${WILDCARDS.includes(hostname) ? "this machine" : hostname}`;
  return `Anyone ${reach} may ${what}`;
}

/** Returns the width of an output in characters, which may change; `undefined` if it is no terminal. */
export function columnsOf(output: { isTerminal(): boolean }): (() => number) | undefined {
  return output.isTerminal() ? terminalColumns : undefined;
}

/**
 * Resolves on Ctrl-C or a termination signal. A second one ends the process. SIGHUP is the end of the terminal that is
 * the standard input, and on Windows of the console; without one, it calls `renew`, one call at a time.
 */
function stopSignal(renew: () => Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    let asked: number | undefined;
    const stop = () => {
      // A parent that forwards signals, such as `deno task`, makes one Ctrl-C arrive twice.
      if (asked !== undefined && performance.now() > asked + SAME_SIGNAL_MS) Deno.exit(EXIT_INTERRUPTED);
      asked ??= performance.now();
      resolve();
    };
    let renewed = Promise.resolve();
    const next = () => void (renewed = renewed.then(renew));
    // Asked now: a terminal that was closed is none.
    const ends = Deno.build.os === "windows" || Deno.stdin.isTerminal();
    for (const signal of END_SIGNALS) Deno.addSignalListener(signal, signal === "SIGHUP" && !ends ? next : stop);
  });
}
