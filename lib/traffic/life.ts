/**
 * The life of a connection in lines: opened, read, written to, ended, as the tap tells it.
 *
 * @module
 */

import { addressText } from "../address.ts";
import type { TrafficEvent } from "../traffic.ts";
import { counted } from "../bytes.ts";

/** One line about an event, without its end. */
export function lifeLine(event: TrafficEvent): string {
  const { connection } = event;
  switch (event.kind) {
    case "opened": {
      const [client, server] = inOrder(event);
      return `connection ${connection} opened by ${client} to ${server}`;
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

/** The client's address and the server's. */
function inOrder({ end, local, remote }: TrafficEvent & { kind: "opened" }): [client: string, server: string] {
  return end === "client" ? [addressText(local), addressText(remote)] : [addressText(remote), addressText(local)];
}
