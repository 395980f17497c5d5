/**
 * The exchange that is open: its messages one under the other, as far as they had come at the moment that is looked at.
 *
 * @typedef {{ start: number, end: number, kind: string, label: string, rule?: string, parts?: Row[] }} Row
 * @typedef {{ detail: string, rule?: string, offset: number, line: string, fix?: string, readings?: string[] }} Broken
 * @typedef {{ octets: string, leftOut: number, rows: Row[], findings: { text: string, rule?: string }[],
 *   fault?: Broken, curl?: string, raw?: string }} Labelled
 * @typedef {{ direction: Direction, message: Message, to: number, cuts: number[], about: string, title: string }} Part
 * @typedef {{ octets: Uint8Array, labelled: Labelled }} Loaded
 * @import { Connection, Direction, Exchange, Message } from "./state.js"
 */

import { readWord } from "./arrows.js";
import { drawLines } from "./octets.js";
import { view } from "./place.js";
import { exchangeAt, octetsSeen } from "./shown.js";
import { mainEnd, state } from "./state.js";
import {
  counted,
  duration,
  element,
  octetsIn,
  part,
  reachWithArrows,
  titleText,
  unbroken,
  visible,
  withRule,
} from "./text.js";

/** Responses of one exchange that are shown: the last ones. */
const MAX_RESPONSES = 6;

/** What is drawn, so that it is not asked for again. */
let drawn = "";
let isLoading = false;
/** Messages that are drawn, by what was asked for. @type {Map<string, Loaded | undefined>} */
let loaded = new Map();
/** The messages that are shown, to be copied. @type {{ request?: Loaded, all: Loaded[] }} */
export let shownMessages = { all: [] };

/** Asks again for whatever is to be drawn. */
export function forgetMessages() {
  drawn = "";
  loaded = new Map();
}

/** The messages of an exchange that had begun at this moment. @param {Connection} connection
 * @param {Exchange} exchange */
function partsOf(connection, { request, responses, answeredIn }) {
  const seen = octetsSeen(connection.number);
  /** @param {Direction} direction @param {Message} message @returns {Part} */
  const partOf = (direction, message) => {
    const to = Math.min(message.to, seen[direction]);
    const cuts = state.events.filter(({ connection: number, direction: way, end, from = 0 }) =>
      number === connection.number && way === direction && end === mainEnd() && from > message.from && from < to
    ).map(({ from = 0 }) => from - message.from);
    const about = [octetsIn({ from: message.from, to })];
    const isLast = message === responses.at(-1);
    if (isLast && answeredIn !== undefined && answeredIn !== "early") about[0] = `answered in ${duration(answeredIn)}`;
    if (!message.whole && message.fault === undefined || to < message.to) about.push("not whole yet");
    if (direction === "request" && isAmongOthers()) about.push(`connection ${connection.number}`);
    return { direction, message, to, cuts, about: about.join(" · "), title: message.title };
  };
  return [
    ...request && request.from < seen.request ? [partOf("request", request)] : [],
    ...responses.slice(-MAX_RESPONSES).filter(({ from }) => from < seen.response).map((one) => partOf("response", one)),
  ];
}

function isAmongOthers() {
  return state.connections.size > 1;
}

/** Draws the exchange that is open. */
export async function drawMessages() {
  const open = exchangeAt(state.chosen);
  const parts = open ? partsOf(open.connection, open.exchange) : [];
  if (open === undefined || parts.length === 0) {
    if (drawn !== "none") drawNone();
    drawn = "none";
    return;
  }
  const { connection, exchange } = open;
  const method = exchange.request?.title.split(" ", 1)[0] ?? "";
  const queries = parts.map(({ direction, message: { from, to: end, whole, fault }, to }) => {
    const isOver = (whole || fault !== undefined) && to === end;
    const query = `connection=${connection.number}&direction=${direction}&from=${from}&to=${to}&whole=${isOver}`;
    return direction === "request" ? query : `${query}&method=${encodeURIComponent(method)}`;
  });
  const marks = parts.map(({ about, cuts }) => about + cuts);
  const wanted = [view.hex, isAmongOthers(), connection.number, exchange.number, ...queries, ...marks].join();
  // One exchange at a time: the newest one is asked for when the last one is here.
  if (wanted === drawn || isLoading) return;
  drawn = wanted;
  isLoading = true;
  const messages = await Promise.all(queries.map(load));
  isLoading = false;
  if (drawn === wanted) {
    loaded = new Map(queries.map((query, index) => [query, messages[index]]));
    show(connection, exchange, parts, messages);
  }
  drawMessages();
}

/** @param {string} query @returns {Promise<Loaded | undefined>} */
async function load(query) {
  const known = loaded.get(query);
  if (known !== undefined) return known;
  // The stream of events shows that the server does not answer.
  const response = fetch(`/live/message?${query}`).then((one) => one.ok ? one.json() : undefined);
  /** @type {Labelled | undefined} */
  const labelled = await response.catch(() => undefined);
  return labelled && { labelled, octets: Uint8Array.from(atob(labelled.octets), (one) => one.charCodeAt(0)) };
}

function drawNone() {
  shownMessages = { all: [] };
  part("message-title").textContent = "no exchange is open";
  part("message-title").title = "";
  part("messages").replaceChildren();
  part("take").hidden = true;
  drawMeaning();
}

/** @param {Connection} connection @param {Exchange} exchange @param {Part[]} parts
 * @param {(Loaded | undefined)[]} messages */
function show(connection, exchange, parts, messages) {
  const { request, responses, unread } = exchange;
  const { nodes, whole } = titleText((request ?? responses[0])?.title ?? "");
  const name = isAmongOthers() ? ` · connection ${connection.number}` : "";
  part("message-title").replaceChildren(...nodes, name);
  part("message-title").title = whole + name;
  const blocks = parts.map((one, index) => drawPart(one, messages[index]));
  if (parts[0].direction === "response") {
    const why = unread === undefined ? "nobody asked for this" : `not read: see the fault of request ${unread}`;
    blocks.unshift(element("p", "absent request", why));
  } else if (parts.length === 1) {
    blocks.push(
      element("p", "absent response", responses.length > 0 || connection.open ? "not yet" : absence(connection)),
    );
  }
  const box = part("messages");
  const isSame = box.dataset.shown === `${connection.number} ${exchange.number}`;
  box.dataset.shown = `${connection.number} ${exchange.number}`;
  const top = box.scrollTop;
  box.replaceChildren(...blocks);
  box.scrollTop = isSame ? top : 0;
  box.querySelector(".part")?.setAttribute("tabindex", "0");
  const all = messages.filter((message) => message !== undefined);
  shownMessages = { all, ...parts[0].direction === "request" && { request: messages[0] } };
  part("take").hidden = all.length === 0;
  for (const what of /** @type {const} */ (["curl", "raw"])) {
    part(`copy-${what}`).toggleAttribute("disabled", shownMessages.request?.labelled[what] === undefined);
  }
  drawMeaning();
}

/** Why there is no response, at the moment that is looked at. @param {Connection} connection */
function absence({ number }) {
  const closed = state.events.findLast((event) => event.connection === number && event.kind === "closed");
  return closed && (state.current === 0 || closed.number <= state.current)
    ? "none: the connection was closed"
    : "not yet";
}

/** @param {Part} part @param {Loaded | undefined} message */
function drawPart({ direction, cuts, about }, message) {
  const block = element("div", `message ${direction}`);
  Object.assign(block, { role: "group", ariaLabel: direction === "request" ? "Request" : "Response" });
  if (message === undefined) {
    block.append(element("p", "absent", "These octets are no longer kept."));
    return block;
  }
  const { octets, labelled } = message;
  block.append(drawLines(octets, labelled, { cuts, about, direction }));
  if (labelled.fault) block.append(drawFault(labelled.fault));
  const { findings, leftOut } = labelled;
  const { word, back } = readWord();
  const pieces = counted(cuts.length + 1, direction === "request" ? word : back);
  const came = { text: `it came in ${pieces}: another one starts at octet ${cuts.join(", ")}` };
  const more = { text: `${leftOut} more octets are not shown` };
  /** @type {typeof findings} */
  const lines = [...findings, ...cuts.length > 0 ? [came] : [], ...leftOut > 0 ? [more] : []];
  const list = element("ul", "findings", ...lines.map(({ text, rule }) => element("li", "", ...withRule(text, rule))));
  if (lines.length > 0) block.append(list);
  return block;
}

/** @param {Broken} fault */
function drawFault({ detail, rule, line, fix, readings = [] }) {
  const box = element("div", "fault", element("strong", "", ...withRule(detail, rule)), element("pre", "", line));
  for (const text of [...fix ? [`fix: ${fix}`] : [], ...readings]) {
    box.append(element("p", "", ...visible(unbroken(text))));
  }
  return box;
}

// What a row means, and its parts, of the one that is pointed at or has the focus.

const messages = part("messages");
for (const type of ["mouseover", "focusin", "mouseleave"]) messages.addEventListener(type, mark);
reachWithArrows(messages, ".part");

/** @param {Event} event */
function mark({ target, type }) {
  const one = target instanceof Element ? target.closest(".part, .what") : null;
  const row = type === "mouseleave" ? undefined : one instanceof HTMLElement ? one.dataset.row : undefined;
  for (const other of messages.querySelectorAll(".part, .what")) {
    if (other instanceof HTMLElement) other.classList.toggle("marked", row !== undefined && other.dataset.row === row);
  }
  drawMeaning(row);
}

/** @param {string} [row] */
function drawMeaning(row) {
  const node = row === undefined ? null : messages.querySelector(`.part[data-row="${row}"]`);
  const text = node?.getAttribute("aria-label") ?? "";
  part("meaning").replaceChildren(...visible(text));
}
