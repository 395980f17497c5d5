/**
 * Finds the connections of a recording that carry HTTP, and their servers.
 *
 * @module
 */

import { octetString } from "../../bytes.ts";
import { MAX_REPLAYED_CONNECTIONS, MAX_SEARCHED_LINE_BYTES } from "../../limits.ts";
import type { SocketAddress } from "../../traffic.ts";
import type { Direction } from "../../exchange.ts";
import { beginsAsHttp } from "../capture/http_begin.ts";
import type { RecordedEvent } from "./script.ts";

/** The server of a connection that carries HTTP. */
export interface RecordedServer {
  /** Its address in the recording. */
  readonly address: SocketAddress;
  /** Whether the recorded program spoke TLS with it. */
  readonly secure: boolean;
}

/** The first octets of both sides, while it is not known what they carry. */
interface Undecided extends RecordedServer {
  /** `undefined` once they are known not to begin a message. */
  readonly starts: Record<Direction, string | undefined>;
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
      const address = end === "server" ? local : remote;
      this.#undecided.set(connection, { address, secure, starts: { request: "", response: "" } });
      return;
    }
    const undecided = this.#undecided.get(connection);
    if (undecided === undefined) return;
    if (kind === "closed") return this.#isOther(connection, undecided);
    if (kind !== "read" && kind !== "write") return;
    const { starts } = undecided;
    const direction = (kind === "read") === (event.end === "server") ? "request" : "response";
    const start = starts[direction];
    if (start === undefined) return;
    const text = start + octetString(event.bytes, 0, Math.min(event.bytes.length, MAX_SEARCHED_LINE_BYTES + 1));
    const isHttp = beginsAsHttp(text, direction);
    starts[direction] = isHttp === undefined ? text : undefined;
    if (!isHttp) return;
    this.#undecided.delete(connection);
    this.servers.set(connection, { address: undecided.address, secure: undecided.secure });
  }

  /** Ends the recording. */
  end(): void {
    for (const [connection, undecided] of this.#undecided) this.#isOther(connection, undecided);
  }

  #isOther(connection: number, { starts }: Undecided): void {
    this.#undecided.delete(connection);
    const hasOctets = starts.request !== "" || starts.response !== "";
    if (hasOctets && this.others.length < MAX_REPLAYED_CONNECTIONS) this.others.push(connection);
  }
}
