/**
 * Looks through a recording before it is replayed: which connections carry HTTP, and which servers they went to.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import { MAX_REPLAYED_CONNECTIONS } from "../limits.ts";
import type { SocketAddress } from "../traffic.ts";
import type { RecordedEvent } from "./replay_script.ts";

/** The server of a connection that carries HTTP. */
export interface RecordedServer {
  /** Its address in the recording. */
  readonly address: SocketAddress;
  /** Whether the recorded program spoke TLS with it. */
  readonly secure: boolean;
}

/** The first octets of both sides, while it is not known what they carry. */
interface Undecided extends RecordedServer {
  readonly starts: { client: string; server: string };
}

/** Octets of each side that tell HTTP from other protocols. */
const START_OCTETS = 32;
/** The beginning of a request line: a method, a blank, and a target (RFC 9112 §3). */
const REQUEST_START = /^(?:\r\n)?[!#$%&'*+.^_`|~\w-]+ [!-~]/;
/** The beginning of a status line (RFC 9112 §4). */
const STATUS_START = "HTTP/";

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
      const address = end === "server" ? local : remote;
      this.#undecided.set(connection, { address, secure, starts: { client: "", server: "" } });
      return;
    }
    const undecided = this.#undecided.get(connection);
    if (undecided === undefined) return;
    if (kind === "closed") return this.#decide(connection, undecided);
    if (kind !== "read" && kind !== "write") return;
    const { starts } = undecided;
    const by = (kind === "read") === (event.end === "server") ? "client" : "server";
    starts[by] += octetString(event.bytes, 0, Math.min(event.bytes.length, START_OCTETS - starts[by].length));
    // What the server says decides: it answers a broken request, too.
    if (starts.server.length >= STATUS_START.length) this.#decide(connection, undecided);
  }

  /** Ends the recording. */
  end(): void {
    for (const [connection, undecided] of this.#undecided) this.#decide(connection, undecided);
  }

  #decide(connection: number, { address, secure, starts }: Undecided): void {
    this.#undecided.delete(connection);
    const isHttp = starts.server === "" ? REQUEST_START.test(starts.client) : starts.server.startsWith(STATUS_START);
    if (!isHttp) {
      const hasOctets = starts.client !== "" || starts.server !== "";
      if (hasOctets && this.others.length < MAX_REPLAYED_CONNECTIONS) this.others.push(connection);
      return;
    }
    if (this.servers.size === MAX_REPLAYED_CONNECTIONS) {
      throw new RangeError(
        `The recording has more than ${MAX_REPLAYED_CONNECTIONS} connections: --connection picks one`,
      );
    }
    this.servers.set(connection, { address, secure });
  }
}
