/**
 * Events as groups: one for each exchange, with what both ends saw of it side by side.
 *
 * @import { Connection, Exchange, PageEvent } from "./state.js"
 * @typedef {{ events: [PageEvent, ...PageEvent[]] }} Line What ends saw of one thing, or how a connection ended.
 * @typedef {{ key: string, connection: Connection, exchange?: Exchange, lines: Line[], first: number, last: number }} Group
 */

import { passes } from "./shown.js";
import { exchangeOf, mainEnd, state } from "./state.js";

/** Exchanges without a line of their own that follow one group. */
const MAX_QUIET = 24;

/** Events as groups: one for each exchange, and one for what belongs to none. @param {PageEvent[]} list
 * @returns {Group[]} */
export function groupsOf(list) {
  /** @type {Group[]} */
  const groups = [];
  /** @type {Map<string, Group>} */
  const byKey = new Map();
  /** How often a connection has gone on after a FIN. @type {Map<number, number>} */
  const goesOn = new Map();
  for (const event of list) {
    const connection = state.connections.get(event.connection);
    if (connection === undefined) continue;
    const exchange = exchangeOf(connection, event);
    const end = `${connection.number} end ${goesOn.get(connection.number) ?? 0}`;
    // After one side's FIN the other one may go on.
    const ended = byKey.get(end)?.lines[0].events.at(-1)?.by;
    if (
      ended !== undefined && event.direction === (ended === "client" ? "response" : "request") &&
      event.end === mainEnd()
    ) {
      goesOn.set(connection.number, (goesOn.get(connection.number) ?? 0) + 1);
    }
    const isEnd = event.kind === "fin" || event.kind === "closed";
    // A relay connects to its server during an exchange, and is shown to.
    const asks = state.relay !== undefined && event.kind === "opened" && event.end === "client"
      ? groups.findLast((one) => one.connection === connection && one.exchange !== undefined)
      : undefined;
    // What both ends saw of the same thing goes together.
    const place = exchange?.number ?? (event.direction !== undefined ? `event ${event.number}` : event.kind);
    const key = isEnd ? end : asks?.key ?? `${connection.number} ${place}`;
    let group = byKey.get(key);
    if (group === undefined) {
      group = { key, connection, exchange, lines: [], first: event.number, last: event.number };
      byKey.set(key, group);
      groups.push(group);
    }
    group.last = event.number;
    const line = group.lines.find(({ events: [one, ...more] }) => isEnd || more.length === 0 && isTwin(one, event));
    if (line !== undefined) line.events.push(event);
    else group.lines.push({ events: [event] });
  }
  for (const { lines } of groups) lines.sort((a, b) => a.events[0].time - b.events[0].time);
  return withQuietExchanges(groups);
}

/** Several requests may come with one read: those that have no line of their own have a heading alone.
 * @param {Group[]} groups */
function withQuietExchanges(groups) {
  const drawn = new Set(groups.map(({ key }) => key));
  /** Octets of requests that were read so far, by connection. @type {Map<Connection, number>} */
  const reach = new Map();
  return groups.flatMap((group) => {
    const { connection, exchange, lines, first, last } = group;
    /** @type {Group[]} */
    const all = [group];
    const read = lines.findLast(({ events }) => events[0].direction === "request")?.events[0];
    if (read !== undefined) reach.set(connection, read.to ?? 0);
    if (exchange === undefined) return all;
    for (let number = exchange.number + 1; all.length < MAX_QUIET; number++) {
      const next = connection.exchanges.get(number);
      const key = `${connection.number} ${number}`;
      if (next?.request === undefined || next.request.from >= (reach.get(connection) ?? 0) || drawn.has(key)) break;
      drawn.add(key);
      if (passes(connection, next)) all.push({ key, connection, exchange: next, lines: [], first, last });
    }
    return all;
  });
}

/** Whether two ends saw the same octets, as a write and a read, or the same signal. @param {PageEvent} a
 * @param {PageEvent} b */
function isTwin(a, b) {
  // A relay's two ends see two things: what it read on one side, and what it wrote on the other.
  if (a.end === b.end || a.kind === "missing" || state.relay !== undefined) return false;
  if (a.direction !== undefined) return a.direction === b.direction && a.from === b.from && a.to === b.to;
  return a.kind === b.kind && a.by === b.by;
}
