/**
 * Finds the connections of a recording that carry HTTP, and their servers.
 *
 * @module
 */

import { Beginning } from "../../exchange.ts";
import { MAX_REPLAYED_CONNECTIONS } from "../../limits.ts";
import type { SocketAddress } from "../../traffic.ts";
import type { RecordedEvent } from "./script.ts";

/** The server of a connection that carries HTTP. */
export interface RecordedServer {
  /** Its address in the recording. */
  readonly address: SocketAddress;
  /** Whether the recorded program spoke TLS with it. */
  readonly secure: boolean;
}

/** A connection whose first octets do not tell what it carries. */
interface Undecided extends RecordedServer {
  readonly beginning: Beginning;
}

/** Finds the connections of a recording that carry HTTP. */
export class Survey {
  /** The servers of the connections that carry HTTP, by number. */
  readonly servers = new Map<number, RecordedServer>();
  /** The numbers of connections that carry other octets. */
  readonly others: number[] = [];
  readonly #undecided = new Map<number, Undecided>();

  /** Receives what was recorded. */
  tell(event: RecordedEvent): void {
    const { kind, connection } = event;
    if (kind === "opened") {
      const { end, local, remote, secure } = event;
      // What a relay passed on comes again from the relay that the client's octets are sent to, or needs none.
      if ("relayed" in event && event.relayed) return;
      const address = end === "server" ? local : remote;
      this.#undecided.set(connection, { address, secure, beginning: new Beginning() });
      return;
    }
    const undecided = this.#undecided.get(connection);
    if (undecided === undefined) return;
    if (kind === "closed") return this.#isOther(connection, undecided);
    if (kind !== "read" && kind !== "write") return;
    const { address, secure, beginning } = undecided;
    beginning.receive((kind === "read") === (event.end === "server") ? "request" : "response", event.bytes);
    if (!beginning.isHttp) return;
    this.#undecided.delete(connection);
    this.servers.set(connection, { address, secure });
  }

  /** Ends the recording. */
  end(): void {
    for (const [connection, undecided] of this.#undecided) this.#isOther(connection, undecided);
  }

  #isOther(connection: number, { beginning: { octets } }: Undecided): void {
    this.#undecided.delete(connection);
    const hasOctets = octets.request + octets.response > 0;
    if (hasOctets && this.others.length < MAX_REPLAYED_CONNECTIONS) this.others.push(connection);
  }
}
