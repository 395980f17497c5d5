/**
 * Explains captures: each connection, in the order of its first packet, with its exchanges.
 *
 * @module
 */

import { ByteBuffer, NO_BYTES } from "../../bytes.ts";
import { MAX_EXPLAINED_BYTES } from "../../limits.ts";
import type { CapturedExchangesOptions } from "./captured_exchanges.ts";
import { type Acknowledged, type CaptureEvent, CaptureReader, type OpenedInCapture } from "./reader.ts";
import { ExplainedConnection } from "./explained_connection.ts";

/** How a capture is explained. */
export interface CaptureExplainerOptions extends Omit<CapturedExchangesOptions, "json"> {
  /** Whether each exchange is a line of JSON. */
  readonly isJson?: boolean;
  /** Receives the text in UTF-8, connection by connection; it is valid during the call. */
  readonly print: (text: Uint8Array) => void;
  /** The only connection to explain. */
  readonly connection?: number;
  /** The first connection to explain. */
  readonly from?: number;
  /** Whether the file can be read again for connections that are left out; else they are only named. */
  readonly again?: boolean;
  /** Octets and characters that may be held. */
  readonly maxHeld?: number;
}

/** The result of explaining a capture. */
export interface Explained {
  /** Whether all messages are complete and valid. */
  readonly valid: boolean;
  /** How many connections there are. */
  readonly connections: number;
  /** The first connection that is left out: the file has to be read again from there. */
  readonly leftOut: number | undefined;
  /** One line on each thing that was not read. */
  readonly notes: readonly string[];
}

const LINE_END = new TextEncoder().encode("\n");
/** Octets of one direction in a row from which on a connection that waits is explained. */
const LONG_OCTETS = 8 * 1024;
/** What a connection that waits, and each of its events, counts besides its octets: the overhead in memory. */
const CONNECTION_BYTES = 800;
const EVENT_BYTES = 200;

/** A connection that is printed, or waits for those before it. */
class Waiting {
  readonly explained: ExplainedConnection;
  /**
   * What has come while it waits, and its octets: as text, small messages take more memory than their octets, and long
   * ones less.
   */
  #events: (CaptureEvent | Acknowledged)[] = [];
  #lengths: number[] = [];
  #octets = new ByteBuffer(0);
  /** How many octets have come in a row in the last direction. */
  #run = { kind: "", octets: 0 };
  #isLeftOut = false;
  /** What it held when that was last counted. */
  counted = 0;

  constructor(opened: OpenedInCapture, options: CapturedExchangesOptions) {
    this.explained = new ExplainedConnection(opened, options);
  }

  /** How many octets and characters it holds. */
  get held(): number {
    return CONNECTION_BYTES + EVENT_BYTES * this.#events.length + this.#octets.length + this.explained.held;
  }

  /** Receives an event, which is explained at once if it is the connection's turn. */
  tell(event: CaptureEvent | Acknowledged, isTurn: boolean): void {
    if (this.#isLeftOut) return;
    if (isTurn || this.#run.octets > LONG_OCTETS) {
      this.explain();
      return this.explained.tell(event);
    }
    const bytes = "bytes" in event ? event.bytes : NO_BYTES;
    const before = event.kind === this.#run.kind ? this.#run.octets : 0;
    if (bytes.length > 0) this.#run = { kind: event.kind, octets: before + bytes.length };
    this.#events.push("bytes" in event ? { ...event, bytes: NO_BYTES } : event);
    this.#lengths.push(bytes.length);
    this.#octets.append(bytes);
  }

  /** Explains what has waited. */
  explain(): void {
    let at = 0;
    for (const [i, event] of this.#events.entries()) {
      const bytes = this.#octets.bytes.subarray(at, at += this.#lengths[i]);
      this.explained.tell("bytes" in event ? { ...event, bytes } : event);
    }
    this.#drop();
  }

  /** Leaves out what was not printed. */
  leaveOut(why: string): void {
    this.#drop();
    this.explained.leaveOut(why);
    this.#isLeftOut = true;
  }

  #drop(): void {
    if (this.#events.length === 0) return;
    this.#events = [];
    this.#lengths = [];
    this.#octets = new ByteBuffer(0);
    this.#run = { kind: "", octets: 0 };
  }
}

/** Explains the connections of a capture, while its bytes come in. */
export class CaptureExplainer {
  readonly #options: CaptureExplainerOptions;
  readonly #layout: CapturedExchangesOptions;
  readonly reader: CaptureReader;
  /** Connections that are not printed whole, by number. */
  readonly #connections = new Map<number, Waiting>();
  /** The connection that is printed. */
  #turn: number;
  /** Connections with HTTP that ended with a reset. */
  readonly #resets = new Set<number>();
  /** The connection that was printed last. */
  #printed: { readonly number: number; readonly isHttp: boolean } | undefined;
  #held = 0;
  #valid = true;
  #leftOut: number | undefined;

  constructor(options: CaptureExplainerOptions) {
    this.#options = options;
    this.#layout = { ...options, json: options.isJson ? () => this.reader.start : undefined };
    const { connection, from = 1 } = options;
    this.#turn = connection ?? from;
    const wanted = (number: number) => number >= from && number < (this.#leftOut ?? Infinity);
    const acknowledged = (event: Acknowledged) => this.#tell(event);
    this.reader = new CaptureReader((event) => this.#tell(event), { connection, wanted, acknowledged });
  }

  /** @throws {CaptureError} If the bytes are no valid capture. */
  receive(bytes: Uint8Array): void {
    this.reader.receive(bytes);
  }

  /** Ends the file, and prints what is left. */
  end(): Explained {
    const notes = this.reader.end();
    for (const [number, waiting] of this.#inOrder()) {
      waiting.explain();
      waiting.explained.end();
      this.#print(number);
    }
    const late = this.reader.notesAfterResets(this.#resets);
    const valid = this.#valid && late.length === 0;
    return { valid, connections: this.reader.connections, leftOut: this.#leftOut, notes: [...notes, ...late] };
  }

  #tell(event: CaptureEvent | Acknowledged): void {
    const number = event.connection;
    if (number >= (this.#leftOut ?? Infinity)) return;
    let waiting = this.#connections.get(number);
    // One that is opened again after its turn does not wait.
    const isTurn = number <= this.#turn;
    if (waiting !== undefined) waiting.tell(event, isTurn);
    else {
      // What is left out has no beginning.
      if (event.kind !== "opened") return;
      waiting = new Waiting(event, this.#layout);
      this.#connections.set(number, waiting);
    }
    this.#count(waiting);
    if (isTurn) this.#print(number);
    this.#limit();
  }

  #count(waiting: Waiting, held = waiting.held): void {
    this.#held += held - waiting.counted;
    waiting.counted = held;
  }

  #inOrder(): [number: number, waiting: Waiting][] {
    return [...this.#connections].toSorted(([a], [b]) => a - b);
  }

  /** Prints a connection whose turn it is, and those behind it if it has ended. */
  #print(number = this.#turn): void {
    for (let waiting = this.#connections.get(number); waiting !== undefined; waiting = this.#connections.get(number)) {
      const { explained } = waiting;
      waiting.explain();
      explained.print((text) => this.#printText(number, explained, text));
      if (!explained.ended) return this.#count(waiting);
      this.#count(waiting, 0);
      this.#valid &&= explained.valid;
      if (explained.isHttp && explained.isReset) this.#resets.add(number);
      this.#connections.delete(number);
      if (number === this.#turn) this.#turn++;
      number = this.#turn;
    }
  }

  /** Prints text of the connection whose turn it is, after an empty line if another one's messages precede it. */
  #printText(number: number, { isHttp }: ExplainedConnection, text: Uint8Array): void {
    const isNew = this.#printed?.number !== number && !this.#options.isJson;
    if (isNew && this.#printed !== undefined && (isHttp || this.#printed.isHttp)) this.#options.print(LINE_END);
    this.#printed = { number, isHttp };
    this.#options.print(text);
  }

  /** Leaves out connections, the last ones first, if too much is held. */
  #limit(): void {
    const { maxHeld = MAX_EXPLAINED_BYTES, again } = this.#options;
    if (this.#held <= maxHeld) return;
    // There is room for a while then.
    const most = maxHeld * 7 / 8;
    for (const [number, waiting] of this.#inOrder().toReversed()) {
      if (this.#held <= most) return;
      if (number > this.#turn && again) {
        this.#leftOut = number;
        this.#connections.delete(number);
        this.#count(waiting, 0);
        continue;
      }
      if (number > this.#turn) waiting.leaveOut("too much waits for those before it");
      else if (this.#held > maxHeld) waiting.leaveOut("it needs too much memory");
      this.#count(waiting);
    }
    this.#print();
  }
}
