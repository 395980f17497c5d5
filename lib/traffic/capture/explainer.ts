/** Explains captures: each connection, in the order of its first packet, with its exchanges. */

import { MAX_EXPLAINED_BYTES } from "../../limits.ts";
import type { CapturedExchangesOptions } from "./captured_exchanges.ts";
import { type Acknowledged, type CaptureEvent, CaptureReader } from "./reader.ts";
import { ExplainedConnection } from "./explained_connection.ts";

export interface CaptureExplainerOptions extends Omit<CapturedExchangesOptions, "json"> {
  readonly isJson?: boolean;
  /** Receives the text in UTF-8, connection by connection; it is valid during the call. */
  readonly print: (text: Uint8Array) => void;
  readonly connection?: number;
  /** The first connection to explain. */
  readonly from?: number;
  /** Whether the file can be read again for connections that are left out; else they are only named. */
  readonly again?: boolean;
  readonly maxHeld?: number;
}

export interface Explained {
  readonly valid: boolean;
  readonly connections: number;
  /** The first connection that is left out: the file has to be read again from there. */
  readonly leftOut: number | undefined;
  /** One line on each thing that was not read. */
  readonly notes: readonly string[];
}

const LINE_END = new TextEncoder().encode("\n");

export class CaptureExplainer {
  readonly #layout: CapturedExchangesOptions;
  readonly reader: CaptureReader;
  /** Connections that are not printed whole, by number. */
  readonly #connections = new Map<number, ExplainedConnection>();
  /** The connection that is printed; those after it wait. */
  #turn: number;
  /** Connections with HTTP that ended with a reset. */
  readonly #resets = new Set<number>();
  /** The connection that was printed last. */
  #printed: { readonly number: number; readonly isHttp?: boolean } | undefined;
  #held = 0;
  #valid = true;
  #leftOut: number | undefined;

  constructor(private readonly options: CaptureExplainerOptions) {
    this.#layout = { ...options, json: options.isJson ? () => this.reader.start : undefined };
    const { connection, from = 1 } = options;
    this.#turn = connection ?? from;
    const wanted = (number: number) => number >= from && number < (this.#leftOut ?? Infinity);
    const acknowledged = (event: Acknowledged) => this.#receiveEvent(event);
    this.reader = new CaptureReader((event) => this.#receiveEvent(event), { connection, wanted, acknowledged });
  }

  receive(bytes: Uint8Array): void {
    this.reader.receive(bytes);
  }

  end(): Explained {
    const notes = this.reader.end();
    for (const [number, connection] of this.#inOrder()) {
      connection.end();
      this.#print(number);
    }
    const late = this.reader.notesAfterResets(this.#resets);
    const valid = this.#valid && late.length === 0;
    return { valid, connections: this.reader.connections, leftOut: this.#leftOut, notes: [...notes, ...late] };
  }

  #receiveEvent(event: CaptureEvent | Acknowledged): void {
    const number = event.connection;
    if (number >= (this.#leftOut ?? Infinity)) return;
    let connection = this.#connections.get(number);
    // One that is opened again after its turn does not wait.
    const isTurn = number <= this.#turn;
    if (connection !== undefined) connection.receive(event, isTurn);
    else {
      // A connection that is left out has no `opened`.
      if (event.kind !== "opened") return;
      connection = new ExplainedConnection(event, this.#layout);
      this.#connections.set(number, connection);
    }
    this.#count(connection);
    if (isTurn) this.#print(number);
    this.#limit();
  }

  #count(connection: ExplainedConnection, held = connection.held): void {
    this.#held += held - connection.counted;
    connection.counted = held;
  }

  #inOrder(): [number: number, connection: ExplainedConnection][] {
    return [...this.#connections].toSorted(([a], [b]) => a - b);
  }

  /** Prints a connection whose turn it is, and those after it if it has ended. */
  #print(number = this.#turn): void {
    for (let one = this.#connections.get(number); one !== undefined; one = this.#connections.get(number)) {
      const connection = one;
      connection.explain();
      connection.print((text) => this.#printText(number, connection.isHttp, text));
      if (!connection.ended) return this.#count(connection);
      this.#count(connection, 0);
      this.#valid &&= connection.valid;
      if (connection.isHttp && connection.isReset) this.#resets.add(number);
      this.#connections.delete(number);
      if (number === this.#turn) this.#turn++;
      number = this.#turn;
    }
  }

  /** Prints text of the connection whose turn it is, after an empty line if another one's messages precede it. */
  #printText(number: number, isHttp: boolean | undefined, text: Uint8Array): void {
    const isNew = this.#printed?.number !== number && !this.options.isJson;
    if (isNew && this.#printed !== undefined && (isHttp || this.#printed.isHttp)) this.options.print(LINE_END);
    this.#printed = { number, isHttp };
    this.options.print(text);
  }

  /** Leaves out connections, the last ones first, if too much is held. */
  #limit(): void {
    const { maxHeld = MAX_EXPLAINED_BYTES, again } = this.options;
    if (this.#held <= maxHeld) return;
    // There is room for a while then.
    const most = maxHeld * 7 / 8;
    for (const [number, connection] of this.#inOrder().toReversed()) {
      if (this.#held <= most) return;
      if (number > this.#turn && again) {
        this.#leftOut = number;
        this.#connections.delete(number);
        this.#count(connection, 0);
        continue;
      }
      if (number > this.#turn) connection.leaveOut("too much waits for those before it");
      else if (this.#held > maxHeld) connection.leaveOut("it needs too much memory");
      this.#count(connection);
    }
    this.#print();
  }
}
