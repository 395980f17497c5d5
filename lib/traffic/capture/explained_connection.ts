/** Explains one connection of a capture: its addresses, its exchanges if it is HTTP, and how it ends. */

import { addressText } from "../../address.ts";
import { ByteBuffer, counted, NO_BYTES } from "../../bytes.ts";
import { Beginning } from "../../exchange.ts";
import { CapturedExchanges, type CapturedExchangesOptions } from "./captured_exchanges.ts";
import { type Acknowledged, type CaptureEvent, directionOf, type OpenedInCapture } from "./reader.ts";
import { handshakeText, repeatedText, timeText } from "./words.ts";

const TEXT_BYTES = 1024;
/** A waiting connection is explained after so many octets of one direction in a row: as text they take less memory. */
const LONG_OCTETS = 8 * 1024;
/** The overhead in memory of a connection, and of each event that waits. */
const CONNECTION_BYTES = 650;
const EVENT_BYTES = 150;

export class ExplainedConnection {
  #opened: OpenedInCapture;
  #beginning!: Beginning;
  /** Its exchanges, from its first octets on, until it is known not to be HTTP. */
  #exchanges: CapturedExchanges | undefined;
  #skipped = 0;
  #missing = 0;
  #ends: string[] = [];
  /** Events that came while it waits, and their octets: small messages would take more memory as text. */
  #events: (CaptureEvent | Acknowledged)[] = [];
  #lengths: number[] = [];
  #octets = new ByteBuffer(0);
  /** How many octets have come in a row in the last direction. */
  #inRow = 0;
  #lastKind = "";
  #isLeftOut = false;
  /** Finished text in UTF-8: much of it as strings would slow the garbage collector. */
  readonly #text = new ByteBuffer(0);
  #hasPrinted = false;
  /** Whether this program recorded it: then it has reads and writes, and an invented handshake. */
  #isRecorded = false;
  ended = false;
  isReset = false;
  valid = true;
  /** The value of `held` when it was last counted. */
  counted = 0;

  constructor(opened: Extract<CaptureEvent, OpenedInCapture>, private readonly options: CapturedExchangesOptions) {
    this.#opened = opened;
    // Many connections wait, and hold only this until it is their turn.
    this.#keep(opened);
  }

  /** Whether it has a request or status line; `undefined` until that is known. */
  get isHttp(): boolean | undefined {
    return this.#beginning?.isHttp;
  }

  get held(): number {
    const waiting = EVENT_BYTES * this.#events.length + this.#octets.length;
    return CONNECTION_BYTES + waiting + this.#text.length + (this.#exchanges?.held ?? 0);
  }

  /** Receives an event, which is explained at once if it is the connection's turn. */
  receive(event: CaptureEvent | Acknowledged, isTurn = true): void {
    if (this.#isLeftOut) return;
    const isLong = this.#inRow > LONG_OCTETS;
    if ("bytes" in event) {
      this.#inRow = event.bytes.length + (event.kind === this.#lastKind ? this.#inRow : 0);
      this.#lastKind = event.kind;
    }
    if (!isTurn && !isLong) return this.#keep(event);
    this.explain();
    this.#explain(event);
  }

  #keep(event: CaptureEvent | Acknowledged): void {
    const octets = "bytes" in event ? event.bytes : NO_BYTES;
    this.#events.push("bytes" in event ? { ...event, bytes: NO_BYTES } : event);
    this.#lengths.push(octets.length);
    this.#octets.append(octets);
  }

  explain(): void {
    if (this.#events.length === 0) return;
    let at = 0;
    this.#events.forEach((event, i) => {
      const bytes = this.#octets.bytes.subarray(at, at += this.#lengths[i]);
      this.#explain("bytes" in event ? { ...event, bytes } : event);
    });
    this.#drop();
  }

  #drop(): void {
    this.#events = [];
    this.#lengths = [];
    this.#octets = new ByteBuffer(0);
  }

  #explain(event: CaptureEvent | Acknowledged): void {
    if (event.kind === "opened") return this.#reopen(event);
    if (event.kind === "closed") {
      this.isReset = event.reason === "reset";
      // With two FINs there is nothing to add.
      if (this.#ends.length < 2) this.#ends.push(`closed ${event.reason} ${when(event)}`);
      return this.#end();
    }
    const direction = directionOf(event);
    if ("bytes" in event) {
      this.#isRecorded ||= event.origin.call !== undefined;
      this.#decide(() => this.#beginning.receive(direction, event.bytes));
    } else if (event.kind === "fin") this.#ends.push(`FIN by the ${event.by} ${when(event)}`);
    else if (event.kind === "missing" && event.why === "skipped") this.#skipped += event.octets;
    else if (event.kind === "missing") {
      this.#missing += event.octets;
      this.#beginning.gap(direction);
    }
    if (this.#beginning.isHttp === false) return;
    // A connection without octets needs no decoder.
    if (event.kind !== "fin") {
      this.#exchanges ??= new CapturedExchanges(this.options, this.#opened.tcp, () => this.#members);
    }
    this.#exchanges?.receive(event);
    if (this.isHttp) this.#text.appendText(this.#exchanges!.take());
  }

  #reopen(opened: OpenedInCapture): void {
    this.#opened = opened;
    this.#beginning = new Beginning();
    this.#ends = [];
    this.#skipped = this.#missing = 0;
    this.ended = this.isReset = false;
  }

  end(): void {
    this.explain();
    this.#end();
  }

  #end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#decide(() => this.#beginning.end());
    if (!this.isHttp) return this.#say(`${this.#title}: ${this.#otherwise()}\n`);
    this.#exchanges!.end();
    this.valid &&= this.#exchanges!.valid;
    this.#text.appendText(this.#exchanges!.take());
    this.#exchanges = undefined;
    const end = this.#ends.length === 0 ? "open where the capture ends" : this.#ends.join(", ");
    const repeated = this.#isRecorded ? "" : repeatedText(this.#opened.tcp);
    this.#say(`\nconnection ${this.#opened.connection}: ${end}${repeated}\n`);
  }

  /** Ends the connection before its end. Text that was not taken is left out too, unless it follows other text. */
  leaveOut(why: string): void {
    this.#drop();
    this.#isLeftOut = true;
    if (this.#hasPrinted) {
      this.#ends.push(`the rest is left out: ${why}`);
      this.#end();
    } else {
      this.ended = true;
      this.#exchanges = undefined;
      this.#text.clear(TEXT_BYTES);
      this.#say(`${this.#title}: left out: ${why}\n`);
    }
    this.valid = false;
  }

  /** Gives the finished text, in UTF-8, to a function; it is valid during the call. */
  print(write: (text: Uint8Array) => void): void {
    if (this.#text.length === 0) return;
    this.#hasPrinted = true;
    write(this.#text.view());
    this.#text.clear(TEXT_BYTES);
  }

  /** Adds a line on the connection, which is no JSON. */
  #say(line: string): void {
    if (this.options.json === undefined) this.#text.appendText(line);
  }

  get #members(): object {
    const { connection, local, remote, tcp } = this.#opened;
    const members = { connection, client: addressText(remote), server: addressText(local) };
    if (this.#isRecorded) return members;
    const { handshake, roundTrip, mss, repeated, late } = tcp;
    const seconds = roundTrip === undefined ? undefined : roundTrip / 1_000_000;
    return { ...members, tcp: { handshake, roundTrip: seconds, mss, repeated, late } };
  }

  get #title(): string {
    const { connection, local, remote, secure, stream } = this.#opened;
    const title = this.options.painter("bold", `connection ${connection}`);
    const encrypted = secure ? ", encrypted by TLS" : "";
    const family = remote.hostname.includes(":") ? "ipv6" : "ip";
    const filter = stream === undefined
      ? `${family}.addr == ${remote.hostname} && ${family}.addr == ${local.hostname} && ` +
        `tcp.port == ${remote.port} && tcp.port == ${local.port}`
      : `tcp.stream == ${stream}`;
    return `${title}: ${addressText(remote)} to ${addressText(local)}, ${filter} in Wireshark${encrypted}`;
  }

  /** Decides by what comes, unless that is known, whether this is HTTP. */
  #decide(receive: () => void): void {
    if (this.isHttp) return;
    receive();
    if (this.isHttp) {
      const { startCaptured, tcp } = this.#opened;
      const start = !startCaptured ? ", start not captured" : this.#isRecorded ? "" : handshakeText(tcp);
      this.#say(`${this.#title}${start}\n`);
    } else if (this.#beginning.isHttp === false) this.#exchanges = undefined;
  }

  #otherwise(): string {
    const { octets: { request, response }, other } = this.#beginning;
    const gone = [
      this.#skipped > 0 ? `, ${counted(this.#skipped, "octet")} without a start line` : "",
      this.#missing > 0 ? `, ${counted(this.#missing, "octet")} not captured` : "",
      this.#opened.startCaptured ? "" : ", start not captured",
    ].join("");
    if (request + response + this.#skipped + this.#missing === 0) return ["no octets", ...this.#ends].join(", ") + gone;
    const octets = `${counted(request, "octet")} from the client, ${response} from the server`;
    return `${other ? `not HTTP/1 but ${other}` : "not HTTP"}, ${octets}${gone}`;
  }
}

function when({ time, origin }: CaptureEvent): string {
  return `at ${timeText(time)} (packet ${origin.packet})`;
}
