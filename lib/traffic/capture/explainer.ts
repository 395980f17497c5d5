/**
 * Explains captures: each connection, in the order of its first packet, with its exchanges.
 *
 * @module
 */

import { MAX_EXPLAINED_BYTES, MAX_WAITING_BYTES, WAITING_CONNECTION_BYTES, WAITING_EVENT_BYTES } from "../../limits.ts";
import type { CapturedExchangesOptions } from "./captured_exchanges.ts";
import { type Acknowledged, afterResetText, type CaptureEvent, CaptureReader, type OpenedInCapture } from "./reader.ts";
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

/** A connection that is printed, or waits for those before it. */
class Waiting {
  readonly #options: CapturedExchangesOptions;
  readonly #opened: OpenedInCapture;
  /** What was told of it, as long as that is little; then its text waits. */
  #events: (CaptureEvent | Acknowledged)[] = [];
  #eventBytes = WAITING_CONNECTION_BYTES;
  #explained: ExplainedConnection | undefined;
  /** Why it is left out, or the rest of it. */
  #leftOut: string | undefined;

  constructor(opened: OpenedInCapture, options: CapturedExchangesOptions) {
    this.#opened = opened;
    this.#options = options;
  }

  /** How many octets and characters it holds. */
  get held(): number {
    return this.#eventBytes + (this.#explained?.held ?? 0);
  }

  /** Receives an event, which is explained at once if it is the connection's turn. */
  tell(event: CaptureEvent | Acknowledged, isTurn: boolean): void {
    if (this.#leftOut !== undefined) return;
    if (isTurn || this.#eventBytes > MAX_WAITING_BYTES) return this.explain().tell(event);
    const hasOctets = event.kind === "read" || event.kind === "write";
    this.#events.push(hasOctets ? { ...event, bytes: event.bytes.slice() } : event);
    this.#eventBytes += WAITING_EVENT_BYTES + (hasOctets ? event.bytes.length : 0);
  }

  /** Leaves out what was not printed. */
  leaveOut(why: string): void {
    this.#drop();
    this.#explained?.leaveOut(why);
    this.#leftOut = why;
    this.#eventBytes = 0;
  }

  /** Explains what has waited. */
  explain(): ExplainedConnection {
    if (this.#explained === undefined) {
      this.#explained = new ExplainedConnection(this.#opened, this.#options);
      if (this.#leftOut !== undefined) this.#explained.leaveOut(this.#leftOut);
    }
    for (const event of this.#events) this.#explained.tell(event);
    this.#drop();
    return this.#explained;
  }

  #drop(): void {
    this.#events = [];
    this.#eventBytes = WAITING_CONNECTION_BYTES;
  }
}

/** Explains the connections of a capture, while its bytes come in. */
export class CaptureExplainer {
  readonly #options: CaptureExplainerOptions;
  /** Reads the capture. */
  readonly reader: CaptureReader;
  /** Connections that are not printed whole, by number. */
  readonly #connections = new Map<number, Waiting>();
  /** The connection that is printed. */
  #turn: number;
  /** Connections with HTTP that ended with a reset. */
  readonly #resets = new Set<number>();
  /** The connection that was printed last. */
  #printed: { readonly number: number; readonly isHttp?: boolean } | undefined;
  #held = 0;
  #valid = true;
  #leftOut: number | undefined;

  /** Creates an explainer of a capture. */
  constructor(options: CaptureExplainerOptions) {
    this.#options = options;
    const { connection, from = 1 } = options;
    this.#turn = connection ?? from;
    const wanted = (number: number) => number >= from && number < (this.#leftOut ?? Infinity);
    this.reader = new CaptureReader((event) => this.#tell(event), {
      connection,
      wanted,
      acknowledged: (event) => this.#tell(event),
    });
  }

  /**
   * Receives bytes of the file.
   *
   * @throws {CaptureError} If they are no valid capture.
   */
  receive(bytes: Uint8Array): void {
    this.reader.receive(bytes);
  }

  /** Ends the file, and prints what is left. */
  end(): Explained {
    const notes = this.reader.end();
    for (const [number, waiting] of this.#inOrder()) {
      waiting.explain().end();
      this.#print(number);
    }
    for (const [number, octets] of this.reader.afterResets) {
      if (!this.#resets.has(number)) continue;
      notes.push(afterResetText(number, octets));
      this.#valid = false;
    }
    return { valid: this.#valid, connections: this.reader.connections, leftOut: this.#leftOut, notes };
  }

  #tell(event: CaptureEvent | Acknowledged): void {
    const number = event.connection;
    if (number >= (this.#leftOut ?? Infinity)) return;
    const known = this.#connections.get(number);
    if (known === undefined) {
      // What is left out has no beginning.
      if (event.kind !== "opened") return;
      const json = this.#options.isJson ? () => this.reader.start : undefined;
      const waiting = new Waiting(event, { ...this.#options, json });
      this.#connections.set(number, waiting);
      this.#held += waiting.held;
      return this.#limit();
    }
    const before = known.held;
    // One that is opened again after its turn does not wait.
    const isTurn = number <= this.#turn;
    known.tell(event, isTurn);
    this.#held += known.held - before;
    if (isTurn) this.#print(number);
    this.#limit();
  }

  #inOrder(): [number: number, waiting: Waiting][] {
    return [...this.#connections].toSorted(([a], [b]) => a - b);
  }

  /** Prints a connection whose turn it is, and those behind it if it has ended. */
  #print(number = this.#turn): void {
    for (let waiting = this.#connections.get(number); waiting !== undefined; waiting = this.#connections.get(number)) {
      const before = waiting.held;
      const explained = waiting.explain();
      explained.print((text) => this.#printText(number, explained, text));
      if (!explained.ended) {
        this.#held += waiting.held - before;
        return;
      }
      this.#held -= before;
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
      const before = waiting.held;
      if (number <= this.#turn) {
        if (this.#held > maxHeld) waiting.leaveOut("it needs too much memory");
      } else if (again) {
        this.#leftOut = number;
        this.#connections.delete(number);
        this.#held -= before;
        continue;
      } else waiting.leaveOut("too much waits for those before it");
      this.#held += waiting.held - before;
    }
    this.#print();
  }
}
