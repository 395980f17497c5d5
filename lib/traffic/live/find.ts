/**
 * Finds text in the messages that are kept.
 *
 * @module
 */

import { octetString } from "../../bytes.ts";
import { credentialsIn, credentialsWithin } from "../../masking.ts";
import { FAIR_TURNS } from "../../turns.ts";
import type { History } from "./history.ts";
import type { ToldExchange, ToldMessage } from "./told.ts";

/**
 * Returns the exchanges with a text in their octets, each as its connection's number and its own, such as `2 14`.
 *
 * @param text Upper and lower case are alike in ASCII.
 * @param showCredentials Whether it is looked for in credentials, too.
 */
export async function findText(history: History, text: string, showCredentials: boolean): Promise<string[]> {
  const wanted = octetString(new TextEncoder().encode(text)).toLowerCase();
  /** The octets that went each way on each connection, as far as they are kept, one character each. */
  const kept: Record<string, { readonly from: number; text: string }> = {};
  const exchanges = new Map<string, { readonly connection: number; readonly exchange: ToldExchange }>();
  for (const { told: { connection, direction, from, exchanges: changed = [] }, bytes } of history.entries()) {
    if (bytes !== undefined) {
      const way = kept[`${connection} ${direction}`] ??= { from: from!, text: "" };
      way.text += octetString(bytes);
    }
    for (const exchange of changed) exchanges.set(`${connection} ${exchange.number}`, { connection, exchange });
  }
  const has = (way: string, message: ToldMessage | undefined) => {
    if (message === undefined || kept[way] === undefined) return false;
    const octets = kept[way].text.substring(message.from - kept[way].from, message.to - kept[way].from);
    return hasText(octets, wanted, showCredentials);
  };
  const places: string[] = [];
  for (const [place, { connection, exchange: { request, responses } }] of exchanges) {
    const isFound = has(`${connection} request`, request) ||
      responses.some((response) => has(`${connection} response`, response));
    if (isFound) places.push(place);
    await FAIR_TURNS.yieldIfBusy();
  }
  return places;
}

function hasText(octets: string, wanted: string, showCredentials: boolean): boolean {
  const lower = octets.toLowerCase();
  let hidden: ReturnType<typeof credentialsIn> | undefined;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) {
    if (showCredentials) return true;
    // What begins or ends in a credential would tell something of it.
    hidden ??= credentialsIn(octets);
    if (credentialsWithin(hidden, at, at + wanted.length).length === 0) return true;
  }
  return false;
}
