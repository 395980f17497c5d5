/**
 * The lanes: what the ends of connections saw, in the order of time, in groups: one for each exchange, with what both
 * ends saw of it side by side.
 *
 * @typedef {{ events: [PageEvent, ...PageEvent[]] }} Line What ends saw of one thing, or how a connection ended.
 * @typedef {{ key: string, connection: Connection, exchange?: Exchange, lines: Line[], first: number, last: number }} Group
 * @import { Connection, Exchange, PageEvent } from "./state.js"
 */

import { drawGroup, drawPause, PAUSE } from "./arrows.js";
import { isChosen, passes } from "./shown.js";
import { exchangeOf, mainEnd, state } from "./state.js";
import { counted, part, reachWithArrows, replaceSome, shift } from "./text.js";

/** Groups that are drawn at a time, those around the current event; and on paper. */
const MAX_GROUPS = 24;
const MAX_PRINTED = 500;
/** Exchanges without a line of their own that follow one group. */
const MAX_QUIET = 24;
/** So few exchanges leave room for larger type. */
const FEW = 3;
/** So close to the end, in pixels, the view follows what comes. */
const NEAR_END = 40;
/** How much is seen around what is looked at, in pixels. */
const ROOM = 40;

/** Groups that are drawn, and what they and the pauses before them were drawn from. @type {Map<string, { from:
 * string, node: HTMLElement, pause: number, before?: HTMLElement }>} */
let drawn = new Map();
/** Whether the view follows what comes: the reader may have scrolled back. */
let following = true;
/** Which of the buttons had the focus last, unless it has left the lanes. @type {string | undefined} */
let visited;

const traffic = part("traffic");
const lanes = part("lanes");
traffic.addEventListener("scroll", () => {
  following = traffic.scrollTop + traffic.clientHeight > traffic.scrollHeight - NEAR_END;
});
new ResizeObserver(() => {
  if (state.current === 0 && following) traffic.scrollTop = traffic.scrollHeight;
}).observe(traffic);
reachWithArrows(lanes, "button");
// What has the focus is what is looked at.
document.addEventListener("focusin", ({ target }) => {
  const id = target instanceof HTMLElement && lanes.contains(target) ? target.dataset.id : undefined;
  // It comes back to what had it when the window does, and when that is drawn anew.
  if (id === visited) return;
  visited = id;
  if (id === undefined || !(target instanceof HTMLElement)) return;
  makeOnlyStop(target);
  // Live, to come to what is open anyway stops nothing.
  const current = target.getAttribute("aria-current");
  if (current !== "step" && (current === null || state.current !== 0)) target.click();
});

/** Follows what comes, wherever the reader has scrolled to. */
export function followLanes() {
  following = true;
}

/** Draws the groups around the current event. @param {PageEvent[]} list The events that are shown.
 * @param {number} at Where the current one is. */
export function drawLanes(list, at) {
  const { current } = state;
  drawEnds(list);
  const most = state.isPrinting ? MAX_PRINTED : MAX_GROUPS;
  // Around the current event, as many events as can make the groups that are drawn.
  const span = 4 * most;
  const from = Math.max(0, at - span);
  const all = groupsOf(list.slice(from, at + 1 + (current === 0 ? 0 : span)));
  const number = list[at]?.number ?? 0;
  const index = all.findIndex(({ first, last }) => first <= number && number <= last);
  const middle = index < 0 ? all.length - 1 : index;
  const end = Math.min(all.length, Math.max(middle + most / 2, most));
  const groups = all.slice(Math.max(0, end - most), end);
  const exchanges = groups.filter(({ exchange }) => exchange).length;
  lanes.classList.toggle("few", exchanges <= FEW && all.length === groups.length);
  const earlier = list.filter(({ number }) => number < (groups[0]?.first ?? 0)).length;
  part("earlier").hidden = earlier === 0;
  part("earlier").textContent = `${counted(earlier, "earlier event")}: step back, or move the slider`;
  /** @type {typeof drawn} */
  const next = new Map();
  let last = 0;
  const nodes = groups.flatMap((group) => {
    const from = sourceOf(group, number);
    const known = drawn.get(group.key);
    const time = group.lines[0]?.events[0].time ?? last;
    const pause = last > 0 && time - last > PAUSE ? time - last : 0;
    last = Math.max(last, ...group.lines.flatMap(({ events }) => events.map(({ time }) => time)));
    const node = known?.from === from ? known.node : drawGroup(group, number);
    const before = known?.pause === pause ? known.before : pause > 0 ? drawPause(pause) : undefined;
    next.set(group.key, { from, node, pause, before });
    return before === undefined ? [node] : [before, node];
  });
  drawn = next;
  show(nodes);
}

/** @param {PageEvent[]} list */
function drawEnds(list) {
  const { cleared, connections, keeps, newest, recording, shown } = state;
  const one = connections.get(shown) ?? (connections.size === 1 ? [...connections.values()][0] : undefined);
  part("client").textContent = one?.client ?? (connections.size > 0 ? "all connections" : "");
  const servers = new Set([...connections.values()].map(({ server }) => server).filter((server) => server !== ""));
  const last = recording && servers.size > 1 ? `${servers.size} servers` : [...servers].at(-1) ?? "";
  part("server").textContent = state.relay ?? one?.server ?? last;
  const since = `seconds since ${shown === 0 ? "the first event" : "it was opened"}`;
  const clock = state.relay === undefined ? since : `relay ${one?.server ?? ""} · seconds`;
  part("clock").textContent = list.length === 0 ? "" : clock;
  const nothing = newest === undefined || list.length === 0;
  part("empty").hidden = !nothing || keeps === 0 || cleared > 0 || recording !== undefined;
  part("none").hidden = list.length > 0 || newest === undefined && recording === undefined;
  part("none").textContent = cleared > 0
    ? "Cleared: what comes next is shown. A reload brings the rest back."
    : "Nothing of what has happened is shown.";
}

/** @param {HTMLElement[]} nodes */
function show(nodes) {
  const active = document.activeElement;
  const focused = active instanceof HTMLElement && lanes.contains(active) ? active.dataset.id : undefined;
  replaceSome(lanes, nodes);
  /** @param {string} selector */
  const find = (selector) => /** @type {HTMLElement | null} */ (lanes.querySelector(selector));
  const kept = focused === undefined ? null : find(`[data-id="${focused}"]`);
  kept?.focus({ preventScroll: true });
  const stop = kept ?? find(".event.current button.octets") ?? find(".chosen button") ?? find("button");
  if (stop !== null) makeOnlyStop(stop);
  if (state.current !== 0) {
    // Its whole exchange is seen with it, if there is room for both.
    for (const one of [find(".chosen"), find(".event.current")]) if (one) reveal(one);
  } else if (following) {
    traffic.scrollTop = traffic.scrollHeight;
    const newest = [...lanes.querySelectorAll(".group")].at(-1);
    // What ends connections does not push it out.
    if (newest) reveal(newest, 0);
  }
}

/** @param {Element} one @param {number} room */
function reveal(one, room = ROOM) {
  const { top, bottom } = one.getBoundingClientRect();
  const seen = traffic.getBoundingClientRect();
  const ends = /** @type {HTMLElement} */ (traffic.querySelector(".ends"));
  traffic.scrollTop += shift(top - room, bottom + room, seen.top + ends.offsetHeight, seen.bottom);
}

/** @param {HTMLElement} stop */
function makeOnlyStop(stop) {
  for (const button of lanes.querySelectorAll("button")) button.tabIndex = button === stop ? 0 : -1;
}

/** All that a group's drawing depends on. @param {Group} group @param {number} number */
function sourceOf({ lines, exchange, connection, first, last }, number) {
  const { current, shown } = state;
  const place = current === 0 ? "live" : number >= first && number <= last ? number : number < first;
  const counts = lines.map(({ events }) => events.length);
  const sides = exchange &&
    [exchange.request, ...exchange.responses].map((one) =>
      `${one?.from} ${one?.to} ${one?.whole} ${one?.title} ${one?.fault}`
    );
  return `${first} ${last} ${counts} ${sides} ${
    isChosen(connection, exchange)
  } ${place} ${connection.open} ${connection.tapped} ${shown} ${state.start}`;
}

/** Events as groups: one for each exchange, and one for what belongs to none. @param {PageEvent[]} list
 * @returns {Group[]} */
function groupsOf(list) {
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
    const isAlone = event.direction !== undefined || event.kind === "missing";
    const place = exchange?.number ?? (isAlone ? `event ${event.number}` : event.kind);
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
