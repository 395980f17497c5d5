/**
 * Events as groups: one for each exchange, with what both ends tell of it side by side.
 *
 * @import { Connection, Exchange, Told } from "./state.js"
 * @typedef {{ event: Told, twin?: Told }} Line
 * @typedef {{ key: string, connection: Connection, exchange?: Exchange, lines: Line[], first: number, last: number }} Group
 */

import { exchangeOf, state } from "./state.js";

/** Groups that are drawn at a time: those around the current event. */
export const MAX_GROUPS = 24;

/**
 * Events as groups: one for each exchange, and one for what belongs to none.
 *
 * @param {Told[]} list
 * @returns {Group[]}
 */
export function groupsOf(list) {
  /** @type {Group[]} */
  const groups = [];
  /** @type {Map<string, Group>} */
  const byKey = new Map();
  for (const event of list) {
    const connection = state.connections.get(event.connection);
    if (connection === undefined) continue;
    const exchange = exchangeOf(connection, event);
    const key = `${connection.number} ${exchange?.number ?? looseKey(event)}`;
    let group = byKey.get(key);
    if (group === undefined) {
      group = { key, connection, exchange, lines: [], first: event.number, last: event.number };
      byKey.set(key, group);
      groups.push(group);
    }
    group.last = event.number;
    addLine(group, event);
  }
  for (const { lines } of groups) lines.sort((a, b) => a.event.time - b.event.time);
  return withQuietExchanges(groups);
}

/**
 * Several requests may come with one read: those that have no line of their own have a heading alone.
 *
 * @param {Group[]} groups
 */
function withQuietExchanges(groups) {
  const drawn = new Set(groups.map(({ key }) => key));
  /** Octets of requests that were read so far, by connection. @type {Map<Connection, number>} */
  const reach = new Map();
  return groups.flatMap((group) => {
    const { connection, exchange, lines, first, last } = group;
    /** @type {Group[]} */
    const all = [group];
    const read = lines.findLast(({ event }) => event.direction === "request")?.event;
    if (read !== undefined) reach.set(connection, read.to ?? 0);
    if (exchange === undefined) return all;
    for (let number = exchange.number + 1; all.length < MAX_GROUPS; number++) {
      const next = connection.exchanges.get(number);
      const key = `${connection.number} ${number}`;
      if (next?.request === undefined || next.request.from >= (reach.get(connection) ?? 0) || drawn.has(key)) break;
      drawn.add(key);
      all.push({ key, connection, exchange: next, lines: [], first, last });
    }
    return all;
  });
}

/**
 * What both ends tell of the same thing goes together.
 *
 * @param {Told} event
 */
function looseKey({ kind, number, by, direction }) {
  return direction !== undefined ? `event ${number}` : `${kind} ${by}`;
}

/**
 * A write at one end and the read of the same octets at the other are one line.
 *
 * @param {Group} group
 * @param {Told} event
 */
function addLine(group, event) {
  const other = group.lines.find(({ event: one, twin }) =>
    twin === undefined && one.end !== event.end && isTwin(one, event)
  );
  if (other !== undefined) other.twin = event;
  else group.lines.push({ event });
}

/** @param {Told} a @param {Told} b */
function isTwin(a, b) {
  if (a.direction !== undefined) return a.direction === b.direction && a.from === b.from && a.to === b.to;
  return a.kind === b.kind && a.by === b.by;
}
