/**
 * One group of the lanes: arrows between the ends, with what they carry.
 *
 * @typedef {{ titles: Node[], about: (Node | string)[] }} Carried What an arrow carries.
 * @import { Connection, Direction, End, Exchange, Message, PageEvent } from "./state.js"
 * @import { Group, Line } from "./lanes.js"
 */

import { goTo, isChosen, openExchange, shownEvents } from "./shown.js";
import { mainEnd, state } from "./state.js";
import { counted, duration, element, octetsIn, titleText, visible } from "./text.js";

/** Lines of one group that are drawn. */
const MAX_LINES = 40;
/** A pause shorter than this, in microseconds, is none. */
export const PAUSE = 100_000;

/** @param {number} micros */
export function drawPause(micros) {
  const pause = element("div", "pause", element("span", "", duration(micros)));
  Object.assign(pause, { role: "listitem", ariaLabel: `pause of ${duration(micros)}` });
  // A longer pause takes more room, ten times as long one line more.
  pause.style.height = `${(1.2 + Math.max(0, Math.log10(micros / PAUSE))).toFixed(2)}rem`;
  return pause;
}

/** @param {Group} group @param {number} number */
export function drawGroup(group, number) {
  const { connection, exchange, lines } = group;
  const { current } = state;
  const node = Object.assign(element("div", exchange === undefined ? "loose" : "group"), { role: "listitem" });
  if (connection.tapped || mainEnd() === "client") node.classList.add("tapped");
  if (isChosen(connection, exchange)) node.classList.add("chosen");
  if (current > 0 && group.first > number) node.classList.add("later");
  const shown = lines.slice(-MAX_LINES);
  const { request, responses = [] } = exchange ?? {};
  // Each on the first arrow that carries some of it.
  const messages = Map.groupBy([request, ...responses].filter((message) => message !== undefined), (message) => {
    const direction = message === request ? "request" : "response";
    return shown.find(({ events: [{ direction: way, from = 0, to = 0 }] }) =>
      way === direction && from < message.to && message.from < to
    ) ?? direction;
  });
  /** @param {Line | Direction} place */
  const carriedBy = (place) => {
    const some = messages.get(place);
    if (exchange === undefined || some === undefined) return { titles: [], about: [] };
    return {
      titles: some.map((message) => drawTitle(connection, exchange, message)),
      about: some.flatMap((message) => aboutMessage(connection, exchange, message, lines)),
    };
  };
  node.append(...drawBehind("wire", readWord().word, carriedBy("request")));
  if (lines.length > MAX_LINES) {
    node.append(element("p", "faint", `${lines.length - MAX_LINES} more reads and writes before these`));
  }
  let last = 0;
  for (const line of shown) {
    const [{ time }] = line.events;
    if (last > 0 && time - last > PAUSE) node.append(drawPause(time - last));
    last = time;
    node.append(drawEvent(line, group, number, carriedBy(line)));
  }
  node.append(...drawBehind("wire back", readWord().back, carriedBy("response")));
  return node;
}

/** An arrow for messages that came with the octets of others. @param {string} classes @param {string} word
 * @param {Carried} carried */
function drawBehind(classes, word, { titles, about }) {
  if (titles.length === 0) return [];
  const wire = element("span", classes, ...titles);
  const beneath = element("span", "beneath", `in the ${word} before`, ...about);
  return [element("div", "event", element("span", "at"), wire, element("span", "at"), beneath)];
}

/** The number of a connection, with its peer's address if that is another machine's. @param {Connection} connection */
function tagOf({ number, peer }) {
  return element("span", "number", `${number} · ${peer === "" ? "" : `${peer} · `}`);
}

/** @param {Connection} connection @param {Exchange} exchange @param {Message} message */
function drawTitle(connection, exchange, message) {
  const isRequest = message === exchange.request;
  const { nodes, whole, isCut } = titleText(message.title);
  const status = isRequest ? 0 : parseInt(message.title);
  const verdict = message.fault !== undefined || status >= 400 ? " bad" : status >= 200 ? " good" : "";
  const title = element("button", `title${verdict}`, ...nodes);
  title.dataset.id = `${connection.number}-${exchange.number}-${
    isRequest ? "request" : exchange.responses.indexOf(message)
  }`;
  if (isCut) title.title = whole;
  const isFirst = isRequest || exchange.request === undefined;
  if (state.shown === 0 && isFirst) title.prepend(tagOf(connection));
  if (isFirst && isChosen(connection, exchange)) title.setAttribute("aria-current", "true");
  title.addEventListener("click", () => openExchange(connection, exchange));
  return title;
}

/** What is said beneath a message's first arrow. @param {Connection} connection @param {Exchange} exchange
 * @param {Message} message @param {Line[]} lines */
function aboutMessage(connection, exchange, message, lines) {
  const { request, responses, answeredIn, unread } = exchange;
  /** @type {(Node | string)[]} */
  const parts = [];
  const isRequest = message === request;
  const events = lines.flatMap(({ events }) => events);
  if (isRequest) {
    const one = readWord();
    const reads = events.filter(({ kind, direction, end }) =>
      kind === one.kind && direction === "request" && end === mainEnd()
    );
    if (reads.length > 1) parts.push(`${octetsIn(request)} in ${counted(reads.length, one.word)}`);
    if (request.behind !== undefined) parts.push(`read on behind the fault of request ${request.behind}`);
  }
  if (!message.whole && message.fault === undefined) parts.push(connection.open ? "not whole yet" : "not whole");
  if (!isRequest && message === responses.at(-1)) {
    if (answeredIn === "early") parts.push("answered before its content had come");
    else if (answeredIn !== undefined) parts.push(`answered in ${duration(answeredIn)}`);
    const sent = events.findLast(({ kind, end }) => kind === "write" && end === "client");
    const back = events.find(({ kind, end }) => kind === "read" && end === "client");
    if (connection.tapped && sent && back && back.time > sent.time) {
      parts.push(`round trip ${duration(back.time - sent.time)}`);
    }
  }
  if (request === undefined && message === responses[0]) {
    parts.push(element("span", "bad", whyUnasked(unread)));
  }
  if (message.fault) parts.push(element("span", "bad", ...visible(message.fault)));
  return parts.flatMap((one) => [" · ", one]);
}

/** Why a response has no request. @param {number | undefined} unread The request whose fault hid it. */
export function whyUnasked(unread) {
  if (unread !== undefined) return `its request was not read: see the fault of request ${unread}`;
  return arePackets() ? "its request is not here" : "nobody asked for this";
}

/** What brings octets to the end that saw them: packets were taken at one place between the ends. */
export function readWord() {
  if (arePackets()) return { kind: "read", word: "segment", back: "segment" };
  return mainEnd() === "client"
    ? { kind: "write", word: "write", back: "read" }
    : { kind: "read", word: "read", back: "write" };
}

/** Whether packets are shown, of which nobody knows what an end did with them. */
function arePackets() {
  return state.recording !== undefined && state.recording.end === undefined;
}

/** @param {Line} line @param {Group} group @param {number} number @param {Carried} carried */
function drawEvent({ events }, { connection, exchange }, number, { titles, about }) {
  const { current, shown } = state;
  const [event] = events;
  if (event.kind === "folded" || event.kind === "missing") return drawRemark(event, connection);
  const isCurrent = current > 0 && events.some((one) => one.number === number);
  const node = element("div", isCurrent ? "event current" : "event");
  if (current > 0 && event.number > number && !isCurrent) node.classList.add("later");
  const isEnd = event.kind === "fin" || event.kind === "closed";
  /** @param {End} end */
  const side = (end) => {
    const seen = arePackets() && end === "server" ? event : events.find((one) => one.end === end);
    return element("span", "at mono", seen === undefined || isEnd ? "" : sideText(seen, connection));
  };
  const pill = element("button", "octets", pillText(events, connection));
  if (shown === 0 && exchange === undefined) pill.prepend(tagOf(connection));
  pill.dataset.id = `event-${event.number}`;
  pill.setAttribute("aria-label", events.map(inWords).join("; "));
  if (isEnd && events.length > 1) {
    pill.title = events.map((one) => `${signalText(one)} ${seconds(one, connection)}`).join("; ");
  }
  if (isCurrent) pill.setAttribute("aria-current", "step");
  const last = isEnd ? events.at(-1) ?? event : event;
  pill.addEventListener("click", () => goTo(shownEvents().findIndex((one) => one.number === last.number)));
  const hasTitle = titles.length > 0;
  const wire = element("span", wireClass(events, connection), ...hasTitle ? titles : [pill]);
  if (state.relay !== undefined) {
    // A relay has the clock: to its left is the client, to its right the server.
    const at = element("span", "at mono", isEnd ? "" : sideText({ ...event, end: "client" }, connection));
    const none = element("span", "");
    node.append(...event.end === "server" ? [wire, at, none] : [none, at, wire]);
  } else node.append(side("client"), wire, side("server"));
  if (hasTitle) node.append(element("span", "beneath", pill, ...about));
  return node;
}

/** @param {[PageEvent, ...PageEvent[]]} events @param {Connection} connection */
function wireClass([event, ...more], connection) {
  const classes = ["wire"];
  const closed = [event, ...more].find(({ kind }) => kind === "closed");
  if (event.direction === undefined) classes.push("signal");
  if (closed) classes.push("neutral");
  else if (event.direction === "response" || event.direction === undefined && event.by === "server") {
    classes.push("back");
  }
  if (event.direction !== undefined && connection.tapped && more.length === 0) {
    classes.push(event.kind === "write" ? "half-start" : "half-end");
  }
  return classes.join(" ");
}

/** What is no event of an end: octets that are not there, a connection without HTTP. @param {PageEvent} event @param {Connection} connection */
function drawRemark(event, connection) {
  const text = event.reason ?? "";
  const tag = state.shown === 0 && !text.startsWith("connection ") ? [tagOf(connection)] : [];
  return element("p", "remark faint", ...tag, ...visible(text));
}

/** @param {PageEvent} event @param {Connection} connection */
function seconds({ time }, connection) {
  return ((time - (state.shown === 0 ? state.start ?? 0 : connection.start)) / 1e6).toFixed(3);
}

/** @param {PageEvent} event @param {Connection} connection */
function sideText(event, connection) {
  const { kind, end, packet } = event;
  const opened = { server: "accepted", client: "connected" }[end];
  const what = arePackets() ? `packet ${packet}` : kind === "opened" ? opened : kind;
  return end === "client" ? `${seconds(event, connection)} ${what}` : `${what} ${seconds(event, connection)}`;
}

/** @param {PageEvent} event */
function signalText({ kind, by, reason }) {
  return kind === "fin" ? `FIN by the ${by}` : `closed ${reason}`;
}

/** @param {[PageEvent, ...PageEvent[]]} events @param {Connection} connection */
function pillText(events, connection) {
  const [event] = events;
  // Both ends say the same of the connection's end: one line, the last word of it.
  const closed = events.filter(({ kind }) => kind === "closed");
  const last = closed.find(({ end }) => end === mainEnd()) ?? closed[0] ?? events.at(-1) ?? event;
  if (last.kind === "fin" || last.kind === "closed") return `${signalText(last)} · ${seconds(last, connection)}`;
  const main = events.find(({ end }) => end === mainEnd()) ?? event;
  if (main.direction !== undefined) {
    return (arePackets() ? "segment of " : "") + octetsIn(main) + (main.unread ? ` · ${main.unread}` : "");
  }
  const { client, server, peer } = main;
  if (!client || !server) return main.kind;
  // The address of a peer on this machine says nothing.
  const [from, to] = [client, server].map((one) => peer ? one : one.replace(/.*:/, ""));
  return `opened · ${from} → ${to}`;
}

/** An event for those who hear the page. @param {PageEvent} event */
export function inWords(event) {
  const where = `connection ${event.connection}, `;
  const { direction, kind, packet, unread } = event;
  const packets = arePackets();
  if (direction !== undefined) {
    const octets = `${octetsIn(event)}${unread ? `, ${unread}` : ""}`;
    if (!packets) return `${where}${event.end} ${kind} ${octets}`;
    return `${where}segment of ${octets} from the ${direction === "request" ? "client" : "server"}, packet ${packet}`;
  }
  const at = packets && packet ? `, packet ${packet}` : "";
  if (kind === "opened") return event.client ? `${where}opened by ${event.client}${at}` : `${where}opened`;
  return `${where}${kind === "fin" || kind === "closed" ? signalText(event) : event.reason ?? kind}${at}`;
}
