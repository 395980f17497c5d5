/**
 * Composes `replay`: sends what the clients of a recording sent, and compares the answers with the recorded ones.
 *
 * @module
 */

import { setTimeout as sleep } from "node:timers/promises";
import { counted, type Source, writeLine } from "./bytes.ts";
import type { ReplayOptions } from "./cli.ts";
import { addressText, type Endpoint, isLoopback } from "./address.ts";
import { cannotRead, conversionNeeded, inputName, openFile, readCertificates } from "./cli/files.ts";
import { Failure } from "./cli/values.ts";
import { EXIT_FAILURE, EXIT_TIMEOUT } from "./exit_code.ts";
import { ClientConnection } from "./client/connection.ts";
import { type RawConnection, within } from "./client/raw.ts";
import { MAX_REPLAYED_CONNECTIONS, REPLAY_INTERIM_MS } from "./limits.ts";
import { isColored, type Painter, painterFor } from "./terminal.ts";
import { captureEvents } from "./traffic/capture/reader.ts";
import { CaptureError, captureFormatOf, FORMAT_BYTES } from "./traffic/capture/pcapng_reader.ts";
import { EntityTags } from "./traffic/replay/compare.ts";
import { CLOSED_BY_SERVER, type Dialogue } from "./traffic/replay/dialogue.ts";
import { Script, type Step } from "./traffic/replay/script.ts";
import { type RecordedServer, Survey } from "./traffic/replay/survey.ts";
import { endedText, exchangeText, sumText, unsentText, type Verdict } from "./traffic/replay/text.ts";

/** Replays a recording. The exit code is 0 if all answers are the recorded ones. */
export async function replay(options: ReplayOptions): Promise<number> {
  const { file, to, fast, timeoutMs, caFile } = options;
  const caCerts = caFile === undefined ? [] : [await readCertificates("--cacert", caFile)];
  const print = (line: string) => writeLine(Deno.stdout, line);
  using input = await openFile(file);
  if (input.rewind === undefined) throw new Failure(`${inputName(file)} is read twice: expected a file, saw a pipe`);
  try {
    await requireCapture(input, file);
    await input.rewind();
    const { servers, notes } = await survey(input, options);
    await input.rewind();
    const painter = painterFor(isColored(options.color));
    const replayer = new Replayer({ to, fast, timeoutMs, caCerts, painter, print });
    try {
      for (const note of notes) await print(note);
      const script = new Script();
      for await (const event of captureEvents(input, { connection: options.connection })) {
        const step = servers.has(event.connection) ? script.tell(event) : undefined;
        if (step !== undefined) await replayer.take(step);
      }
      for (const step of script.end()) await replayer.take(step);
      await replayer.finish();
    } finally {
      replayer.close();
    }
    return replayer.timedOut ? EXIT_TIMEOUT : replayer.same ? 0 : EXIT_FAILURE;
  } catch (error) {
    throw error instanceof CaptureError ? cannotRead(file, error) : error;
  }
}

/** Finds what can be replayed, before anything is sent. */
async function survey(
  input: Source,
  { file, to, connection }: ReplayOptions,
): Promise<{ servers: ReadonlyMap<number, RecordedServer>; notes: string[] }> {
  const found = new Survey();
  const events = captureEvents(input, { connection });
  let next = await events.next();
  for (; !next.done; next = await events.next()) {
    found.tell(next.value);
    if (found.servers.size <= MAX_REPLAYED_CONNECTIONS) continue;
    throw new Failure(`${file} has more than ${MAX_REPLAYED_CONNECTIONS} connections: --connection N picks one`);
  }
  found.end();
  const { servers, others } = found;
  const { connections } = next.value;
  if (connection !== undefined && connection > connections) {
    throw new Failure(`${file} has ${counted(connections, "connection")}, so there is no connection ${connection}`);
  }
  const { notes } = next.value;
  if (others.length > 0) {
    const numbers = `${others.slice(0, SHOWN_NUMBERS).join(", ")}${others.length > SHOWN_NUMBERS ? ", …" : ""}`;
    notes.push(`not replayed, as not HTTP: ${counted(others.length, "connection")} (${numbers})`);
  }
  if (servers.size === 0) {
    const what = connection === undefined ? file : `Connection ${connection} of ${file}`;
    throw new Failure(`${what} holds no HTTP, so there is nothing to replay`);
  }
  for (const { address, secure } of to === undefined ? servers.values() : []) {
    if (isLoopback(address.hostname)) continue;
    const server = `${secure ? "https://" : ""}${addressText(address)}`;
    throw new Failure(`The recorded server ${server} is not on this machine: --to ${server} sends to it all the same`);
  }
  return { servers, notes };
}

/** @throws {Failure} If the input does not start as a capture. */
async function requireCapture(input: Source, file: string): Promise<void> {
  const start = new Uint8Array(FORMAT_BYTES);
  const count = await input.read(start);
  const format = captureFormatOf(start.subarray(0, count ?? 0));
  if (format === "pcap") throw new Failure(`${file} ${conversionNeeded(file)}`);
  if (format !== "pcapng") throw new Failure(`${file} is no capture, expected pcapng`);
}

/** Options of a {@linkcode Replayer}. */
export interface ReplayerOptions {
  /** The server to replay to; by default the one of each connection. */
  readonly to?: Endpoint;
  /** Whether no pauses are made. */
  readonly fast: boolean;
  /** How long to wait for an answer, in milliseconds. */
  readonly timeoutMs: number;
  /** Additional trusted certificates, in PEM. */
  readonly caCerts: readonly string[];
  /** Colours the report. */
  readonly painter: Painter;
  /** Receives the lines of the report. */
  readonly print: (line: string) => Promise<void>;
}

/** How many connections that are not replayed are named. */
const SHOWN_NUMBERS = 10;
/** The longest wait of one timer, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A recorded connection, and the connection that replays it. */
interface Live {
  readonly connection: number;
  readonly dialogue: Dialogue;
  readonly client: ClientConnection;
  readonly raw: RawConnection;
  /** Octets that were not sent, and why. */
  unsent: number;
  unsentWhy: string | undefined;
  /** Whether the recorded connection has ended. */
  closing: boolean;
  /** Whether an answer did not come in time. */
  late: boolean;
}

/** Takes the steps of a script one after the other, and reports on each exchange. */
export class Replayer {
  readonly #options: ReplayerOptions;
  /** Connections whose exchanges are not all reported. */
  readonly #live = new Map<number, Live>();
  readonly #tags = new EntityTags();
  readonly #counts: Record<Verdict, number> = { same: 0, different: 0, "not compared": 0 };
  /** When the last answer was complete or the last write was made, in milliseconds. */
  #cause = performance.now();
  #news = Promise.withResolvers<void>();
  /** Connections that ended before the recorded ones did. */
  readonly #cutShort = new Set<number>();
  /** Whether an answer that was recorded did not come in time. */
  timedOut = false;

  /** Creates a replayer that has sent nothing. */
  constructor(options: ReplayerOptions) {
    this.#options = options;
  }

  /** Whether all answers are the recorded ones. */
  get same(): boolean {
    return this.#counts.different === 0 && this.#counts.same > 0 && this.#cutShort.size === 0;
  }

  /**
   * Takes a step, after all answers are here that were complete before it in the recording.
   *
   * @throws {ClientError} If no server answers.
   */
  async take(step: Step): Promise<void> {
    await this.#answers();
    await this.#report();
    if (step.kind === "open") return await this.#open(step);
    const live = this.#live.get(step.connection);
    if (live === undefined) return;
    switch (step.kind) {
      case "send":
        await this.#pause(step.pause);
        return await this.#send(live, step.octets);
      case "fin":
        await this.#pause(step.pause);
        // One turn of the event loop shows a FIN that came right behind the last answer.
        if (live.unsentWhy === undefined) await sleep(1);
        if (live.dialogue.endsUnsaid) {
          this.#cutShort.add(step.connection);
          await this.#options.print(endedText(step.connection));
        }
        // A connection that is gone needs no end.
        await within(live.raw.closeWrite().catch(() => {}), this.#options.timeoutMs);
        return;
      case "gap":
        live.unsentWhy ??= "what comes before them is missing in the recording";
        return;
      case "close":
        live.closing = true;
    }
  }

  /** Waits for the last answers, and reports on what is left. Nothing can be sent afterwards. */
  async finish(): Promise<void> {
    for (const live of this.#live.values()) live.closing = true;
    await this.#answers();
    await this.#report();
    await this.#options.print(sumText(this.#counts, this.#cutShort.size));
  }

  /** Closes all connections. */
  close(): void {
    for (const { client } of this.#live.values()) client.close();
    this.#live.clear();
  }

  async #open({ connection, dialogue, server, secure }: Step & { kind: "open" }): Promise<void> {
    const { to, timeoutMs, caCerts } = this.#options;
    const endpoint = to ?? { secure, host: server.hostname, port: server.port };
    const client = await ClientConnection.open(endpoint, { timeoutMs, caCerts });
    const raw = client.lend();
    const live = {
      ...{ connection, dialogue, client, raw },
      ...{ unsent: 0, unsentWhy: undefined, closing: false, late: false },
    };
    this.#live.set(connection, live);
    this.#read(live);
  }

  async #read({ raw, dialogue }: Live): Promise<void> {
    let why = CLOSED_BY_SERVER;
    try {
      for (let octets = await raw.read(); octets !== null; octets = await raw.read()) {
        if (dialogue.received("now", octets)) this.#tell();
      }
    } catch (error) {
      why = error instanceof Deno.errors.ConnectionReset ? "the server reset the connection" : (error as Error).message;
    }
    dialogue.end("now", why);
    this.#tell();
  }

  #tell(): void {
    this.#cause = performance.now();
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }

  /**
   * Waits for the answers that were complete at this point of the recording; not long for 100 (Continue), which a server
   * may leave out.
   */
  async #answers(): Promise<void> {
    const { timeoutMs } = this.#options;
    const start = performance.now();
    for (;;) {
      const waited = performance.now() - start;
      let limit = Infinity;
      for (const live of this.#live.values()) {
        const lack = live.dialogue.lacks();
        if (lack === undefined) continue;
        const most = lack === "interim" ? Math.min(REPLAY_INTERIM_MS, timeoutMs) : timeoutMs;
        if (waited < most) limit = Math.min(limit, most);
        else {
          live.late ||= lack === "final";
          live.dialogue.excuse();
        }
      }
      if (limit === Infinity) return;
      await within(this.#news.promise, limit - waited);
    }
  }

  async #pause(microseconds: number): Promise<void> {
    if (this.#options.fast) return;
    const until = this.#cause + microseconds / 1000;
    for (let left = until - performance.now(); left > 0; left = until - performance.now()) {
      await sleep(Math.min(left, MAX_TIMER_MS));
    }
  }

  async #send(live: Live, octets: Uint8Array): Promise<void> {
    const { dialogue, raw, client } = live;
    const hadEnded = dialogue.ended("recorded") !== undefined;
    let sent = 0;
    if (!hadEnded) live.unsentWhy ??= dialogue.ended("now");
    try {
      while (live.unsentWhy === undefined && sent < octets.length) {
        const writing = raw.write(octets.subarray(sent)).then((count) => sent += count);
        if (await within(writing, this.#options.timeoutMs)) continue;
        live.unsentWhy = `the server took nothing within ${this.#options.timeoutMs / 1000} s`;
        live.late = true;
        dialogue.end("now", live.unsentWhy);
        client.close();
      }
    } catch {
      live.unsentWhy = dialogue.ended("now") ?? "the connection is gone";
    }
    this.#cause = performance.now();
    live.unsent += octets.length - sent;
    if (sent < octets.length && !hadEnded) this.#cutShort.add(live.connection);
  }

  /** Prints the exchanges that are complete, and closes the connections that are. */
  async #report(): Promise<void> {
    for (const live of this.#live.values()) {
      const { connection, dialogue, client, closing, late } = live;
      const done = closing && dialogue.lacks() === undefined;
      if (done) {
        dialogue.end("now", late ? `nothing more within ${this.#options.timeoutMs / 1000} s` : "the replay has ended");
        client.close();
        this.#live.delete(connection);
      }
      for (const exchange of dialogue.take()) {
        const { verdict, text } = exchangeText(connection, exchange, this.#tags, this.#options.painter);
        this.#counts[verdict]++;
        this.timedOut ||= late && verdict === "different" && exchange.now?.answer === undefined;
        await this.#options.print(text);
      }
      if (done && live.unsent > 0) await this.#options.print(unsentText(connection, live.unsent, live.unsentWhy!));
    }
  }
}
