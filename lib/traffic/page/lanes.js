/**
 * The lanes: what the two ends of connections told, in the order of time.
 *
 * @import { Connection, Direction, End, Exchange, Message, Told } from "./state.js"
 * @import { Group, Line } from "./groups.js"
 */

import { groupsOf, MAX_GROUPS } from "./groups.js";
import { changed, chooseAt, shownEvents, state } from "./state.js";
import {
  address,
  duration,
  element,
  octetsIn,
  part,
  readable,
  replaceSome,
  shift,
  shortened,
  visible,
} from "./text.js";

/** Lines of one group that are drawn. */
const MAX_LINES = 40;
/** A pause shorter than this, in microseconds, is none. */
const PAUSE = 100_000;
/** So close to the end, in pixels, the view follows what comes. */
const NEAR_END = 40;
/** How much is seen around what is looked at, in pixels. */
const ROOM = 40;

/**
 * Groups that are drawn, and what they and the pauses before them were drawn from.
 *
 * @type {Map<string, { from: string, node: HTMLElement, pause: number, before?: HTMLElement }>}
 */
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
lanes.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown" || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const buttons = [...lanes.querySelectorAll("button")];
  const at = buttons.findIndex((button) => button === document.activeElement);
  buttons[at + (event.key === "ArrowUp" ? -1 : 1)]?.focus();
});
// One of the buttons is reached with the Tab key, the others from there. What has the focus is what is looked at.
document.addEventListener("focusin", ({ target }) => {
  const id = target instanceof HTMLElement && lanes.contains(target) ? target.dataset.id : undefined;
  // It comes back to what had it when the window does, and when that is drawn anew.
  if (id === visited) return;
  visited = id;
  if (id === undefined || !(target instanceof HTMLElement)) return;
  makeOnlyStop(target);
  if (!target.classList.contains("open") && !target.hasAttribute("aria-current")) target.click();
});

/** Follows what comes, wherever the reader has scrolled to. */
export function followLanes() {
  following = true;
}

/**
 * Draws the groups around the current event.
 *
 * @param {Told[]} list The events that are shown.
 * @param {number} at Where the current one is.
 */
export function drawLanes(list, at) {
  const { connections, current, shown } = state;
  const one = connections.get(shown);
  part("client").textContent = one?.client ?? (connections.size > 0 ? "all connections" : "");
  part("server").textContent = one?.server ?? [...connections.values()].at(-1)?.server ?? "";
  part("clock").textContent = shown === 0 ? "seconds since the first event" : "seconds since it was opened";
  const hasEvents = list.length > 0;
  part("empty").hidden = hasEvents || state.keeps === 0;
  part("clock").hidden = !hasEvents;
  // Around the current event, as many events as can make the groups that are drawn.
  const span = 4 * MAX_GROUPS;
  const from = Math.max(0, at - span);
  const all = groupsOf(list.slice(from, at + 1 + (current === 0 ? 0 : span)));
  const number = list[at]?.number ?? 0;
  const index = all.findIndex(({ first, last }) => first <= number && number <= last);
  const middle = index < 0 ? all.length - 1 : index;
  const end = Math.min(all.length, Math.max(middle + MAX_GROUPS / 2, MAX_GROUPS));
  const groups = all.slice(Math.max(0, end - MAX_GROUPS), end);
  drawEarlier(list, groups[0]?.first ?? 0);
  /** @type {typeof drawn} */
  const next = new Map();
  let last = 0;
  const nodes = groups.flatMap((group) => {
    const from = sourceOf(group, number);
    const known = drawn.get(group.key);
    const time = group.lines[0]?.event.time ?? last;
    const pause = last > 0 && time - last > PAUSE ? time - last : 0;
    last = Math.max(last, ...group.lines.map(({ event }) => event.time));
    const node = known?.from === from ? known.node : drawGroup(group, number);
    const before = known?.pause === pause ? known.before : pause > 0 ? drawPause(pause) : undefined;
    next.set(group.key, { from, node, pause, before });
    return before === undefined ? [node] : [before, node];
  });
  drawn = next;
  show(nodes);
}

/**
 * Tells how much there is before the first group that is drawn.
 *
 * @param {Told[]} list
 * @param {number} first
 */
function drawEarlier(list, first) {
  const earlier = list.filter(({ number }) => number < first).length;
  part("earlier").hidden = earlier === 0;
  part("earlier").textContent = `${earlier} earlier ${
    earlier === 1 ? "event" : "events"
  }: step back, or move the slider`;
}

/** @param {HTMLElement[]} nodes */
function show(nodes) {
  const active = document.activeElement;
  const focused = active instanceof HTMLElement && lanes.contains(active) ? active.dataset.id : undefined;
  replaceSome(lanes, nodes);
  /** @param {string} selector */
  const find = (selector) => /** @type {HTMLElement | null} */ (lanes.querySelector(selector));
  if (focused !== undefined) find(`[data-id="${focused}"]`)?.focus({ preventScroll: true });
  const stop = find(focused === undefined ? ".none" : `[data-id="${focused}"]`) ?? find(".event.current button") ??
    find(".chosen button") ?? find("button");
  if (stop !== null) makeOnlyStop(stop);
  if (state.current !== 0) {
    // Its heading is seen with it, if there is room for both.
    const event = find(".event.current");
    for (const one of [event?.closest(".group"), event]) {
      if (one) reveal(one);
    }
  } else if (following) traffic.scrollTop = traffic.scrollHeight;
}

/** @param {Element} one */
function reveal(one) {
  const { top, bottom } = one.getBoundingClientRect();
  const seen = traffic.getBoundingClientRect();
  const ends = /** @type {HTMLElement} */ (traffic.querySelector(".ends"));
  traffic.scrollTop += shift(top - ROOM, bottom + ROOM, seen.top + ends.offsetHeight, seen.bottom);
}

/** @param {HTMLElement} stop */
function makeOnlyStop(stop) {
  for (const button of lanes.querySelectorAll("button")) button.tabIndex = button === stop ? 0 : -1;
}

/**
 * All that a group's drawing depends on.
 *
 * @param {Group} group
 * @param {number} number
 */
function sourceOf({ lines, exchange, connection, first, last }, number) {
  const { chosen, current, shown } = state;
  const isChosen = chosen?.connection === connection.number && chosen.exchange === exchange?.number &&
    `${chosen.direction} ${chosen.index}`;
  const place = current === 0 ? "live" : number >= first && number <= last ? number : number < first;
  const twins = lines.filter(({ twin }) => twin).length;
  const sides = exchange &&
    [exchange.request, ...exchange.responses].map((one) =>
      `${one?.to} ${one?.whole} ${one?.title} ${one?.fault?.detail}`
    );
  const range = `${first} ${last} ${lines.length} ${twins}`;
  return `${range} ${sides} ${isChosen} ${place} ${connection.tapped} ${shown} ${state.start}`;
}

/** @param {number} micros */
function drawPause(micros) {
  const pause = element("div", "pause", element("span", "", duration(micros)));
  pause.setAttribute("role", "listitem");
  pause.setAttribute("aria-label", `pause of ${duration(micros)}`);
  // A longer pause takes more room, ten times as long one line more.
  pause.style.height = `${(1.4 + Math.max(0, Math.log10(micros / PAUSE))).toFixed(2)}rem`;
  return pause;
}

/** @param {Group} group @param {number} number */
function drawGroup(group, number) {
  const { connection, exchange, lines } = group;
  const { chosen, current } = state;
  const node = element("div", exchange === undefined ? "loose" : "group");
  node.setAttribute("role", "listitem");
  if (exchange !== undefined) {
    if (chosen?.connection === connection.number && chosen.exchange === exchange.number) node.classList.add("chosen");
    node.append(drawHeading(group, exchange));
  }
  if (current > 0 && group.first > number) node.classList.add("later");
  const cut = lines.length - MAX_LINES;
  if (cut > 0) node.append(element("p", "faint", `${cut} more reads and writes before these`));
  let last = 0;
  for (const line of lines.slice(-MAX_LINES)) {
    const { time } = line.event;
    if (last > 0 && time - last > PAUSE) node.append(drawPause(time - last));
    last = time;
    node.append(drawEvent(line, connection, exchange, number));
  }
  return node;
}

/** @param {Group} group @param {Exchange} exchange */
function drawHeading({ connection, lines }, exchange) {
  const { request, responses } = exchange;
  const heading = element("div", "heading");
  if (request !== undefined) {
    const title = element("button", openClass(connection, exchange, "request", 0), ...titleOf(request));
    if (state.shown === 0) title.prepend(element("span", "number", `${connection.number} · `));
    title.dataset.id = `${connection.number}-${exchange.number}-request`;
    title.addEventListener("click", () => choose(connection, exchange, "request", 0));
    heading.append(title);
  }
  const { text, bad } = aboutRequest(exchange, lines);
  heading.append(element("span", bad ? "about bad" : "about", ...visible(text)));
  responses.forEach((response, index) => {
    const open = openClass(connection, exchange, "response", index);
    const status = element("button", `${statusClass(response)} ${open}`, ...titleOf(response));
    status.dataset.id = `${connection.number}-${exchange.number}-response-${index}`;
    status.addEventListener("click", () => choose(connection, exchange, "response", index));
    heading.append(status);
  });
  return heading;
}

/** @param {Message} message */
function titleOf({ title }) {
  return visible(shortened(readable(title || "…")));
}

/**
 * The class of the title of the message whose octets are shown.
 *
 * @param {Connection} connection
 * @param {Exchange} exchange
 * @param {Direction} direction
 * @param {number} index
 */
function openClass({ number }, exchange, direction, index) {
  const { chosen } = state;
  const isOpen = chosen?.connection === number && chosen.exchange === exchange.number &&
    chosen.direction === direction && chosen.index === index;
  return isOpen ? "open" : "";
}

/** @param {Message} response */
function statusClass({ status, fault }) {
  return fault !== undefined || status >= 400 ? "bad" : status >= 200 ? "good" : "";
}

/** @param {Exchange} exchange @param {Line[]} lines */
function aboutRequest({ request, responses, answeredIn, unread }, lines) {
  const broken = [request, ...responses].find((message) => message?.fault);
  if (broken?.fault) {
    const { detail, offset } = broken.fault;
    return { text: offset < 0 ? detail : `${detail} · octet ${offset}`, bad: true };
  }
  if (unread !== undefined) return { text: `its request was not read: see the fault of request ${unread}`, bad: true };
  if (request === undefined) return { text: "nobody asked for this", bad: true };
  const events = lines.flatMap(({ event, twin }) => twin === undefined ? [event] : [event, twin]);
  const reads = events.filter(({ kind, direction, end }) =>
    kind === "read" && direction === "request" && end === "server"
  );
  const parts = [octetsIn(request)];
  if (reads.length > 0) parts[0] += ` in ${reads.length === 1 ? "1 read" : `${reads.length} reads`}`;
  else parts[0] += " in the read before";
  if (!request.whole) parts.push("not whole yet");
  if (answeredIn === "early") parts.push("answered before its content had come");
  else if (answeredIn !== undefined) parts.push(`answered in ${duration(answeredIn)}`);
  if (request.behind !== undefined) parts.push(`read on behind the fault of request ${request.behind}`);
  const sent = events.findLast(({ kind, end }) => kind === "write" && end === "client");
  const back = events.find(({ kind, end }) => kind === "read" && end === "client");
  if (sent && back && back.time > sent.time) parts.push(`round trip ${duration(back.time - sent.time)}`);
  return { text: parts.join(" · "), bad: false };
}

/**
 * @param {Line} line
 * @param {Connection} connection
 * @param {Exchange | undefined} exchange
 * @param {number} number
 */
function drawEvent({ event, twin }, connection, exchange, number) {
  const { current, shown } = state;
  const isCurrent = current > 0 && (event.number === number || twin?.number === number);
  const node = element("div", isCurrent ? "event current" : "event");
  if (twin === undefined && event.kind !== "opened" && event.kind !== "closed") node.classList.add("alone");
  if (current > 0 && event.number > number && !isCurrent) node.classList.add("later");
  const ends = [event, ...twin ? [twin] : []];
  /** @param {End} end */
  const side = (end) => {
    const told = ends.find((one) => one.end === end);
    return element("span", "at mono", told === undefined ? "" : sideText(told, connection));
  };
  const back = event.direction === "response" || event.direction === undefined && event.by === "server";
  const classes = ["wire"];
  if (event.direction === undefined) classes.push("signal");
  if (event.kind === "closed") classes.push("neutral", "both");
  if (back) classes.push("back");
  if (event.direction !== undefined && connection.tapped && twin === undefined) {
    classes.push(event.kind === "write" ? "half-start" : "half-end");
  }
  const tag = shown === 0 && exchange === undefined ? `${connection.number} · ` : "";
  const pill = element("button", "", tag + pillText(ends.find(({ end }) => end === "server") ?? event));
  pill.dataset.id = `event-${event.number}`;
  pill.setAttribute("aria-label", ends.map(inWords).join("; "));
  if (isCurrent) pill.setAttribute("aria-current", "step");
  pill.addEventListener("click", () => {
    state.current = event.number;
    if (exchange !== undefined && event.direction !== undefined) chooseAt(connection, exchange, event);
    changed();
  });
  node.append(side("client"), element("span", classes.join(" "), pill), side("server"));
  return node;
}

/** @param {Told} told @param {Connection} connection */
function sideText({ kind, time, end, by }, connection) {
  const start = state.shown === 0 ? state.start : connection.start;
  const seconds = ((time - start) / 1e6).toFixed(3);
  const words = { opened: end === "server" ? "accepted" : "connected", fin: `FIN ${by === end ? "sent" : "seen"}` };
  const what = Object.hasOwn(words, kind) ? words[/** @type {"opened" | "fin"} */ (kind)] : kind;
  return end === "client" ? `${seconds} ${what}` : `${what} ${seconds}`;
}

/** @param {Told} told */
function pillText(told) {
  if (told.direction !== undefined) return octetsIn(told) + (told.unread ? ` · ${told.unread}` : "");
  if (told.kind === "fin") return `FIN by ${told.by}`;
  if (told.kind === "closed") return `closed ${told.reason}`;
  const { client, server } = told;
  return client && server ? `opened · ${client.port} → ${server.port}` : told.kind;
}

/**
 * An event for those who hear the page.
 *
 * @param {Told} told
 */
export function inWords(told) {
  const where = told.connection > 0 ? `connection ${told.connection}, ` : "";
  switch (told.kind) {
    case "read":
    case "write":
      return `${where}${told.end} ${told.kind} ${octetsIn(told)}${told.unread ? `, ${told.unread}` : ""}`;
    case "fin":
      return `${where}FIN by ${told.by}`;
    case "closed":
      return `${where}closed ${told.reason}`;
    case "opened":
      return told.client ? `${where}opened by ${address(told.client)}` : `${where}opened`;
    default:
      return `${where}${told.kind}`;
  }
}

/**
 * Opens a message.
 *
 * @param {Connection} connection
 * @param {Exchange} exchange
 * @param {Direction} direction
 * @param {number} index
 */
function choose(connection, exchange, direction, index) {
  state.chosen = { connection: connection.number, exchange: exchange.number, direction, index };
  // To look at one message is to stop the clock at its last event.
  const message = direction === "request" ? exchange.request : exchange.responses[index];
  const last = shownEvents().findLast((event) =>
    event.connection === connection.number && event.direction === direction && event.end === "server" &&
    message !== undefined && (event.from ?? 0) < message.to && (event.to ?? 0) > message.from
  );
  if (last !== undefined) state.current = last.number;
  changed();
}
