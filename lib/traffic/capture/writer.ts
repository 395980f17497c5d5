/**
 * A capture of what a tap tells: the packets that a network would have carried, and what each of them is.
 *
 * Data packets are reads and writes as they were. What only the kernel sees, as the handshake and acknowledgments, is
 * made up, so that Wireshark understands the rest, and says so.
 *
 * @module
 */

import { withoutMapping } from "../../address.ts";
import { counted } from "../../bytes.ts";
import type { End, SocketAddress, TrafficEvent } from "../../traffic.ts";
import { ACK, FIN, MAX_SEGMENT_OCTETS, packetLength, PSH, RST, SYN, writePacket } from "./packets.ts";
import { packetBlock } from "./pcapng.ts";

/** Receives the block of a packet. */
export type BlockTaker = (block: Uint8Array) => void;

const NO_OCTETS: Uint8Array = new Uint8Array(0);
const MADE_UP = "made up: only the kernel sees it";

/** One connection as packets show it. */
interface Recorded {
  readonly from: number;
  readonly client: SocketAddress;
  readonly server: SocketAddress;
  /** The next sequence number of each end. */
  readonly next: Record<End, number>;
  reads: number;
  writes: number;
}

/** Turns events into the blocks of a pcapng file. */
export class Capture {
  readonly #take: BlockTaker;
  /** The ends whose connections have interfaces of their own, in order. */
  readonly #interfaces: readonly string[];
  /** The microseconds from 1970 to the program's start. */
  readonly #origin: number;
  readonly #connections = new Map<string, Recorded>();

  /** Gives blocks to the taker, with an interface for each end if they are named. */
  constructor(
    take: BlockTaker,
    interfaces?: Readonly<Record<End, string>>,
    origin: number = performance.timeOrigin * 1000,
  ) {
    this.#take = take;
    this.#interfaces = Object.keys(interfaces ?? {});
    this.#origin = origin;
  }

  /** Receives what happens on a connection. */
  tell(event: TrafficEvent): void {
    const key = `${event.end} ${event.connection}`;
    if (event.kind === "opened") this.#open(key, event);
    const connection = this.#connections.get(key);
    if (connection === undefined) return;
    const other = otherEnd(event.end);
    switch (event.kind) {
      case "read":
        return this.#data(event.time, connection, other, event.bytes, `read ${++connection.reads}`);
      case "write":
        return this.#data(event.time, connection, event.end, event.bytes, `write ${++connection.writes}`);
      case "fin":
        this.#packet(event.time, connection, event.by, FIN | ACK, `FIN by the ${event.by}`);
        return this.#packet(event.time, connection, otherEnd(event.by), ACK, MADE_UP);
      case "closed":
        if (event.reason === "reset") this.#packet(event.time, connection, other, RST | ACK, `reset by the ${other}`);
        this.#connections.delete(key);
    }
  }

  #open(key: string, { time, end, local, remote, secure }: TrafficEvent & { kind: "opened" }): void {
    const [client, server] = (end === "client" ? [local, remote] : [remote, local]).map(withoutMapping);
    const first = initialSequence(time);
    const from = Math.max(0, this.#interfaces.indexOf(end));
    const connection = { from, client, server, next: { client: first, server: first }, reads: 0, writes: 0 };
    this.#connections.set(key, connection);
    const hop = end === "client" && this.#interfaces.length > 1 ? "; from a relay to its server" : "";
    const what = `${MADE_UP}${hop}${secure ? "; what follows was encrypted by TLS" : ""}`;
    this.#packet(time, connection, "client", SYN, what);
    this.#packet(time, connection, "server", SYN | ACK, MADE_UP);
    this.#packet(time, connection, "client", ACK, MADE_UP);
  }

  /** A read or a write, in as many packets as it takes, and their acknowledgment. */
  #data(time: number, connection: Recorded, from: End, octets: Uint8Array, what: string): void {
    for (let at = 0; at < octets.length; at += MAX_SEGMENT_OCTETS) {
      const part = octets.subarray(at, at + MAX_SEGMENT_OCTETS);
      const more = octets.length > MAX_SEGMENT_OCTETS ? `, from octet ${at} on` : "";
      this.#packet(time, connection, from, PSH | ACK, `${what}: ${counted(octets.length, "octet")}${more}`, part);
    }
    this.#packet(time, connection, otherEnd(from), ACK, MADE_UP);
  }

  /** Counts a packet whether there is room for it or not: what is left out shows as a gap in sequence numbers. */
  #packet(time: number, connection: Recorded, by: End, flags: number, comment: string, octets = NO_OCTETS): void {
    const { from: number, client, server, next } = connection;
    const [from, to] = by === "client" ? [client, server] : [server, client];
    const acknowledged = (flags & ACK) === 0 ? 0 : next[otherEnd(by)];
    const header = { from, to, sequence: next[by], acknowledged, flags };
    next[by] = (next[by] + octets.length + ((flags & (SYN | FIN)) === 0 ? 0 : 1)) % 2 ** 32;
    const length = packetLength(header, octets.length);
    const write = (packet: Uint8Array) => writePacket(packet, header, octets);
    this.#take(packetBlock(this.#origin + time, length, comment, write, number));
  }
}

/**
 * Returns the first sequence number of a connection, which a clock with a tick of 4 µs gives (RFC 9293 §3.4.1): a later
 * connection between the same ports would else look like a repetition of this one.
 */
function initialSequence(time: number): number {
  return Math.floor(time / 4) % 2 ** 32;
}

function otherEnd(end: End): End {
  return end === "client" ? "server" : "client";
}
