/**
 * Explains captures: each connection, in the order of its first packet, with its exchanges.
 *
 * @module
 */

import { MAX_EXPLAINED_BYTES } from "../../limits.ts";
import { type CaptureEvent, CaptureReader, TOO_MANY_OPEN } from "./reader.ts";
import type { ExplainTextOptions } from "../explain/text.ts";
import { ExplainedConnection } from "./explained_connection.ts";

/** How a capture is explained. */
export interface CaptureExplainerOptions extends ExplainTextOptions {
  /** Receives the text in UTF-8, connection by connection; it is valid during the call. */
  readonly print: (text: Uint8Array) => void;
  /** The only connection to explain. */
  readonly connection?: number;
  /** The first connection to explain. */
  readonly from?: number;
  /** The most connections to explain; those behind them are left out. */
  readonly most?: number;
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

/** Explains the connections of a capture, while its bytes come in. */
export class CaptureExplainer {
  readonly #options: CaptureExplainerOptions;
  readonly #reader: CaptureReader;
  /** Connections that are not printed whole, in the order of their first event. */
  readonly #connections = new Map<number, ExplainedConnection>();
  /** The connection that is printed. */
  #turn: number;
  /** The connection that was printed last. */
  #printed: { readonly number: number; readonly isHttp: boolean } | undefined;
  #held = 0;
  #valid = true;
  #leftOut: number | undefined;

  /** Creates an explainer of a capture. */
  constructor(options: CaptureExplainerOptions) {
    this.#options = options;
    const { connection, from = 1, most = Infinity } = options;
    this.#turn = connection ?? from;
    const wanted = (number: number) => number >= from && number < (this.#leftOut ?? from + most);
    this.#reader = new CaptureReader((event) => this.#tell(event), { connection, wanted });
  }

  /**
   * Receives bytes of the file.
   *
   * @throws {CaptureError} If they are no valid pcapng.
   */
  receive(bytes: Uint8Array): void {
    this.#reader.receive(bytes);
  }

  /** Ends the file, and prints what is left. */
  end(): Explained {
    const notes = this.#reader.end();
    for (const connection of this.#connections.values()) connection.end();
    this.#print();
    const { connections } = this.#reader;
    const { connection, from = 1, most = Infinity } = this.#options;
    if (connection === undefined && connections >= from + most) this.#leftOut ??= from + most;
    return { valid: this.#valid, connections, leftOut: this.#leftOut, notes };
  }

  #tell(event: CaptureEvent): void {
    const number = event.connection;
    if (number >= (this.#leftOut ?? Infinity)) return;
    if (event.kind === "opened") {
      this.#connections.set(number, new ExplainedConnection(event, this.#options));
      return;
    }
    const connection = this.#connections.get(number);
    if (connection === undefined) return;
    if (event.kind === "closed" && event.reason === TOO_MANY_OPEN) {
      return this.#leaveOut(number, connection, "too many others are open", true);
    }
    this.#change(connection, () => connection.tell(event));
    if (number === this.#turn) this.#print();
    this.#limit();
  }

  /** Changes a connection, and counts what it holds. */
  #change(connection: ExplainedConnection, change: () => void): void {
    const before = connection.held;
    change();
    this.#held += connection.held - before;
  }

  /** Prints the connection whose turn it is, and those behind it if it has ended. */
  #print(): void {
    for (;;) {
      const connection = this.#connections.get(this.#turn);
      if (connection === undefined) return;
      this.#change(connection, () => connection.print((text) => this.#printText(connection, text)));
      if (!connection.ended) return;
      this.#valid &&= connection.valid;
      this.#connections.delete(this.#turn++);
    }
  }

  /** Prints text of the connection whose turn it is, after an empty line if another one's messages precede it. */
  #printText({ isHttp }: ExplainedConnection, text: Uint8Array): void {
    const isNew = this.#printed?.number !== this.#turn;
    if (isNew && this.#printed !== undefined && (isHttp || this.#printed.isHttp)) this.#options.print(LINE_END);
    this.#printed = { number: this.#turn, isHttp };
    this.#options.print(text);
  }

  /** Leaves out connections, the last ones first, while too much is held. */
  #limit(): void {
    const { maxHeld = MAX_EXPLAINED_BYTES } = this.#options;
    if (this.#held <= maxHeld) return;
    for (const number of [...this.#connections.keys()].sort((a, b) => b - a)) {
      if (this.#held <= maxHeld) return;
      const connection = this.#connections.get(number)!;
      if (number === this.#turn) this.#leaveOut(number, connection, "it needs too much memory", false);
      else this.#leaveOut(number, connection, "too much waits for those before it", true);
    }
  }

  /**
   * Leaves out a connection, and those behind it if the file can be read again for them.
   *
   * @param isLater Whether there will be room for it then.
   */
  #leaveOut(number: number, connection: ExplainedConnection, why: string, isLater: boolean): void {
    if (!isLater || !this.#options.again) {
      this.#change(connection, () => connection.leaveOut(why));
      return this.#print();
    }
    this.#leftOut = number;
    for (const [other, { held }] of this.#connections) {
      if (other < number) continue;
      this.#connections.delete(other);
      this.#held -= held;
    }
  }
}
