/**
 * What is shown of what the page knows: the moment, the connection, the exchange that is open, what the filter lets
 * pass.
 *
 * @import { Choice, Connection, Direction, Exchange, PageEvent } from "./state.js"
 */

import { changed, exchangeOf, exchangesOf, state } from "./state.js";
import { titleText } from "./text.js";

/** Exchanges of one event that the filter looks at. */
const MAX_OF_EVENT = 24;
/** How long to wait before the server looks for a text again, in milliseconds. */
const FIND_AGAIN_MS = 500;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/** Words that all have to match. @type {string[]} */
let words = [];
/** Exchanges with a word in their octets, each as its connection and its number. @type {Map<string, Set<string>>} */
let found = new Map();
/** What the filter says of exchanges as they are. @type {WeakMap<Exchange, boolean>} */
let verdicts = new WeakMap();
let foundAfter = 0;
let isFinding = false;

/** Shows only exchanges that all words of a text match. @param {string} text */
export function setFilter(text) {
  words = text.split(/\s+/).filter((word) => word !== "");
  const texts = words.filter((word) => !METHODS.includes(word) && !/^(?:[1-5]xx|c\d+)$/.test(word));
  found = new Map(texts.map((word) => [word, found.get(word) ?? new Set()]));
  verdicts = new WeakMap();
  foundAfter = -1;
  find();
  changed();
}

/** Looks for words in octets, which only the server has, and again while more come. */
export async function find() {
  const last = state.events.at(-1)?.number ?? 0;
  if (found.size === 0 || isFinding || last === foundAfter) return;
  isFinding = true;
  foundAfter = last;
  for (const [word, exchanges] of found) {
    const response = await fetch(`/live/find?${new URLSearchParams({ text: word })}`).catch(() => undefined);
    const { places = [] } = response?.ok ? await response.json() : {};
    for (const place of places) exchanges.add(place);
  }
  verdicts = new WeakMap();
  isFinding = false;
  changed();
  setTimeout(find, FIND_AGAIN_MS);
}

/** Whether the filter lets an exchange pass. @param {Connection} connection @param {Exchange} exchange */
export function passes(connection, exchange) {
  if (words.length === 0) return true;
  const verdict = verdicts.get(exchange) ?? words.every((word) => matches(connection, exchange, word));
  verdicts.set(exchange, verdict);
  return verdict;
}

/** @param {Connection} connection @param {Exchange} exchange @param {string} word */
function matches({ number }, exchange, word) {
  const { request, responses } = exchange;
  const title = request?.title ?? "";
  if (METHODS.includes(word)) return title.split(" ", 1)[0] === word;
  if (/^[1-5]xx$/.test(word)) return responses.some(({ title }) => title[0] === word[0]);
  if (/^c\d+$/.test(word)) return number === Number(word.slice(1));
  const titles = [title, titleText(title).whole, ...responses.map(({ title }) => title)];
  return titles.some((title) => title.toLowerCase().includes(word.toLowerCase())) ||
    found.get(word)?.has(`${number} ${exchange.number}`) === true;
}

/** How many exchanges the filter hides, in words. */
export function hiddenText() {
  if (words.length === 0) return "";
  const verdicts = [...state.connections.values()].flatMap((connection) =>
    state.shown !== 0 && state.shown !== connection.number
      ? []
      : [...connection.exchanges.values()].map((exchange) => passes(connection, exchange))
  );
  return `the filter hides ${verdicts.filter((passes) => !passes).length} of ${verdicts.length}`;
}

/** The events that are shown, in the order in which they came. */
export function shownEvents() {
  const { cleared, connections, events, shown } = state;
  const ofConnections = words.every((word) => /^c\d+$/.test(word));
  return events.filter((event) => {
    if (event.connection === 0 || shown !== 0 && event.connection !== shown || event.number <= cleared) return false;
    if (words.length === 0) return true;
    const connection = connections.get(event.connection);
    const exchanges = connection ? exchangesOf(connection, event, MAX_OF_EVENT) : [];
    if (connection && exchanges.length > 0) return exchanges.some((exchange) => passes(connection, exchange));
    return ofConnections && words.every((word) => word === `c${event.connection}`);
  });
}

/** Where the current event is among those that are shown: the last one while live. @param {PageEvent[]} list */
export function currentIndex(list) {
  const found = state.current === 0 ? -1 : list.findIndex(({ number }) => number >= state.current);
  return found < 0 ? list.length - 1 : found;
}

/** Live, the exchange that changed last is open. @param {PageEvent[]} list */
export function followNewest(list) {
  if (state.current !== 0) return;
  const last = list.findLast((event) => event.exchanges?.length);
  const connection = last && state.connections.get(last.connection);
  const newest = connection && last.exchanges?.findLast((exchange) => passes(connection, exchange));
  state.chosen = newest && { connection: connection.number, exchange: newest.number };
}

/** The exchange of a choice, if it is known. @param {Choice | undefined} choice */
export function exchangeAt(choice) {
  const connection = choice && state.connections.get(choice.connection);
  const exchange = choice && connection?.exchanges.get(choice.exchange);
  return connection && exchange ? { connection, exchange } : undefined;
}

/** The titles of the exchange that has begun last, as people read them. */
export function newestTitles() {
  const { exchange } = exchangeAt(state.newest) ?? {};
  const titles = [exchange?.request?.title ?? "", exchange?.responses.at(-1)?.title ?? ""];
  return titles.filter((title) => title !== "").map((title) => titleText(title).whole);
}

/** Whether an exchange is the one that is open. @param {Connection} connection @param {Exchange} [exchange] */
export function isChosen(connection, exchange) {
  return state.chosen?.connection === connection.number && state.chosen.exchange === exchange?.number;
}

/** How many octets had come in each direction of a connection at the moment that is looked at.
 * @param {number} connection @returns {Record<Direction, number>} */
export function octetsSeen(connection) {
  if (state.current === 0) return { request: Infinity, response: Infinity };
  const seen = { request: 0, response: 0 };
  for (const { number, connection: other, direction, to = 0 } of state.events) {
    if (number > state.current) break;
    if (other === connection && direction) seen[direction] = Math.max(seen[direction], to);
  }
  return seen;
}

/** Opens an exchange, at its last event. @param {Connection} connection @param {Exchange} exchange */
export function openExchange(connection, exchange) {
  const { request, responses } = exchange;
  const last = state.events.findLast(({ connection: number, direction, from = 0, to = 0 }) => {
    const messages = direction === undefined ? [] : direction === "request" ? [request] : responses;
    return number === connection.number && messages.some((one) => one && from < one.to && to > one.from);
  });
  state.current = (last?.number ?? state.current) || (state.events.at(-1)?.number ?? 0);
  state.chosen = { connection: connection.number, exchange: exchange.number };
  changed({ push: true });
}

/** Looks at the moment of an event. @param {number} index Its place among those that are shown. */
export function goTo(index) {
  const list = shownEvents();
  const at = Math.max(0, Math.min(list.length - 1, index));
  if (list[at] === undefined) return changed();
  state.current = list[at].number;
  const { connection, exchange } = exchangeAt(state.chosen) ?? {};
  // One of several that an event brought stays open.
  const stays = connection?.number === list[at].connection &&
    exchangesOf(connection, list[at], MAX_OF_EVENT).includes(/** @type {Exchange} */ (exchange));
  if (!stays) state.chosen = choiceBefore(list, at);
  changed();
}

/** What belongs to no exchange leaves the one before it open. @param {PageEvent[]} list @param {number} at */
function choiceBefore(list, at) {
  for (let i = at; i >= 0; i--) {
    const connection = state.connections.get(list[i].connection);
    const exchange = connection && exchangeOf(connection, list[i]);
    if (connection && exchange) return { connection: connection.number, exchange: exchange.number };
  }
}

/** @param {number} by */
export function step(by) {
  goTo(currentIndex(shownEvents()) + by);
}

/** Follows what happens; a recording has nothing more. */
export function goLive() {
  if (state.recording !== undefined) return goTo(Infinity);
  state.current = state.came = 0;
  changed({ push: true });
}

/** Shows a connection, or all: live, it is followed; else its first exchange is opened, of a recording that is opened
 * the first of all. @param {number} number */
export function showConnection(number) {
  const { connections, current, recording } = state;
  state.shown = number;
  if (current === 0 && recording === undefined) return goLive();
  for (const event of number !== 0 || current === 0 ? shownEvents() : []) {
    const connection = connections.get(event.connection);
    if (connection === undefined) continue;
    const first = exchangesOf(connection, event, MAX_OF_EVENT).find((one) => passes(connection, one));
    if (first !== undefined) return openExchange(connection, first);
  }
  if (number !== 0 || current === 0) goTo(0);
  else changed();
}

/** Hides all that has happened, in this window, until it is loaded anew. */
export function clear() {
  state.cleared = state.events.at(-1)?.number ?? 0;
  goLive();
}
