/**
 * What the page knows: the events that it keeps, what they make of connections and table, and what is looked at.
 *
 * @typedef {import("../live/page_events.ts").PageEvent & { number: number }} PageEvent
 * @typedef {import("../live/page_events.ts").PageExchange} Exchange
 * @typedef {import("../live/page_events.ts").PageMessage} Message
 * @typedef {import("../live/shown_table.ts").Cells} Cells
 * @typedef {import("../../traffic.ts").End} End
 * @typedef {import("../../exchange.ts").Direction} Direction
 * @typedef {{ number: number, client: string, server: string, peer: string, open: boolean, start: number,
 *   tapped: boolean, exchanges: Map<number, Exchange>, newest: number }} Connection
 * @typedef {{ connection: number, exchange: number }} Choice
 * @typedef {{ end?: End, notes: string[] }} Recording A file; without its end, packets of one place.
 */

import { FollowedTable } from "./followed_table.js";
import { notice } from "./text.js";

/** Events that the page keeps, and exchanges of one connection, however many the server does. */
const MAX_EVENTS = 100_000;
/** How many times as long as a drawing took the next one waits for, where much happens at once; else as long. */
const LONG_REST = 15;
/** The longest wait, in milliseconds: what is seen is never much older. */
const LONGEST_REST = 500;
/** Events since the last drawing that are much. */
const MUCH = 50;
/** Connections that the page lists. */
export const MAX_CHIPS = 12;

/** What the page knows of a stream of events that begins. */
function nothing() {
  return {
    /** @type {PageEvent[]} */
    events: [],
    /** @type {Map<number, Connection>} */
    connections: new Map(),
    /** The table before the first event. */
    base: new FollowedTable(),
    /** The table after the last event. */
    latest: new FollowedTable(),
    /** Whether the table follows from all that happened. */
    followed: false,
    /** When the first event of a connection was, in microseconds. @type {number | undefined} */
    start: undefined,
    /** The connection that is shown; 0 for all. */
    shown: 0,
    /** The number of the last event that was cleared away. */
    cleared: 0,
    /** How many events are kept: as many as the server keeps; 0 before it has said so. */
    keeps: 0,
    /** The number of the event that is looked at; 0 while live. */
    current: 0,
    /** The exchange that is open. @type {Choice | undefined} */
    chosen: undefined,
    /** Exchanges that have come since the last moment that was live. */
    came: 0,
    /** The exchange that has begun last. @type {Choice | undefined} */
    newest: undefined,
    /** The number of the last event before the stream was opened, until it is here; then 0. */
    awaited: Infinity,
    /** The table's address, or the file's name. */
    name: "",
    /** The file that is shown instead of a server. @type {Recording | undefined} */
    recording: undefined,
    /** The server behind a relay, of which both sides are shown. @type {string | undefined} */
    relay: undefined,
    /** Whether it is drawn for paper. */
    isPrinting: false,
  };
}
export const state = nothing();

/** @type {(how: { push?: boolean }) => void} */
let listener = () => {};
let scheduled = false;
/** When drawing may begin again, in milliseconds. */
let restUntil = 0;
/** Events since the last drawing. */
let undrawn = 0;

/** Calls back whenever something is to be drawn, with whether that is a step in the window's history.
 * @param {(how: { push?: boolean }) => void} callback */
export function whenChanged(callback) {
  listener = callback;
}

/** Draws now. @param {{ push?: boolean }} how */
export function changed(how = {}) {
  listener(how);
}

/** Draws with the next frame, however much happens until then, and rests afterwards: others need the processor too. */
function changedSoon() {
  undrawn++;
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => requestAnimationFrame(draw), restUntil - performance.now());
}

function draw() {
  const start = performance.now();
  scheduled = false;
  changed();
  const end = performance.now();
  restUntil = end + Math.min(LONGEST_REST, (undrawn > MUCH ? LONG_REST : 1) * (end - start));
  undrawn = 0;
}

/** Forgets everything: the stream of events starts anew. @param {any} start */
export function startOver({ rows, total, large, last, keeps, missed, name, recording, relay }) {
  Object.assign(state, nothing(), { awaited: last, name, recording, relay });
  for (const table of [state.base, state.latest]) table.follow({ kind: "table", rows, total, large });
  state.keeps = Math.min(keeps, MAX_EVENTS);
  notice(missed > 0 ? `This page was too slow and missed ${missed} events.` : "");
  changed();
}

/** Receives an event. @param {PageEvent} event */
export function receive(event) {
  const { events } = state;
  if (event.connection > 0) state.start ??= event.time;
  events.push(event);
  if (events.length > state.keeps) state.base.follow(/** @type {PageEvent} */ (events.shift()));
  state.latest.follow(event);
  if (event.kind === "table") state.followed = true;
  if (event.kind === "left out") {
    state.followed = false;
    notice(event.reason ?? "");
  }
  if (event.connection > 0) receiveConnection(event);
  changedSoon();
}

/** @param {PageEvent} event */
function receiveConnection(event) {
  const { connections } = state;
  let connection = connections.get(event.connection);
  if (connection === undefined) {
    const { connection: number, time: start } = event;
    const addresses = { client: "", server: "", peer: "" };
    connection = { number, ...addresses, open: true, start, tapped: false, exchanges: new Map(), newest: 0 };
    connections.set(number, connection);
    if (connections.size % 64 === 0) {
      // Connections without events any more are forgotten with them.
      const kept = new Set(state.events.map(({ connection }) => connection));
      for (const number of connections.keys()) if (!kept.has(number)) connections.delete(number);
    }
  }
  if (event.client && event.server) {
    const server = event.server + (event.secure ? " TLS" : "");
    Object.assign(connection, { client: event.client, server, peer: event.peer ?? "" });
  }
  if (event.end === "client" && state.recording === undefined && state.relay === undefined) connection.tapped = true;
  if (event.kind === "closed" && event.end === mainEnd()) connection.open = false;
  const { exchanges } = connection;
  for (const exchange of event.exchanges ?? []) {
    exchanges.set(exchange.number, exchange);
    if (exchange.number > connection.newest) {
      connection.newest = exchange.number;
      state.newest = { connection: connection.number, exchange: exchange.number };
      if (state.current !== 0) state.came++;
    }
    if (exchanges.size > state.keeps) exchanges.delete(/** @type {number} */ (exchanges.keys().next().value));
  }
  // It is among the newest ones now, where it is found at once.
  exchangeOf(connection, event);
}

/** The end that saw all octets: the server's, unless a client was recorded. */
export function mainEnd() {
  return state.recording?.end ?? "server";
}

/** The number of the exchange that an event's octets belong to, once it is known. It stays so.
 * @type {WeakMap<PageEvent, number>} */
const exchangeNumbers = new WeakMap();

/** The first exchange that an event's octets belong to. @param {Connection} connection @param {PageEvent} event
 * @returns {Exchange | undefined} */
export function exchangeOf({ exchanges, newest }, event) {
  const { direction, from = 0, to = 0 } = event;
  if (direction === undefined) return undefined;
  const known = exchangeNumbers.get(event);
  if (known !== undefined) return exchanges.get(known);
  let found;
  for (let number = newest; exchanges.has(number); number--) {
    const { request, responses } = /** @type {Exchange} */ (exchanges.get(number));
    const messages = (direction === "request" ? [request] : responses).filter((message) => message !== undefined);
    if (messages.some((message) => message.from <= from && from < message.to)) {
      found = number;
      break;
    }
    if (messages.some((message) => from < message.from && message.from < to)) found = number;
    // Those before it end where it starts.
    if (messages.length > 0 && messages.every((message) => message.to <= from)) break;
  }
  if (found === undefined) return undefined;
  exchangeNumbers.set(event, found);
  return exchanges.get(found);
}

/** All exchanges that an event's octets belong to, as far as several are drawn. @param {Connection} connection
 * @param {PageEvent} event @param {number} most @returns {Exchange[]} */
export function exchangesOf(connection, event, most) {
  const first = exchangeOf(connection, event);
  if (first === undefined) return [];
  const all = [first];
  while (all.length < most) {
    const next = connection.exchanges.get(first.number + all.length);
    const message = event.direction === "request" ? next?.request : next?.responses[0];
    if (!next || !message || message.from >= (event.to ?? 0)) break;
    all.push(next);
  }
  return all;
}
