/**
 * Turns a recording into a script: finds the connections that carry HTTP, then the client's steps in recorded order, and
 * the pauses before them.
 */

import { Beginning, type Direction } from "../../exchange.ts";
import { MAX_REPLAYED_CONNECTIONS } from "../../limits.ts";
import type { Octets, Opened, SocketAddress, TrafficEvent } from "../../traffic.ts";
import type { Missing, OpenedInCapture } from "../capture/reader.ts";
import { CLOSED_BY_SERVER, Dialogue } from "./dialogue.ts";

export type RecordedEvent = TrafficEvent | Omit<Missing, "origin">;

/** The server of a connection that carries HTTP. */
interface RecordedServer {
  readonly address: SocketAddress;
  /** Whether the recorded program spoke TLS with it. */
  readonly secure: boolean;
}

function serverOf({ end, local, remote, secure }: Opened): RecordedServer {
  return { address: end === "server" ? local : remote, secure };
}

/** The direction of octets, whichever end has recorded them. */
function directionOf({ kind, end }: Octets): Direction {
  return (kind === "read") === (end === "server") ? "request" : "response";
}

/** Finds the connections of a recording that carry HTTP. */
export class Survey {
  /** The servers of the connections that carry HTTP, by number. */
  readonly servers = new Map<number, RecordedServer>();
  /** Connections of which not all requests are in the recording. */
  readonly incomplete = new Set<number>();
  /** The numbers of connections that carry other octets. */
  readonly others: number[] = [];
  /** Those whose first octets do not show yet what they carry. */
  readonly #undecided = new Map<number, RecordedServer & { readonly beginning: Beginning }>();

  receive(event: RecordedEvent): void {
    const { kind, connection } = event;
    if (kind === "opened") {
      const { startCaptured = true, relayed } = event as Partial<OpenedInCapture>;
      // What a relay passed on comes again from the relay that the client's octets are sent to, or needs none.
      if (relayed) return;
      if (!startCaptured) this.incomplete.add(connection);
      this.#undecided.set(connection, { ...serverOf(event), beginning: new Beginning() });
      return;
    }
    if (kind === "missing" && event.by === "client") this.incomplete.add(connection);
    const undecided = this.#undecided.get(connection);
    if (undecided === undefined) return;
    if (kind === "closed") return this.#decide(connection);
    if (kind !== "read" && kind !== "write") return;
    const { beginning } = undecided;
    beginning.receive(directionOf(event), event.bytes);
    if (beginning.isHttp) this.#decide(connection);
  }

  /** Decides on the connections that are open at the end of the recording. */
  finish(): void {
    for (const connection of this.#undecided.keys()) this.#decide(connection);
  }

  #decide(connection: number): void {
    const { address, secure, beginning } = this.#undecided.get(connection)!;
    this.#undecided.delete(connection);
    beginning.end();
    if (beginning.isHttp) this.servers.set(connection, { address, secure });
    const hasOctets = beginning.octets.request + beginning.octets.response > 0;
    if (!beginning.isHttp && hasOctets && this.others.length < MAX_REPLAYED_CONNECTIONS) this.others.push(connection);
  }
}

export type Step =
  & { readonly connection: number }
  & (
    | { readonly kind: "open"; readonly server: RecordedServer; readonly dialogue: Dialogue }
    /** `pause`: the microseconds since the last response that was complete, or the last write if that was later. */
    | { readonly kind: "send"; readonly octets: Uint8Array; readonly pause: number }
    | { readonly kind: "fin"; readonly pause: number }
    /** Octets that the client sent next are not in the recording. */
    | { readonly kind: "gap" }
    /** The recording has no more of the connection. */
    | { readonly kind: "close" }
  );

/** Turns a recording into steps. Memory grows only with the connections that are open in it. */
export class Script {
  readonly #dialogues = new Map<number, Dialogue>();
  /** Connections of which not all requests are in the recording. */
  readonly #incomplete: ReadonlySet<number>;
  /** When the last response was complete or the last write was made, in the recording; at first there is none. */
  #cause = Infinity;

  constructor(incomplete: ReadonlySet<number> = new Set()) {
    this.#incomplete = incomplete;
  }

  /** Returns the step for an event of the recording, if there is one. It shares the event's octets. */
  step(event: RecordedEvent): Step | undefined {
    const { kind, connection } = event;
    if (kind === "opened") return this.#open(event);
    const dialogue = this.#dialogues.get(connection);
    if (dialogue === undefined) return undefined;
    switch (kind) {
      case "read":
      case "write":
        if (directionOf(event) === "request") return this.#send(connection, dialogue, event);
        if (dialogue.received("recorded", event.bytes)) this.#cause = event.time;
        return undefined;
      case "fin":
        if (event.by === "client") {
          const pause = dialogue.unanswered ? Math.max(0, event.time - this.#cause) : 0;
          return { kind: "fin", connection, pause };
        }
        if (dialogue.end("recorded", CLOSED_BY_SERVER)) this.#cause = event.time;
        return undefined;
      case "missing":
        // Octets before the first start line are not replayed.
        if (event.why === "skipped") return undefined;
        dialogue.end("recorded", `${event.octets} octets of the ${event.by} are missing in it`);
        return event.by === "client" ? { kind: "gap", connection } : undefined;
      case "closed":
        this.#dialogues.delete(connection);
        dialogue.end("recorded", `the connection ${event.reason === "reset" ? "was reset" : `ended ${event.reason}`}`);
        return { kind: "close", connection };
    }
  }

  /** Returns the last step of each connection that is open at the end of the recording. */
  *rest(): Generator<Step> {
    for (const [connection, dialogue] of this.#dialogues) {
      dialogue.end("recorded", "the recording ends");
      yield { kind: "close", connection };
    }
    this.#dialogues.clear();
  }

  #open(event: Opened): Step {
    const { connection } = event;
    const dialogue = new Dialogue(this.#incomplete.has(connection));
    this.#dialogues.set(connection, dialogue);
    return { kind: "open", connection, dialogue, server: serverOf(event) };
  }

  #send(connection: number, dialogue: Dialogue, { time, bytes }: TrafficEvent & { bytes: Uint8Array }): Step {
    const pause = Math.max(0, time - this.#cause);
    this.#cause = time;
    dialogue.sent(bytes);
    return { kind: "send", connection, octets: bytes, pause };
  }
}
