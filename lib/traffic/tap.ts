/** Taps on listeners and connections: they report events in user space. With TLS, octets are the decrypted ones. */

import { addressText, socketAddress } from "../address.ts";
import { counted, type Listener, type Socket } from "../bytes.ts";
import type { Direction } from "../exchange.ts";
import type { End, EventCounter, Seen, TrafficEvent, TrafficListener } from "../traffic.ts";

/** Returns the monotonic time in microseconds since the program's start. */
export type Microseconds = () => number;

export const SINCE_START: Microseconds = (): number => Math.round(performance.now() * 1000);

/** Taps all connections of a listener, at the server's end. They are numbered from 1 in the order of acceptance. */
export function tappedListener(
  socket: Listener,
  listener: TrafficListener,
  now: Microseconds = SINCE_START,
): Listener {
  const { accept } = socket;
  let accepted = 0;
  return Object.assign(socket, {
    accept: async () => tapped(await accept.call(socket), "server", ++accepted, listener, now),
  });
}

/** Taps a connection at the end that this program holds: takes the place of the methods that read and write. */
export function tapped(
  conn: Socket,
  end: End,
  connection: number,
  listener: TrafficListener,
  now: Microseconds = SINCE_START,
): Socket {
  const { closeWrite, close, handshake } = conn;
  let isOpen = false;
  let isClosed = false;
  /** The ends that have closed their side, in order. */
  const fins: End[] = [];
  /** Why the connection is unusable, if it is. */
  let broken: string | undefined;
  /** Counts reads and writes once they are no longer reported. */
  let counter: EventCounter | undefined;

  const seen = (): Seen => ({ end, connection, time: now() });
  const opened = () => {
    if (isOpen) return;
    isOpen = true;
    const [local, remote] = [conn.localAddr, conn.remoteAddr].map(socketAddress);
    listener({ kind: "opened", ...seen(), local, remote, secure: handshake !== undefined });
  };
  const fin = (by: End) => {
    if (isClosed || broken !== undefined || fins.includes(by)) return;
    fins.push(by);
    listener({ kind: "fin", ...seen(), by });
  };
  const peerFin = () => fin(end === "server" ? "client" : "server");
  const breaks = (error: unknown, how: string) => {
    broken ??= error instanceof Deno.errors.ConnectionReset ? "reset" : how;
  };
  const failed = (error: unknown): never => {
    // Many peers end TLS with a FIN alone (RFC 8446 §6.1). A read ended by close() says nothing about the peer.
    if (error instanceof Deno.errors.UnexpectedEof) peerFin();
    else if (!isClosed) breaks(error, "broken");
    throw error;
  };
  const tappedMethod = (kind: "read" | "write") => {
    const method: (buffer: Uint8Array) => Promise<number | null> = conn[kind];
    let latest: Uint8Array;
    // This is made once, because reads and writes are frequent.
    const done = (count: number | null) => {
      if (count === null) peerFin();
      // A client that speaks plain HTTP where TLS is expected is answered, but that is no part of a TLS connection.
      if (!count || isClosed || broken !== undefined) return count;
      const bytes = latest.subarray(0, count);
      counter = listener({ kind, end, connection, time: now(), bytes }) ?? undefined;
      return count;
    };
    return (buffer: Uint8Array) => {
      const count = method.call(conn, buffer);
      latest = buffer;
      if (counter === undefined) return count.then(done, failed);
      counter.events++;
      return count;
    };
  };

  if (handshake === undefined) opened();
  return Object.assign(conn, {
    read: tappedMethod("read"),
    write: tappedMethod("write") as Deno.Conn["write"],
    closeWrite() {
      fin(end);
      return closeWrite.call(conn);
    },
    close(reason?: string) {
      if (!isClosed) {
        opened();
        if (broken === undefined) fin(end);
        isClosed = true;
        const isReset = broken === "reset";
        listener({ kind: "closed", ...seen(), reason: reason ?? broken ?? `by the ${fins[0]}`, isReset });
      }
      close.call(conn);
    },
    ...handshake && {
      handshake: () =>
        handshake.call(conn).then((info) => {
          opened();
          return info;
        }, (error) => {
          breaks(error, "no TLS handshake");
          throw error;
        }),
    },
  });
}

/** Combines listeners into one, ignoring what they return; `undefined` if there are none. */
export function allOf(listeners: readonly TrafficListener[]): TrafficListener | undefined {
  if (listeners.length < 2) return listeners[0];
  return (event) => {
    for (const listener of listeners) listener(event);
  };
}

/** Returns which way octets went, or a FIN, or what is missing. */
export function directionOf(event: Seen & ({ readonly kind: "read" | "write" } | { readonly by: End })): Direction {
  const isClient = "by" in event ? event.by === "client" : (event.kind === "write") === (event.end === "client");
  return isClient ? "request" : "response";
}

/** One line about an event, without the end that saw it. */
export function lifeLine(event: TrafficEvent): string {
  const { connection } = event;
  switch (event.kind) {
    case "opened": {
      const [client, server] = event.end === "client" ? [event.local, event.remote] : [event.remote, event.local];
      return `connection ${connection} opened by ${addressText(client)} to ${addressText(server)}`;
    }
    case "read":
    case "write":
      return `connection ${connection} ${event.kind} of ${counted(event.bytes.length, "octet")}`;
    case "fin":
      return `connection ${connection} FIN by the ${event.by}`;
    case "closed":
      return `connection ${connection} closed ${event.reason}`;
  }
}
