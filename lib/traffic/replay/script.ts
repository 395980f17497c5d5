/**
 * Turns a recording into a script: the client's steps in recorded order, and the pauses before them.
 *
 * @module
 */

import type { Opened, SocketAddress, TrafficEvent } from "../../traffic.ts";
import type { Missing } from "../capture/reader.ts";
import { CLOSED_BY_SERVER, Dialogue } from "./dialogue.ts";

/** An event of a recording. */
export type RecordedEvent = TrafficEvent | Omit<Missing, "origin">;

/** A step of the client. */
export type Step =
  & { readonly connection: number }
  & (
    | { readonly kind: "open"; readonly server: SocketAddress; readonly secure: boolean; readonly dialogue: Dialogue }
    /** `pause`: the microseconds since the last response that was complete, or the last write if that was later. */
    | { readonly kind: "send"; readonly octets: Uint8Array; readonly pause: number }
    | { readonly kind: "fin"; readonly pause: number }
    /** What the client sent next is not in the recording. */
    | { readonly kind: "gap" }
    /** The recording has no more of the connection. */
    | { readonly kind: "close" }
  );

/** Turns what was recorded into steps. It holds what is needed of connections that are open in the recording. */
export class Script {
  readonly #dialogues = new Map<number, Dialogue>();
  /** Connections of which not all requests are in the recording. */
  readonly #incomplete: ReadonlySet<number>;
  /** When the last response was complete or the last write was made, in the recording; at first there is none. */
  #cause = Infinity;

  constructor(incomplete: ReadonlySet<number> = new Set()) {
    this.#incomplete = incomplete;
  }

  /** Receives an event of the recording. Octets of the step are those of the event. */
  tell(event: RecordedEvent): Step | undefined {
    const { kind, connection } = event;
    if (kind === "opened") return this.#open(event);
    const dialogue = this.#dialogues.get(connection);
    if (dialogue === undefined) return undefined;
    switch (kind) {
      case "read":
      case "write":
        if ((kind === "read") === (event.end === "server")) return this.#send(connection, dialogue, event);
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
        // What was before the first start line is not part of what is replayed.
        if (event.why === "skipped") return undefined;
        dialogue.end("recorded", `${event.octets} octets of the ${event.by} are missing in it`);
        return event.by === "client" ? { kind: "gap", connection } : undefined;
      case "closed":
        this.#dialogues.delete(connection);
        dialogue.end("recorded", `the connection ${event.reason === "reset" ? "was reset" : `ended ${event.reason}`}`);
        return { kind: "close", connection };
    }
  }

  /** Ends the recording. Returns the last step of each connection that is open. */
  *end(): Generator<Step> {
    for (const [connection, dialogue] of this.#dialogues) {
      dialogue.end("recorded", "the recording ends");
      yield { kind: "close", connection };
    }
    this.#dialogues.clear();
  }

  #open({ connection, end, local, remote, secure }: Opened): Step {
    const dialogue = new Dialogue(this.#incomplete.has(connection));
    this.#dialogues.set(connection, dialogue);
    return { kind: "open", connection, dialogue, server: end === "server" ? local : remote, secure };
  }

  #send(connection: number, dialogue: Dialogue, { time, bytes }: TrafficEvent & { bytes: Uint8Array }): Step {
    const pause = Math.max(0, time - this.#cause);
    this.#cause = time;
    dialogue.sent(bytes);
    return { kind: "send", connection, octets: bytes, pause };
  }
}
