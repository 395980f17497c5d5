/**
 * Finds the connections of a recording that carry HTTP, and their servers.
 *
 * @module
 */

import { Beginning } from "../../exchange.ts";
import { MAX_REPLAYED_CONNECTIONS } from "../../limits.ts";
import type { SocketAddress } from "../../traffic.ts";
import type { OpenedInCapture } from "../capture/reader.ts";
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
  /** Connections of which not all requests are in the recording. */
  readonly incomplete = new Set<number>();
  /** The numbers of connections that carry other octets. */
  readonly others: number[] = [];
  readonly #undecided = new Map<number, Undecided>();

  /** Receives what was recorded. */
  tell(event: RecordedEvent): void {
    const { kind, connection } = event;
    if (kind === "opened") {
      const { end, local, remote, secure, startCaptured = true, relayed } = event as
        & Partial<OpenedInCapture>
        & typeof event;
      // What a relay passed on comes again from the relay that the client's octets are sent to, or needs none.
      if (relayed) return;
      if (!startCaptured) this.incomplete.add(connection);
      const address = end === "server" ? local : remote;
      this.#undecided.set(connection, { address, secure, beginning: new Beginning() });
      return;
    }
    if (kind === "missing" && event.by === "client") this.incomplete.add(connection);
    const undecided = this.#undecided.get(connection);
    if (undecided === undefined) return;
    if (kind === "closed") return this.#end(connection, undecided);
    if (kind !== "read" && kind !== "write") return;
    const { beginning } = undecided;
    beginning.receive((kind === "read") === (event.end === "server") ? "request" : "response", event.bytes);
    if (beginning.isHttp) this.#end(connection, undecided);
  }

  /** Ends the recording. */
  end(): void {
    for (const [connection, undecided] of this.#undecided) this.#end(connection, undecided);
  }

  #end(connection: number, { address, secure, beginning }: Undecided): void {
    this.#undecided.delete(connection);
    beginning.end();
    if (beginning.isHttp) this.servers.set(connection, { address, secure });
    const hasOctets = beginning.octets.request + beginning.octets.response > 0;
    if (!beginning.isHttp && hasOctets && this.others.length < MAX_REPLAYED_CONNECTIONS) this.others.push(connection);
  }
}
