/** Explains captures: each connection, in the order of its first packet, with its exchanges. */

import { ByteBuffer, NO_BYTES, octetString } from "../../bytes.ts";
import { LF } from "../../http_message.ts";
import { MAX_EXPLAINED_BYTES } from "../../limits.ts";
import { type CaptureTextOptions, ExplainedConnection } from "./explained_connection.ts";
import { type Acknowledged, type CaptureEvent, CaptureReader, type OpenedInCapture } from "./reader.ts";

export interface CaptureExplainerOptions extends Omit<CaptureTextOptions, "json"> {
  readonly isJson?: boolean;
  /** Receives the text, connection by connection. */
  readonly print: (text: string) => void;
  readonly connection?: number;
  /** The first connection to explain. */
  readonly from?: number;
  /** Whether the file can be read again for connections that are left out; else they are only named. */
  readonly again?: boolean;
  readonly maxHeld?: number;
  /** What the pass before has printed last. */
  readonly printed?: Explained["printed"];
}

export interface Explained {
  readonly valid: boolean;
  /** The first connection that is left out: the file has to be read again from there. */
  readonly leftOut: number | undefined;
  /** The connection that was printed last. */
  readonly printed?: { readonly number: number; readonly isHttp?: boolean };
  /** One line on each thing that was not read. */
  readonly notes: readonly string[];
}

/** A waiting connection is explained after so many octets of one direction in a row: as text they take less memory. */
const LONG_OCTETS = 8 * 1024;
/** The overhead in memory of a connection that waits. */
const CONNECTION_BYTES = 650;

/** A connection that waits for its turn, as events, or as text once these are long; then it is explained at once. */
class WaitingConnection {
  /** The connection, once it is explained; another one once it is opened again after a reset. */
  explained: ExplainedConnection | undefined;
  /** Whether what was explained before it was opened again is valid. */
  valid = true;
  #isTurn = false;
  #isLeftOut = false;
  /** Events that came while it waits, each as JSON and its octets: as objects, or explained, they would take more. */
  #events = new ByteBuffer(0);
  /** How many octets have come in a row in the last direction. */
  #inRow = 0;
  #lastKind = "";
  /** Text in UTF-8: much of it as strings would slow the garbage collector. */
  #text: ByteBuffer | undefined;
  /** The value of `held` when it was last counted. */
  counted = 0;

  constructor(
    /** How it was opened, and how it was opened again. */
    private readonly opened: (CaptureEvent & OpenedInCapture)[],
    private readonly options: CaptureTextOptions,
    private readonly print: (text: string, isHttp: boolean | undefined) => void,
  ) {}

  get held(): number {
    return CONNECTION_BYTES + this.#events.length + (this.#text?.length ?? 0) + (this.explained?.held ?? 0);
  }

  receive(event: CaptureEvent | Acknowledged): void {
    if (this.#isLeftOut) return;
    if (event.kind === "opened") this.opened.push(event);
    const isLong = this.#inRow > LONG_OCTETS;
    if ("bytes" in event) {
      this.#inRow = event.bytes.length + (event.kind === this.#lastKind ? this.#inRow : 0);
      this.#lastKind = event.kind;
    }
    if (!this.#isTurn && !isLong) return this.#keep(event);
    this.#explainKept();
    this.#explain(event);
  }

  takeTurn(): void {
    this.#isTurn = true;
    if (this.#text !== undefined) this.print(new TextDecoder().decode(this.#text.view()), this.explained!.isHttp);
    this.#text = undefined;
    this.#explainKept();
  }

  end(): void {
    this.explained!.end();
    this.#tell();
  }

  /** Ends the connection before its end. Text that was not printed is left out too, unless it follows other text. */
  leaveOut(why: string): void {
    this.#isLeftOut = true;
    this.#events.clear(0);
    this.#text = undefined;
    this.#open();
    this.explained!.leaveOut(why, this.#isTurn);
    this.#tell();
  }

  #open(): void {
    const opened = this.opened.shift();
    if (opened === undefined) return;
    this.valid &&= this.explained?.valid ?? true;
    this.explained = new ExplainedConnection(opened, this.options);
  }

  #keep(event: CaptureEvent | Acknowledged): void {
    const octets = "bytes" in event ? event.bytes : NO_BYTES;
    const line = `${JSON.stringify({ ...event, bytes: undefined, length: octets.length })}\n`;
    this.#events.appendText(line, line.length);
    this.#events.append(octets);
  }

  #explainKept(): void {
    const events = this.#events.view();
    this.#events = new ByteBuffer(0);
    if (this.explained === undefined) this.#open();
    for (let at = 0; at < events.length;) {
      const from = events.indexOf(LF, at) + 1;
      const event = JSON.parse(octetString(events, at, from));
      at = from + event.length;
      if (event.length > 0) event.bytes = events.subarray(from, at);
      this.#explain(event);
    }
  }

  #explain(event: CaptureEvent | Acknowledged): void {
    if (event.kind === "opened") this.#open();
    else this.explained!.receive(event);
    this.#tell();
  }

  #tell(): void {
    const text = this.explained!.take();
    if (text === "") return;
    if (this.#isTurn) this.print(text, this.explained!.isHttp);
    else (this.#text ??= new ByteBuffer(0)).appendText(text);
  }
}

export class CaptureExplainer {
  readonly #layout: CaptureTextOptions;
  readonly reader: CaptureReader;
  /** Connections that are not printed whole, by number. */
  readonly #connections = new Map<number, WaitingConnection>();
  /** The connection that is printed; those after it wait. */
  #turn: number;
  /** Connections with HTTP that ended with a reset. */
  readonly #resets = new Set<number>();
  #printed: Explained["printed"];
  #held = 0;
  #valid = true;
  #leftOut: number | undefined;

  constructor(private readonly options: CaptureExplainerOptions) {
    this.#layout = { ...options, json: options.isJson ? () => this.reader.start : undefined };
    const { connection, from = 1, printed } = options;
    this.#printed = printed;
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
      connection.takeTurn();
      connection.end();
      this.#advance(number);
    }
    const late = this.reader.notesAfterResets(this.#resets);
    const valid = this.#valid && late.length === 0;
    return { valid, leftOut: this.#leftOut, printed: this.#printed, notes: [...notes, ...late] };
  }

  #receiveEvent(event: CaptureEvent | Acknowledged): void {
    const number = event.connection;
    if (number >= (this.#leftOut ?? Infinity)) return;
    let connection = this.#connections.get(number);
    if (connection !== undefined) connection.receive(event);
    else {
      // A connection that is left out has no `opened`.
      if (event.kind !== "opened") return;
      const print = (text: string, isHttp: boolean | undefined) => this.#print(number, isHttp, text);
      connection = new WaitingConnection([event], this.#layout, print);
      this.#connections.set(number, connection);
    }
    // One that is opened again after its turn does not wait.
    if (number <= this.#turn) this.#advance(number);
    else this.#count(connection);
    this.#limit();
  }

  #count(connection: WaitingConnection, held = connection.held): void {
    this.#held += held - connection.counted;
    connection.counted = held;
  }

  #inOrder(): [number: number, connection: WaitingConnection][] {
    return [...this.#connections].toSorted(([a], [b]) => a - b);
  }

  /** Explains a connection whose turn it is, and those after it if it has ended. */
  #advance(number = this.#turn): void {
    for (let one = this.#connections.get(number); one !== undefined; one = this.#connections.get(number)) {
      one.takeTurn();
      const { ended, valid, isHttp, isReset } = one.explained!;
      if (!ended) return this.#count(one);
      this.#count(one, 0);
      this.#valid &&= one.valid && valid;
      if (isHttp && isReset) this.#resets.add(number);
      this.#connections.delete(number);
      if (number === this.#turn) this.#turn++;
      number = this.#turn;
    }
  }

  /** Prints text of a connection, after an empty line if another one's messages precede it. */
  #print(number: number, isHttp: boolean | undefined, text: string): void {
    const isNew = this.#printed?.number !== number && !this.options.isJson;
    if (isNew && this.#printed !== undefined && (isHttp || this.#printed.isHttp)) this.options.print("\n");
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
    this.#advance();
  }
}
