/**
 * The exchange that is open: its messages one under the other, as far as they had come at the moment that is looked at.
 *
 * @typedef {{ start: number, end: number, kind: string, label: string, rule?: string, parts?: Row[] }} Row
 * @typedef {{ detail: string, rule?: string, offset: number, line: string, fix?: string, readings?: string[] }} Broken
 * @typedef {{ octets: string, leftOut: number, rows: Row[], findings: { text: string, rule?: string }[],
 *   fault?: Broken, curl?: string, raw?: string }} Labelled
 * @typedef {{ direction: Direction, message: Message, to: number, cuts: number[], about: string }} Part
 * @typedef {{ octets: Uint8Array, labelled: Labelled }} Loaded
 * @typedef {{ cuts: number[], wrong: number }} Marks Where reads start, and the octet that breaks a rule, -1 if none.
 * @import { Connection, Direction, Exchange, Message, PageEvent } from "./state.js"
 */

import { readWord, whyUnasked } from "./arrows.js";
import { view } from "./place.js";
import { exchangeAt, octetsSeen } from "./shown.js";
import { mainEnd, state } from "./state.js";
import {
  counted,
  duration,
  element,
  hexOf,
  octetsIn,
  octetText,
  part,
  reachWithArrows,
  titleText,
  unbroken,
  visible,
  withRule,
} from "./text.js";

/** Responses of one exchange that are shown: the last ones. */
const MAX_RESPONSES = 6;
/** Octets of one row that are drawn. */
const MAX_SHOWN_OCTETS = 4096;
/** Parts of a row that are described, and octets of a part. */
const MAX_PARTS = 20;
const MAX_PART_OCTETS = 100;
/** Octets in a line of hexadecimal digits. */
const HEX_WIDTH = 8;
/** Octets in a line of a dump. */
const DUMP_WIDTH = 16;
/** How long it is said that something was copied, in milliseconds. */
const SAID_MS = 3000;
/** Octets of content beside which there is no room. */
const LONG_CONTENT = 60;

/** CR and LF as what they do: back to the start, and a line down. @type {Record<number, string>} */
const LINE_ENDS = { 13: "←", 10: "↓" };

/** What is drawn, so that it is not asked for again. */
let drawn = "";
let isLoading = false;
/** Messages that are drawn, by what was asked for. @type {Map<string, Loaded | undefined>} */
let loaded = new Map();
/** The messages that are shown, to be copied. @type {Loaded[]} */
let shownMessages = [];

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
    if (!message.whole && message.fault === undefined || to < message.to) {
      about.push(closing(connection) ? "not whole" : "not whole yet");
    }
    if (direction === "request" && isAmongOthers()) about.push(`connection ${connection.number}`);
    return { direction, message, to, cuts, about: about.join(" · ") };
  };
  return [
    ...request && request.from < seen.request ? [partOf("request", request)] : [],
    ...responses.slice(-MAX_RESPONSES).filter(({ from }) => from < seen.response).map((one) => partOf("response", one)),
  ];
}

function isAmongOthers() {
  return state.connections.size > 1;
}

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
  const marks = [absence(connection), ...parts.map(({ about, cuts }) => about + cuts)];
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
  shownMessages = [];
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
    blocks.unshift(element("p", "absent request", whyUnasked(unread)));
  } else if (parts.length === 1) {
    blocks.push(element("p", "absent response", responses.length > 0 ? "not yet" : absence(connection)));
  }
  const box = part("messages");
  const isSame = box.dataset.shown === `${connection.number} ${exchange.number}`;
  box.dataset.shown = `${connection.number} ${exchange.number}`;
  const top = box.scrollTop;
  box.replaceChildren(...blocks);
  box.scrollTop = isSame ? top : 0;
  box.querySelector(".part")?.setAttribute("tabindex", "0");
  shownMessages = messages.filter((message) => message !== undefined);
  part("take").hidden = shownMessages.length === 0;
  for (const what of /** @type {const} */ (["curl", "raw"])) {
    part(`copy-${what}`).toggleAttribute("disabled", shownMessages[0]?.labelled[what] === undefined);
  }
  drawMeaning();
}

/** @param {Connection} connection @param {(event: PageEvent) => boolean} wanted */
function lastSeen({ number: connection }, wanted) {
  const { current, events } = state;
  return events.findLast((event) =>
    event.connection === connection && wanted(event) && (current === 0 || event.number <= current)
  );
}

/** The event that closed a connection, before the moment that is looked at. @param {Connection} connection */
function closing(connection) {
  return connection.open ? undefined : lastSeen(connection, ({ kind }) => kind === "closed");
}

/** Why there is no response, at the moment that is looked at. @param {Connection} connection */
function absence(connection) {
  /** @param {PageEvent} event */
  const isOfServer = ({ kind, by, direction }) => direction === "response" || kind === "missing" && by === "server";
  const closed = closing(connection);
  if (lastSeen(connection, isOfServer)?.kind === "missing" || closed?.isLacking) return "not captured";
  return closed ? "none: the connection was closed" : "not yet";
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
  const lines = [...findings];
  if (cuts.length > 0) lines.push({ text: `it came in ${pieces}: another one starts at octet ${cuts.join(", ")}` });
  if (leftOut > 0) lines.push({ text: `${counted(leftOut, "more octet")} ${leftOut === 1 ? "is" : "are"} not shown` });
  const list = element("ul", "findings", ...lines.map(({ text, rule }) => element("li", "", ...withRule(text, rule))));
  if (lines.length > 0) block.append(list);
  return block;
}

// Its octets, in lines, and beside each what it means.

/** @param {Uint8Array} octets @param {Labelled} labelled @param {{ cuts: number[], about: string, direction: string
 * }} how Where reads start, and what is said of the message. */
function drawLines(octets, { rows, fault }, { cuts, about, direction }) {
  const lines = element("div", view.hex ? "lines hex" : "lines");
  Object.assign(lines, { role: "list", ariaLabel: `Octets of the ${direction}, with their meaning` });
  const marks = { cuts, wrong: fault?.offset ?? -1 };
  const drawn = rows.map((row, index) => drawRow(octets, row, `${direction}-${index}`, marks));
  // A start line is one line, which three rows describe.
  const isStart = (/** @type {number} */ index) => rows[index]?.kind === "start";
  const first = isStart(0) && !view.hex ? rows.findIndex((_, index) => !isStart(index + 1)) + 1 : 0;
  if (first > 0) {
    const start = element("span", "octets", ...drawn.slice(0, first).map(({ part }) => part));
    lines.append(element("div", "line start", start, element("span", "what", about)));
  }
  for (const [index, { part, what }] of drawn.entries()) {
    if (index < first) continue;
    const octets = element("span", "octets", part);
    const { kind, start, end } = rows[index];
    const classes = ["line", ...index === 0 ? ["start"] : [], ...kind === "content" && !view.hex ? ["content"] : []];
    if (classes.includes("content") && end - start > LONG_CONTENT) classes.push("long");
    lines.append(element("div", classes.join(" "), octets, what));
  }
  return lines;
}

/** @param {Uint8Array} octets @param {Row} row @param {string} id @param {Marks} marks */
function drawRow(octets, { start, end, label, rule, parts = [] }, id, marks) {
  const isWrong = marks.wrong >= start && marks.wrong < end;
  const text = isWrong && label === "" ? `breaks a rule at octet ${marks.wrong}` : label;
  const last = Math.min(end, start + MAX_SHOWN_OCTETS);
  const node = element("span", "part", ...(view.hex ? drawHex : drawText)(octets, start, last, marks));
  if (last < end) node.append(element("span", "faint", ` … ${counted(end - last, "more octet")}`));
  const range = end - start === 1 ? `octet ${start}` : `octets ${start}-${end - 1}`;
  const details = [range, text, rule, ...partTexts(octets, parts)].filter((one) => one);
  Object.assign(node, { role: "listitem", ariaLabel: unbroken(details.join(" · ")), tabIndex: -1 });
  node.dataset.row = id;
  const what = element("span", isWrong ? "what bad" : "what", ...visible(text));
  if (rule) what.append(element("span", "rule", ` · ${rule.replace(/^RFC /, "").replace(" ", "\u00a0")}`));
  what.dataset.row = id;
  // The octets' name says it.
  what.setAttribute("aria-hidden", "true");
  return { part: node, what };
}

/** Cuts octets where a read starts, and around the one that breaks a rule. @param {number} start
 * @param {number} last @param {Marks} marks */
function pieces(start, last, { cuts, wrong }) {
  const stops = [start, ...cuts, wrong, wrong + 1, last].filter((at) => at >= start && at <= last);
  const sorted = [...new Set(stops)].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((from, i) => {
    return { from, to: sorted[i + 1], isCut: cuts.includes(from), isWrong: from === wrong };
  });
}

/** @param {Uint8Array} octets @param {number} start @param {number} last @param {Marks} marks */
function drawText(octets, start, last, marks) {
  return pieces(start, last, marks).flatMap(({ from, to, isCut, isWrong }) => {
    const text = octetText(octets.subarray(from, to));
    return [...isCut ? [cutMark()] : [], ...isWrong ? [element("span", "wrong", ...text)] : text];
  });
}

function cutMark() {
  const cut = element("span", "cut", element("span", "hidden", " another one starts here "));
  cut.title = "another one starts here";
  return cut;
}

/** @param {Uint8Array} octets @param {number} start @param {number} last @param {Marks} marks */
function drawHex(octets, start, last, marks) {
  const nodes = [];
  for (let line = start; line < last; line += HEX_WIDTH) {
    const end = Math.min(line + HEX_WIDTH, last);
    const hex = element("span", "digits");
    let text = "";
    for (const { from, to, isCut, isWrong } of pieces(line, end, marks)) {
      const some = [...octets.subarray(from, to)];
      if (isCut) hex.append(cutMark());
      hex.append(element("span", isWrong ? "wrong" : "", some.map(hexOf).join(" ")), " ");
      for (const octet of some) {
        text += octet > 0x20 && octet < 0x7f ? String.fromCharCode(octet) : LINE_ENDS[octet] ?? "·";
      }
    }
    nodes.push(element("span", "faint", String(line).padStart(4)), hex, element("span", "", text));
  }
  return nodes;
}

/** What a row is made of, where there is more than one thing to say. @param {Uint8Array} octets @param {Row[]} parts */
function partTexts(octets, parts) {
  const named = parts.filter(({ label }) => label !== "");
  if (named.length < 2) return [];
  return named.slice(0, MAX_PARTS).map(({ start, end, label }) => {
    const some = octetText(octets.subarray(start, Math.min(end, start + MAX_PART_OCTETS)));
    return `${some.map((one) => typeof one === "string" ? one : one.textContent).join("").trim()}: ${label}`;
  });
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

// Taking it away: octets that are copied.

/** @param {Uint8Array} octets */
function dump(octets) {
  let text = "";
  for (let at = 0; at < octets.length; at += DUMP_WIDTH) {
    const line = [...octets.subarray(at, at + DUMP_WIDTH)];
    const digits = line.map(hexOf).join(" ").padEnd(3 * DUMP_WIDTH - 1);
    const shown = line.map((octet) => octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : ".").join("");
    text += `${at.toString(16).padStart(8, "0")}  ${digits}  ${shown}\n`;
  }
  return text;
}

/** @type {Record<string, () => string>} */
const FORMS = {
  text: () => shownMessages.map(({ octets }) => new TextDecoder().decode(octets)).join("\n"),
  hex: () => shownMessages.map(({ octets }) => dump(octets)).join("\n"),
  curl: () => shownMessages[0].labelled.curl ?? "",
  raw: () => shownMessages[0].labelled.raw ?? "",
};

/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;

for (const [what, textOf] of Object.entries(FORMS)) {
  part(`copy-${what}`).addEventListener("click", async () => {
    const isCopied = await copy(textOf());
    part("copied").textContent = isCopied ? "copied" : "the browser does not let it be copied";
    clearTimeout(saying);
    saying = setTimeout(() => part("copied").textContent = "", SAID_MS);
  });
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A browser may have no clipboard here, or refuse it, but let a copy of the text be taken.
    /** @param {ClipboardEvent} event */
    const take = (event) => {
      event.stopImmediatePropagation();
      event.preventDefault();
      event.clipboardData?.setData("text/plain", text);
    };
    addEventListener("copy", take, { capture: true, once: true });
    const isCopied = document.execCommand("copy");
    removeEventListener("copy", take, { capture: true });
    return isCopied;
  }
}

// What is selected is copied as the message has it: line ends as they are, and nothing that is said of it.
messages.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (!selection || selection.isCollapsed) return;
  const taken = selection.getRangeAt(0).cloneContents();
  for (const one of taken.querySelectorAll(".what, .findings, .fault, .hidden")) one.remove();
  // The line feed itself is there, after its mark.
  for (const one of taken.querySelectorAll(".end")) one.replaceWith(one.textContent?.startsWith("CR") ? "\r" : "");
  event.clipboardData?.setData("text/plain", taken.textContent ?? "");
  event.preventDefault();
});
