/**
 * Finds text in the messages that are kept.
 *
 * @module
 */

import { octetString } from "../../bytes.ts";
import { credentialsIn, credentialsWithin } from "../../masking.ts";
import { FAIR_TURNS } from "../../turns.ts";
import type { History, ToldExchange, ToldMessage } from "./history.ts";

/** The octets that went one way on a connection, as far as they are kept, one character each. */
interface Kept {
  readonly from: number;
  text: string;
}

/**
 * Returns the exchanges with a text in their octets, each as its connection's number and its own, such as `2 14`.
 *
 * @param text The text; upper and lower case are alike in ASCII.
 * @param showCredentials Whether it is looked for in credentials, too.
 */
export async function findText(history: History, text: string, showCredentials: boolean): Promise<string[]> {
  const wanted = octetString(new TextEncoder().encode(text)).toLowerCase();
  const kept = new Map<string, Kept>();
  const exchanges = new Map<string, { readonly connection: number; readonly exchange: ToldExchange }>();
  for (let number = history.first; number <= history.last; number++) {
    const { told, bytes } = history.at(number)!;
    const { connection, direction, from } = told;
    if (bytes !== undefined) {
      const key = `${connection} ${direction}`;
      const way = kept.get(key) ?? { from: from!, text: "" };
      way.text += octetString(bytes);
      kept.set(key, way);
    }
    for (const exchange of told.exchanges ?? []) {
      exchanges.set(`${connection} ${exchange.number}`, { connection, exchange });
    }
  }
  const has = (way: Kept | undefined, { from, to }: ToldMessage) => {
    const octets = way?.text.substring(from - way.from, to - way.from) ?? "";
    const lower = octets.toLowerCase();
    let hidden: ReturnType<typeof credentialsIn> | undefined;
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) {
      if (showCredentials) return true;
      // What begins or ends in a credential would tell something of it.
      hidden ??= credentialsIn(octets);
      if (credentialsWithin(hidden, at, at + wanted.length).length === 0) return true;
    }
    return false;
  };
  const places: string[] = [];
  for (const [place, { connection, exchange: { request, responses } }] of exchanges) {
    const isFound = request !== undefined && has(kept.get(`${connection} request`), request) ||
      responses.some((response) => has(kept.get(`${connection} response`), response));
    if (isFound) places.push(place);
    await FAIR_TURNS.yieldIfBusy();
  }
  return places;
}
