/** Recorded events in short. */

import type { End } from "../../lib/traffic.ts";
import type { CaptureEvent, TcpFacts } from "../../lib/traffic/capture/reader.ts";
import { wireOctets } from "../wire_cases.ts";

const CLIENT = { hostname: "127.0.0.1", port: 50_000 };
const SERVER = { hostname: "127.0.0.1", port: 9999 };
const TCP: TcpFacts = {
  handshake: [],
  client: { repeated: 0, late: 0 },
  server: { repeated: 0, late: 0 },
  mayLackResponses: false,
};
export const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/**
 * A connection's number, a time in microseconds, and what happened: `open`, `> ` octets of the client, `< ` octets of the
 * server, octets of the client, `FIN client`, `closed`, `lost client` or `skipped client` for octets that are not there.
 */
export type Happening = [connection: number, time: number, what: string | Uint8Array];

export function eventOf([connection, time, happening]: Happening, server = SERVER): CaptureEvent {
  const seen = { end: "server", connection, time, origin: { packet: 0 } } as const;
  if (typeof happening !== "string") return { ...seen, kind: "read", bytes: happening };
  if (happening === "open") {
    const opened = { stream: undefined, tcp: TCP, startCaptured: true };
    return { ...seen, ...opened, kind: "opened", local: server, remote: CLIENT, secure: false };
  }
  if (happening === "closed") return { ...seen, kind: "closed", reason: "by the client", isReset: false };
  if (happening.startsWith("FIN ")) return { ...seen, kind: "fin", by: happening.slice(4) as End };
  const [, why, by] = /^(lost|skipped) (\w+)$/.exec(happening) ?? [];
  if (why !== undefined) {
    return { ...seen, kind: "missing", by: by as End, octets: 5, why: why === "lost" ? "not captured" : "skipped" };
  }
  return { ...seen, kind: happening[0] === ">" ? "read" : "write", bytes: wireOctets(happening.slice(2)) };
}
