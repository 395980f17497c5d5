/**
 * What commands that listen share: the listener, reports, recordings, and the signal that ends them.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { authorityOf, isLoopback } from "./address.ts";
import { BatchWriter } from "./batch_writer.ts";
import { writeLine } from "./bytes.ts";
import { answeringAddress, portProblem, WILDCARDS } from "./cli/addresses.ts";
import type { Identity, IdentityFiles } from "./cli/certificate.ts";
import { makeFile, readFlagFile } from "./cli/files.ts";
import { certificateCommand } from "./cli/program.ts";
import { END_SIGNALS, Failure } from "./cli/values.ts";
import { EXIT_INTERRUPTED } from "./exit_code.ts";
import { logLine } from "./server/exchange_log.ts";
import { TlsRelay } from "./server/tls_relay.ts";
import { escapeText, terminalColumns, wrapMessage } from "./terminal.ts";
import type { End, TrafficListener } from "./traffic.ts";
import { Recorder, RECORDING_NOTICE } from "./traffic/capture/recorder.ts";

/** The size of a read buffer of a tapped connection, so that one send of a client is one read. */
export const TAPPED_READ_BYTES: number = 16 * 1024;

/** Two signals within this time count as one. */
const SAME_SIGNAL_MS = 300;
/** The minimum interval between identical reports. */
const REPORT_AGAIN_MS = 10_000;

/** How long the rest of the output may take at the end, where the shutdown has used up its time. */
const MIN_FLUSH_MS = 250;

/** A certificate with its key, and why clients will refuse it. */
export interface CheckedIdentity {
  /** The certificate and its key; `undefined` without TLS. */
  readonly identity: Identity | undefined;
  /** Why clients will refuse it, one line for each reason. */
  readonly problems: readonly string[];
}

/** A recording of traffic. */
export interface Recording {
  /** Receives what happens on connections. */
  readonly take: TrafficListener;
  /** Resolves once there is room again; `undefined` if there is. */
  room(): Promise<void> | undefined;
  /** Writes what waits, and ends the recording. */
  close(): Promise<void>;
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
      failed: ({ message }) => this.report(`Cannot print: ${message}; retried until it works`),
    });
  }

  /** Prints a line for the user. */
  tell(text: string): void {
    this.#errors.print(`${wrapMessage(`wiretable: ${escapeText(text)}`, columnsOf(Deno.stderr)?.())}\n`);
  }

  /** Reports a problem, an identical one only at intervals. */
  readonly report = (text: string): void => {
    if (text === this.#last && performance.now() < this.#lastTime + REPORT_AGAIN_MS) return;
    this.#last = text;
    this.#lastTime = performance.now();
    this.tell(text);
  };

  /** Resolves once everything is written, or at this time of the monotonic clock: nobody may read the output. */
  async flush(until: number): Promise<void> {
    const leftMs = Math.max(MIN_FLUSH_MS, until - performance.now());
    await Promise.all([this.writer, this.#errors].map((output) => output.flush(leftMs)));
  }
}

/** Reads the files of `--cert` and `--key`, if they are given. */
export async function readIdentity(tls: IdentityFiles | undefined): Promise<CheckedIdentity> {
  if (tls === undefined) return { identity: undefined, problems: [] };
  const identity = {
    cert: await readFlagFile("--cert", tls.certFile),
    key: await readFlagFile("--key", tls.keyFile),
  };
  const { checkIdentity } = await import("./cli/certificate.ts");
  return { identity, problems: checkIdentity(identity, tls) };
}

/** Returns the URL that users open: some systems cannot open a wildcard address. */
export function urlOf(secure: boolean, { hostname, port }: Deno.NetAddr): string {
  const host = WILDCARDS.includes(hostname) ? "localhost" : hostname;
  return `${secure ? "https" : "http"}://${authorityOf({ secure, host, port })}/`;
}

/** Starts a recording in a new file. */
export async function record(
  name: string,
  report: (line: string) => void,
  interfaces?: Readonly<Record<End, string>>,
): Promise<Recording> {
  const file = await makeFile("--record", name);
  report(`The traffic is recorded in ${name}: ${RECORDING_NOTICE}`);
  return new Recorder(file, { program: `wiretable ${config.version}`, name, report, interfaces });
}

/**
 * Listens on an address, with TLS if there is a certificate.
 *
 * @throws {Failure} If the address cannot be listened on.
 */
export async function listen(
  { host: hostname, port }: { readonly host: string; readonly port: number },
  { identity, problems }: CheckedIdentity,
  report: (line: string) => void,
): Promise<Deno.Listener> {
  for (const problem of problems) report(problem);
  if (problems.length > 0) report(`This makes one that they accept: ${certificateCommand(nameOf(hostname))}`);
  // Once this server listens, it is the one that answers.
  const other = port === 0 ? undefined : await answeringAddress(hostname, port);
  try {
    const listener = Deno.listen({ hostname, port });
    if (other !== undefined) report(`Another server answers on port ${port} of ${other}: clients may reach that one`);
    return identity === undefined ? listener : new TlsRelay(listener, identity);
  } catch (error) {
    const problem = portProblem(error, port);
    if (problem !== undefined) throw new Failure(`Port ${port} on ${hostname} is ${problem}${freePort(hostname)}`);
    if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
    throw new Failure(`Cannot listen on ${hostname} port ${port}: ${error.message}`);
  }
}

/** Returns the name by which clients on this machine, or others, reach an address. */
function nameOf(hostname: string): string {
  return WILDCARDS.includes(hostname) || isLoopback(hostname) ? "localhost" : hostname;
}

/** Returns a hint with a free port, if one is found. */
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

/** Prints where a command listens, or its page: the line, or the facts as JSON. */
export async function announceAddress(
  format: "text" | "json",
  event: string,
  facts: { readonly url: string; readonly server?: string },
  line: string,
): Promise<void> {
  await writeLine(Deno.stdout, format === "json" ? logLine(event, facts).trimEnd() : line);
}

/** Returns the address at which this program reaches itself: loopback instead of a wildcard. */
export function reachable(hostname: string): string {
  return hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
}

/** Returns the width of an output in characters, which may change; `undefined` if it is no terminal. */
export function columnsOf(output: { isTerminal(): boolean }): (() => number) | undefined {
  return output.isTerminal() ? terminalColumns : undefined;
}

/**
 * Resolves on Ctrl-C or a termination signal. A second one ends the process. SIGHUP is the end of the terminal that is
 * the standard input, and on Windows of the console; without one, it calls `renew`, one call at a time.
 */
export function stopSignal(renew: () => Promise<void>): Promise<void> {
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
