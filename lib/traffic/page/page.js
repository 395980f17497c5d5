/**
 * The page: what happens on the server's connections, drawn from the events that it streams.
 *
 * Everything that came from a peer becomes text through `textContent`, never markup.
 *
 * @typedef {{ detail: string, rule: string, offset: number }} Fault
 * @typedef {{ from: number, to: number, whole: boolean, title: string, status: number, fault?: Fault }} Message
 * @typedef {{ number: number, request?: Message, responses: Message[] }} Exchange
 * @typedef {"request" | "response"} Direction
 * @typedef {"client" | "server"} End
 * @typedef {[name: string, value: string][]} Cells
 * @typedef {{ hostname: string, port: number }} Address
 * @typedef {{
 *   number: number, kind: string, time: number, connection: number, end: End, client?: Address, server?: Address,
 *   secure?: boolean, direction?: Direction, from?: number, to?: number, by?: End, reason?: string,
 *   exchanges?: Exchange[], rows?: [string, Cells | null][], total?: number, large?: boolean,
 *   leftOut?: { connections: number, events: number }
 * }} Told
 * @typedef {{ number: number, client: string, server: string, open: boolean, start: number, tapped: boolean,
 *   exchanges: Map<number, Exchange> }} Connection
 * @typedef {{ rows: Map<string, Cells | null>, total: number, large: boolean }} Table
 * @typedef {{ connection: number, exchange: number, direction: Direction, index: number }} Choice
 * @typedef {{ start: number, end: number, label: string, rule?: string, parts?: Row[] }} Row
 * @typedef {{ by: string, start: number, end: number, next: string, missing: number }} Reading
 * @typedef {{ detail: string, rule?: string, offset: number, fix?: string, readings?: Reading[] }} Broken
 * @typedef {{ octets: string, leftOut: number, rows: Row[], findings: { text: string, rule?: string }[],
 *   fault?: Broken }} Labelled
 * @typedef {{ kind: "event", event: Told, twin?: Told } | { kind: "pause", time: number, micros: number }} Line
 * @typedef {{ key: string, connection: Connection, exchange?: Exchange, lines: Line[], first: number, last: number }} Group
 */

const MAX_EVENTS = 10_000;
/** Groups that are drawn at a time: those around the current event. */
const MAX_GROUPS = 60;
/** Lines of one group that are drawn. */
const MAX_LINES = 40;
const MAX_CHIPS = 12;
/** Rows of a table that is too large to be shown whole, as the server tells them. */
const MAX_ROWS = 500;
/** Octets of one row, and of the dump, that are drawn. */
const MAX_SHOWN_OCTETS = 4096;
/** A pause shorter than this, in microseconds, is none. */
const PAUSE = 100_000;
// deno-lint-ignore no-control-regex -- these are the ones to be escaped
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

/** @type {Told[]} */
let events = [];
/** @type {Map<number, Connection>} */
let connections = new Map();
/** @type {Table} */
let base = emptyTable();
/** @type {Table} */
let latest = emptyTable();
let followed = false;
/** The connection that is shown; 0 for all. */
let shown = 0;
/** The number of the event that is looked at; 0 while live. */
let current = 0;
/** @type {Choice | undefined} */
let chosen;
/** What was drawn of the octets, so that it is not fetched again. */
let drawnOctets = "";
let asHex = false;
let scheduled = false;
/** @type {string[]} */
const commands = [];
let recalled = 0;

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
function part(id) {
  return /** @type {T} */ (document.getElementById(id));
}

const slider = /** @type {HTMLInputElement} */ (part("slider"));
const command = /** @type {HTMLInputElement} */ (part("command"));

/**
 * @param {string} name
 * @param {string} className
 * @param {(Node | string)[]} children
 */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

/**
 * Text of a peer with what could steer the reader's eye escaped.
 *
 * @param {string} text
 * @returns {(Node | string)[]}
 */
function visible(text) {
  return text.split(new RegExp(`(${UNSAFE.source})`)).filter((piece) => piece !== "").map((piece) => {
    if (!UNSAFE.test(piece) || piece.length > 1) return piece;
    const code = piece.charCodeAt(0);
    const escape = code <= 0xff ? `\\x${hexOf(code)}` : `\\u${code.toString(16).padStart(4, "0")}`;
    return element("span", "escaped", escape);
  });
}

/**
 * Text in which the number of an RFC and its section stay on one line.
 *
 * @param {string} text
 */
function unbroken(text) {
  return text.replace(/RFC (\d+) §/g, "RFC\u00a0$1\u00a0§");
}

/**
 * @param {string} text
 * @param {string | undefined} rule
 */
function withRule(text, rule) {
  return visible(unbroken(rule ? `${text} (${rule})` : text));
}

/** @param {number} octet */
function hexOf(octet) {
  return octet.toString(16).padStart(2, "0");
}

/**
 * Text of a head, one character an octet, as UTF-8.
 *
 * @param {string} octets
 */
function readable(octets) {
  return new TextDecoder().decode(Uint8Array.from(octets, (character) => character.charCodeAt(0)));
}

/** @returns {Table} */
function emptyTable() {
  return { rows: new Map(), total: 0, large: false };
}

/**
 * @param {Table} table
 * @param {Told} told
 */
function applyRows(table, told) {
  if (told.rows === undefined) return;
  const large = told.large === true;
  if (told.kind === "table" || large && !table.large) table.rows.clear();
  table.total = told.total ?? 0;
  table.large = large;
  for (const [name, cells] of told.rows) {
    if (large) table.rows.delete(name);
    if (cells === null && !large) table.rows.delete(name);
    else table.rows.set(name, cells);
    if (table.rows.size > MAX_ROWS) table.rows.delete(/** @type {string} */ (table.rows.keys().next().value));
  }
}

/** @param {Table} table @returns {Table} */
function copyOf(table) {
  return { ...table, rows: new Map(table.rows) };
}

/** @param {any} start */
function startOver(start) {
  events = [];
  connections = new Map();
  base = { rows: new Map(start.rows), total: start.total, large: start.large };
  latest = copyOf(base);
  followed = false;
  shown = current = 0;
  chosen = undefined;
  drawnOctets = "";
  part("address").textContent = start.table.replace(/^http:\/\//, "");
  notice(start.missed > 0 ? `This page was too slow and missed ${start.missed} events.` : "");
  draw();
}

/** @param {Told} told */
function take(told) {
  events.push(told);
  if (events.length > MAX_EVENTS) applyRows(base, /** @type {Told} */ (events.shift()));
  applyRows(latest, told);
  if (told.kind === "table") followed = true;
  if (told.kind === "left out") {
    followed = false;
    const { connections, events } = /** @type {{ connections: number, events: number }} */ (told.leftOut);
    notice(`Too much at once: ${connections} connections are left out, with ${events} events.`);
  }
  if (told.connection > 0) takeConnection(told);
  schedule();
}

/** @param {Told} told */
function takeConnection(told) {
  let connection = connections.get(told.connection);
  if (connection === undefined) {
    connection = {
      number: told.connection,
      client: "",
      server: "",
      open: true,
      start: told.time,
      tapped: false,
      exchanges: new Map(),
    };
    connections.set(told.connection, connection);
    // Connections without events any more are forgotten with them.
    if (connections.size > 2 * MAX_CHIPS && connections.size % 64 === 0) forgetOld();
  }
  if (told.client && told.server) {
    connection.client = address(told.client);
    connection.server = address(told.server) + (told.secure ? " TLS" : "");
  }
  if (told.end === "client") connection.tapped = true;
  if (told.kind === "closed" && told.end === "server") connection.open = false;
  for (const exchange of told.exchanges ?? []) {
    connection.exchanges.set(exchange.number, exchange);
    if (current === 0) chooseNewest(connection, exchange);
  }
}

function forgetOld() {
  const kept = new Set(events.map(({ connection }) => connection));
  for (const number of connections.keys()) if (!kept.has(number)) connections.delete(number);
}

/**
 * Live, the newest message is the opened one: the request, until its response breaks a rule.
 *
 * @param {Connection} connection
 * @param {Exchange} exchange
 */
function chooseNewest({ number }, exchange) {
  if (shown !== 0 && shown !== number) return;
  const broken = exchange.responses.findIndex(({ fault }) => fault);
  const response = exchange.request === undefined || broken >= 0;
  chosen = {
    connection: number,
    exchange: exchange.number,
    direction: response ? "response" : "request",
    index: Math.max(0, broken),
  };
}

/** @param {Address} address */
function address({ hostname, port }) {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** @param {string} text */
function notice(text) {
  const line = part("notice");
  line.textContent = text;
  line.hidden = text === "";
}

// Drawing

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    draw();
  });
}

/** The events that are shown, in the order of their times. */
function shownEvents() {
  return shown === 0 ? events : events.filter(({ connection }) => connection === shown);
}

function draw() {
  const list = shownEvents();
  const found = current === 0 ? list.length - 1 : list.findIndex(({ number }) => number >= current);
  const at = found < 0 ? list.length - 1 : found;
  drawChips();
  drawTime(list, at);
  drawLanes(list, at);
  drawTable(list[at]);
  drawMessage();
}

function drawChips() {
  const chips = part("connections");
  const numbers = [...connections.keys()].sort((a, b) => a - b).slice(-MAX_CHIPS);
  if (shown !== 0 && !numbers.includes(shown)) numbers.unshift(shown);
  const wanted = [0, ...numbers];
  const state = wanted.map((number) => `${number} ${connections.get(number)?.open} ${number === shown}`).join();
  if (chips.dataset.state === state) return;
  chips.dataset.state = state;
  const hadFocus = chips.contains(document.activeElement);
  chips.replaceChildren(...wanted.map((number) => {
    const open = connections.get(number)?.open === true;
    const chip = element("button", "", number === 0 ? "all" : String(number));
    chip.setAttribute("aria-pressed", String(number === shown));
    chip.setAttribute(
      "aria-label",
      number === 0 ? "All connections" : `Connection ${number}, ${open ? "open" : "closed"}`,
    );
    if (open) chip.append(element("span", "dot"));
    chip.addEventListener("click", () => {
      shown = number;
      draw();
    });
    return chip;
  }));
  if (hadFocus) {
    /** @type {HTMLElement | null} */ (chips.querySelector('[aria-pressed="true"]'))?.focus();
  }
}

/** @param {Told[]} list @param {number} at */
function drawTime(list, at) {
  slider.max = String(Math.max(0, list.length - 1));
  slider.value = String(at);
  const position = list.length === 0 ? "no events" : `${at + 1} of ${list.length}`;
  part("position").textContent = position;
  slider.setAttribute("aria-valuetext", list.length === 0 ? position : `${position}: ${inWords(list[at])}`);
  part("live").setAttribute("aria-pressed", String(current === 0));
}

/** @param {Told} told */
function inWords(told) {
  const where = told.connection > 0 ? `connection ${told.connection}, ` : "";
  switch (told.kind) {
    case "read":
    case "write":
      return `${where}${told.end} ${told.kind} ${octetsIn(told)}`;
    case "fin":
      return `${where}FIN by ${told.by}`;
    case "closed":
      return `${where}closed ${told.reason}`;
    default:
      return `${where}${told.kind}`;
  }
}

/** @param {{ from?: number, to?: number }} range */
function octetsIn({ from = 0, to = 0 }) {
  return to - from === 1 ? "1 octet" : `${to - from} octets`;
}

/**
 * Events as groups: one for each exchange, and one for what belongs to none.
 *
 * @param {Told[]} list
 * @returns {Group[]}
 */
function groupsOf(list) {
  /** @type {Group[]} */
  const groups = [];
  /** @type {Map<string, Group>} */
  const byKey = new Map();
  for (const event of list) {
    const connection = connections.get(event.connection);
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
  for (const { lines } of groups) lines.sort((a, b) => timeOf(a) - timeOf(b));
  return withQuietExchanges(groups);
}

/**
 * Several requests may come with one read: those behind the first have a heading alone.
 *
 * @param {Group[]} groups
 */
function withQuietExchanges(groups) {
  const drawn = new Set(groups.map(({ key }) => key));
  return groups.flatMap((group) => {
    const { connection, exchange, lines, first, last } = group;
    /** @type {Group[]} */
    const all = [group];
    const read = lines.findLast((line) => line.kind === "event" && line.event.direction === "request");
    if (exchange === undefined || read?.kind !== "event") return all;
    for (let number = exchange.number + 1; all.length < MAX_GROUPS; number++) {
      const next = connection.exchanges.get(number);
      const key = `${connection.number} ${number}`;
      if (next?.request === undefined || next.request.from >= (read.event.to ?? 0) || drawn.has(key)) break;
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
function looseKey({ kind, number, by, end, direction }) {
  if (direction !== undefined) return `event ${number}`;
  return kind === "closed" ? `${kind} ${end}` : `${kind} ${by}`;
}

/** @param {Line} line */
function timeOf(line) {
  return line.kind === "event" ? line.event.time : line.time;
}

/**
 * A write at one end and the read of the same octets at the other are one line.
 *
 * @param {Group} group
 * @param {Told} event
 */
function addLine(group, event) {
  const twin = group.lines.find((line) =>
    line.kind === "event" && line.twin === undefined && line.event.end !== event.end &&
    isTwin(line.event, event)
  );
  if (twin?.kind === "event") twin.twin = event;
  else group.lines.push({ kind: "event", event });
}

/** @param {Told} a @param {Told} b */
function isTwin(a, b) {
  if (a.direction !== undefined) return a.direction === b.direction && a.from === b.from && a.to === b.to;
  return a.kind === b.kind && a.by === b.by && a.kind !== "closed";
}

/**
 * The first exchange that an event's octets belong to.
 *
 * @param {Connection} connection
 * @param {Told} event
 * @returns {Exchange | undefined}
 */
function exchangeOf({ exchanges }, { direction, from = 0, to = 0 }) {
  if (direction === undefined) return undefined;
  /** @param {Exchange} exchange */
  const messages = ({ request, responses }) =>
    (direction === "request" ? [request] : responses).filter((message) => message !== undefined);
  // The newest first: that is where events come in.
  const newest = [...exchanges.values()].reverse();
  return newest.find((exchange) => messages(exchange).some((message) => message.from <= from && from < message.to)) ??
    newest.findLast((exchange) => messages(exchange).some((message) => from < message.from && message.from < to));
}

/** @type {Map<string, { state: string, node: HTMLElement }>} */
let drawn = new Map();

/** @param {Told[]} list @param {number} at */
function drawLanes(list, at) {
  const one = connections.get(shown);
  part("client").textContent = one?.client ?? (connections.size > 0 ? "all connections" : "");
  part("server").textContent = one?.server ?? [...connections.values()].at(-1)?.server ?? "";
  part("empty").hidden = list.some(({ connection }) => connection > 0);
  // Around the current event, as many events as can make the groups that are drawn.
  const span = 4 * MAX_GROUPS;
  const from = Math.max(0, at - span);
  const all = groupsOf(list.slice(from, at + 1 + (current === 0 ? 0 : span)));
  const number = list[at]?.number ?? 0;
  const index = all.findIndex(({ first, last }) => first <= number && number <= last);
  const middle = index < 0 ? all.length - 1 : index;
  const end = Math.min(all.length, Math.max(middle + MAX_GROUPS / 2, MAX_GROUPS));
  const groups = all.slice(Math.max(0, end - MAX_GROUPS), end);
  const first = groups[0]?.first ?? 0;
  const earlier = list.filter(({ number, connection }) => connection > 0 && number < first).length;
  part("earlier").hidden = earlier === 0;
  part("earlier").textContent = `${earlier} earlier ${
    earlier === 1 ? "event" : "events"
  }: step back, or move the slider`;
  /** @type {typeof drawn} */
  const next = new Map();
  let last = 0;
  const nodes = groups.flatMap((group) => {
    const state = stateOf(group, number);
    const known = drawn.get(group.key);
    const entry = known?.state === state ? known : { state, node: drawGroup(group, number) };
    next.set(group.key, entry);
    if (group.lines.length === 0) return [entry.node];
    const time = timeOf(group.lines[0]);
    const pause = last > 0 && time - last > PAUSE ? [drawPause(time - last)] : [];
    last = Math.max(...group.lines.map(timeOf));
    return [...pause, entry.node];
  });
  drawn = next;
  const lanes = part("lanes");
  const focused = document.activeElement instanceof HTMLElement && lanes.contains(document.activeElement)
    ? document.activeElement.dataset.id
    : undefined;
  lanes.replaceChildren(...nodes);
  if (focused !== undefined) {
    /** @type {HTMLElement | null} */ (lanes.querySelector(`[data-id="${focused}"]`))?.focus({ preventScroll: true });
  }
  const traffic = part("traffic");
  if (current === 0) traffic.scrollTop = traffic.scrollHeight;
  else lanes.querySelector(".event.current")?.scrollIntoView({ block: "nearest" });
}

/** @param {Group} group @param {number} number */
function stateOf({ lines, exchange, connection, first, last }, number) {
  const isChosen = chosen?.connection === connection.number && chosen.exchange === exchange?.number;
  const place = current === 0 ? "live" : number >= first && number <= last ? number : number < first;
  const twins = lines.filter((line) => line.kind === "event" && line.twin).length;
  const sides = exchange &&
    [exchange.request, ...exchange.responses].map((one) =>
      `${one?.to} ${one?.whole} ${one?.title} ${one?.fault?.detail}`
    );
  return `${lines.length} ${twins} ${sides} ${isChosen} ${place} ${connection.tapped} ${shown}`;
}

/** @param {number} micros */
function duration(micros) {
  if (micros < 10_000) return `${(micros / 1000).toFixed(1)} ms`;
  return micros < 1_000_000 ? `${Math.round(micros / 1000)} ms` : `${(micros / 1e6).toFixed(1)} s`;
}

/** @param {number} micros */
function drawPause(micros) {
  const pause = element("div", "pause", element("span", "", duration(micros)));
  // A longer pause takes more room, ten times as long one line more.
  pause.style.height = `${(1.4 + Math.max(0, Math.log10(micros / PAUSE))).toFixed(2)}rem`;
  return pause;
}

/** @param {Group} group @param {number} number */
function drawGroup(group, number) {
  const { connection, exchange, lines } = group;
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
    if (last > 0 && timeOf(line) - last > PAUSE) node.append(drawPause(timeOf(line) - last));
    last = timeOf(line);
    if (line.kind === "event") node.append(drawEvent(line.event, line.twin, connection, exchange, number));
  }
  return node;
}

/** @param {Group} group @param {Exchange} exchange */
function drawHeading({ connection, lines }, exchange) {
  const { request, responses } = exchange;
  const heading = element("div", "heading");
  if (request !== undefined) {
    const title = element("button", "", ...visible(readable(request.title || "…")));
    if (shown === 0) title.prepend(element("span", "number", `${connection.number} · `));
    title.dataset.id = `${connection.number}-${exchange.number}-request`;
    title.addEventListener("click", () => choose(connection, exchange, "request", 0));
    heading.append(title);
  }
  const { text, bad } = aboutRequest(exchange, lines);
  heading.append(element("span", bad ? "about bad" : "about", ...visible(text)));
  responses.forEach((response, index) => {
    const status = element("button", statusClass(response), ...visible(readable(response.title || "…")));
    status.dataset.id = `${connection.number}-${exchange.number}-response-${index}`;
    status.addEventListener("click", () => choose(connection, exchange, "response", index));
    heading.append(status);
  });
  return heading;
}

/** @param {Message} response */
function statusClass({ status, fault }) {
  return fault !== undefined || status >= 400 ? "bad" : status >= 200 ? "good" : "";
}

/** @param {Exchange} exchange @param {Line[]} lines */
function aboutRequest({ request, responses }, lines) {
  const broken = [request, ...responses].find((message) => message?.fault);
  if (broken?.fault) {
    const { detail, offset } = broken.fault;
    return { text: offset < 0 ? detail : `${detail} · octet ${offset}`, bad: true };
  }
  if (request === undefined) return { text: "nobody asked for this", bad: true };
  const events = lines.flatMap((line) => line.kind === "event" ? [line.event, ...line.twin ? [line.twin] : []] : []);
  const reads = events.filter(({ kind, direction, end }) =>
    kind === "read" && direction === "request" && end === "server"
  );
  const written = events.find(({ direction, end }) => direction === "response" && end === "server");
  const parts = [octetsIn(request)];
  if (reads.length > 0) parts[0] += ` in ${reads.length === 1 ? "1 read" : `${reads.length} reads`}`;
  else parts[0] += " in the read before";
  if (!request.whole) parts.push("not whole yet");
  if (written && reads.length > 0) parts.push(`answered in ${duration(written.time - reads[reads.length - 1].time)}`);
  return { text: parts.join(" · "), bad: false };
}

/**
 * @param {Told} event
 * @param {Told | undefined} twin
 * @param {Connection} connection
 * @param {Exchange | undefined} exchange
 * @param {number} number
 */
function drawEvent(event, twin, connection, exchange, number) {
  const isCurrent = current > 0 && (event.number === number || twin?.number === number);
  const node = element("div", isCurrent ? "event current" : "event");
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
  const pill = element("button", "", tag + pillText(event));
  pill.dataset.id = `event-${event.number}`;
  pill.setAttribute("aria-label", ends.map(inWords).join("; "));
  pill.addEventListener("click", () => {
    current = event.number;
    if (exchange !== undefined && event.direction !== undefined) chooseAt(connection, exchange, event);
    draw();
  });
  node.append(side("client"), element("span", classes.join(" "), pill), side("server"));
  return node;
}

/** @param {Told} told @param {Connection} connection */
function sideText({ kind, time, end, by }, connection) {
  const seconds = ((time - connection.start) / 1e6).toFixed(3);
  const what = kind === "opened" ? (end === "server" ? "accepted" : "connected") : kind;
  if (kind === "fin") return `FIN ${by === end ? "sent" : "seen"} ${seconds}`;
  return end === "client" ? `${seconds} ${what}` : `${what} ${seconds}`;
}

/** @param {Told} told */
function pillText(told) {
  if (told.direction !== undefined) return octetsIn(told);
  if (told.kind === "fin") return `FIN by ${told.by}`;
  if (told.kind === "closed") return `closed ${told.reason}`;
  return told.kind;
}

/**
 * @param {Connection} connection
 * @param {Exchange} exchange
 * @param {Told} event
 */
function chooseAt(connection, exchange, { direction, from = 0 }) {
  const index = exchange.responses.findIndex((message) => message.from <= from && from < message.to);
  chosen = {
    connection: connection.number,
    exchange: exchange.number,
    direction: direction ?? "request",
    index: Math.max(0, index),
  };
}

/**
 * @param {Connection} connection
 * @param {Exchange} exchange
 * @param {Direction} direction
 * @param {number} index
 */
function choose(connection, exchange, direction, index) {
  chosen = { connection: connection.number, exchange: exchange.number, direction, index };
  // To look at one message is to stop the clock at its last event.
  const message = direction === "request" ? exchange.request : exchange.responses[index];
  const last = shownEvents().findLast((event) =>
    event.connection === connection.number && event.direction === direction && event.end === "server" &&
    message !== undefined && (event.from ?? 0) < message.to && (event.to ?? 0) > message.from
  );
  if (last !== undefined) current = last.number;
  draw();
}

// The table

let drawnTable = "";

/** @param {Told | undefined} event */
function drawTable(event) {
  const at = current === 0 ? events.at(-1)?.number ?? 0 : event?.number ?? 0;
  // Live, the last change stays marked until the next one.
  const marking = current === 0
    ? events.findLast((one) => one.rows !== undefined && one.kind !== "table")
    : events.find((one) => one.number === at && one.kind !== "table");
  const state = `${current === 0 ? "live" : at} ${marking?.number} ${followed} ${latest.total} ${
    events.findLast((one) => one.rows !== undefined)?.number
  }`;
  if (state === drawnTable) return;
  drawnTable = state;
  let table = latest;
  if (current !== 0) {
    table = copyOf(base);
    for (const one of events) {
      if (one.number > at) break;
      applyRows(table, one);
    }
  }
  let before = emptyTable();
  if (marking?.rows !== undefined) {
    before = copyOf(base);
    for (const one of events) {
      if (one.number >= marking.number) break;
      applyRows(before, one);
    }
  }
  part("table-title").textContent = current === 0 ? "table now" : `table after event ${at}`;
  part("table-size").textContent = table.total === 1 ? "1 row" : `${table.total} rows`;
  part("table-note").textContent = !followed
    ? "not followed: too much at once, or not asked for yet"
    : table.large
    ? "as this server answered: the rows touched last"
    : "as this server answered";
  drawRows(table, before, new Map(marking?.rows ?? []));
}

/**
 * @param {Table} table
 * @param {Table} before
 * @param {Map<string, Cells | null>} changes
 */
function drawRows(table, before, changes) {
  const rows = [...table.rows];
  for (const [name, cells] of changes) {
    if (cells === null && !table.rows.has(name)) rows.push([name, before.rows.get(name) ?? null]);
  }
  const names = [...new Set(rows.flatMap(([, cells]) => (cells ?? []).map(([name]) => name)))].slice(0, 50);
  const head = element(
    "tr",
    "",
    ...["name", ...names].map((name) => {
      const cell = element("th", "", ...visible(name));
      cell.setAttribute("scope", "col");
      return cell;
    }),
  );
  part("table-head").replaceChildren(...rows.length === 0 ? [] : [head]);
  part("table-rows").replaceChildren(...rows.map(([name, cells]) => {
    const known = before.rows.get(name) ?? undefined;
    const isChange = changes.has(name);
    const mark = !isChange ? "" : changes.get(name) === null ? "removed" : known === undefined ? "added" : "changed";
    const row = element("tr", mark);
    const title = element("th", "", ...visible(name));
    title.setAttribute("scope", "row");
    if (mark !== "") title.append(element("span", "hidden", ` (${mark})`));
    const old = new Map(known ?? []);
    const values = new Map(cells ?? []);
    row.append(
      title,
      ...names.map((member) => {
        const value = values.get(member) ?? "";
        const isChanged = mark === "changed" && (old.get(member) ?? "") !== value;
        return element("td", isChanged ? "changed" : "", ...visible(value));
      }),
    );
    return row;
  }));
  if (changes.size > 0) part("table-rows").querySelector("[class]")?.scrollIntoView({ block: "nearest" });
}

// A message's octets

async function drawMessage() {
  const connection = chosen && connections.get(chosen.connection);
  const exchange = chosen && connection?.exchanges.get(chosen.exchange);
  const message = exchange && chosen &&
    (chosen.direction === "request" ? exchange.request : exchange.responses[chosen.index]);
  if (!chosen || !connection || !exchange || !message) {
    if (drawnOctets === "none") return;
    drawnOctets = "none";
    part("message-title").textContent = "every octet";
    for (const id of ["octets", "rows", "findings"]) part(id).replaceChildren();
    part("fault").hidden = true;
    return;
  }
  const { direction } = chosen;
  const state = [chosen.connection, direction, message.from, message.to, message.whole, asHex].join();
  if (state === drawnOctets) return;
  drawnOctets = state;
  const method = readable(exchange.request?.title ?? "").split(" ")[0];
  const title = readable(exchange.request?.title ?? "") + ` · ${direction}, every octet`;
  part("message-title").replaceChildren(...visible(title));
  const query = new URLSearchParams({
    connection: String(chosen.connection),
    direction,
    from: String(message.from),
    to: String(message.to),
    whole: String(message.whole),
    ...direction === "response" && { method },
  });
  const response = await fetch(`/live/message?${query}`).catch(() => undefined);
  if (drawnOctets !== state) return;
  if (!response?.ok) {
    part("octets").textContent = "These octets are no longer kept.";
    for (const id of ["rows", "findings"]) part(id).replaceChildren();
    return;
  }
  /** @type {Labelled} */
  const labelled = await response.json();
  if (drawnOctets !== state) return;
  const octets = Uint8Array.from(atob(labelled.octets), (character) => character.charCodeAt(0));
  const cuts = events.filter((event) =>
    event.connection === connection.number && event.direction === direction && event.end === "server" &&
    (event.from ?? 0) > message.from && (event.from ?? 0) < message.to
  ).map((event) => (event.from ?? 0) - message.from);
  part("octets").replaceChildren(...asHex ? [drawDump(octets, labelled.rows)] : drawText(octets, labelled, cuts));
  part("rows").replaceChildren(...labelled.rows.flatMap((row, index) => drawRow(octets, row, index)));
  drawFindings(octets, labelled, cuts);
}

/**
 * The message as text, one span for each row, with marks where a read starts and where it breaks a rule.
 *
 * @param {Uint8Array} octets
 * @param {Labelled} labelled
 * @param {number[]} cuts
 */
function drawText(octets, { rows, fault }, cuts) {
  return rows.map(({ start, end }, index) => {
    const span = element("span", "part");
    span.dataset.row = String(index);
    const last = Math.min(end, start + MAX_SHOWN_OCTETS);
    const wrong = fault === undefined ? -1 : fault.offset;
    const stops = [start, ...cuts, wrong, wrong + 1, last].filter((at) => at >= start && at <= last);
    const sorted = [...new Set(stops)].sort((a, b) => a - b);
    sorted.slice(0, -1).forEach((from, i) => {
      if (cuts.includes(from)) {
        const cut = element("span", "cut", element("span", "hidden", " another read starts here "));
        cut.title = "another read starts here";
        span.append(cut);
      }
      const text = octetText(octets.subarray(from, sorted[i + 1]));
      span.append(...from === wrong ? [element("span", "wrong", ...text)] : text);
    });
    if (last < end) span.append(` … ${end - last} more octets`);
    return span;
  });
}

/**
 * Octets as text, line ends visible.
 *
 * @param {Uint8Array} octets
 * @returns {(Node | string)[]}
 */
function octetText(octets) {
  const text = new TextDecoder().decode(octets);
  return text.split(/(\r\n|\r|\n)/).filter((piece) => piece !== "").flatMap((piece) => {
    if (!/[\r\n]/.test(piece)) return visible(piece);
    const name = piece === "\r\n" ? "CR LF" : piece === "\r" ? "CR" : "LF";
    return [element("span", "end", name), piece.endsWith("\n") ? "\n" : ""];
  });
}

/** @param {Uint8Array} octets @param {Row[]} rows */
function drawDump(octets, rows) {
  const dump = element("div", "hex");
  const length = Math.min(octets.length, MAX_SHOWN_OCTETS);
  const width = part("octets").clientWidth > 600 ? 16 : 8;
  let row = 0;
  for (let line = 0; line < length; line += width) {
    const hex = element("span", "");
    const text = element("span", "");
    for (let at = line; at < Math.min(line + width, length); at++) {
      while (row < rows.length - 1 && at >= rows[row].end) row++;
      const octet = octets[at];
      const printable = octet > 0x20 && octet < 0x7f;
      for (
        const [column, shown]
          of /** @type {const} */ ([[hex, hexOf(octet)], [text, printable ? String.fromCharCode(octet) : "·"]])
      ) {
        const cell = element("i", "part", shown);
        cell.dataset.row = String(row);
        column.append(cell);
      }
    }
    dump.append(element("span", "faint", String(line).padStart(5)), hex, text);
  }
  if (length < octets.length) dump.append(element("span", "faint", `… ${octets.length - length} more octets`));
  return dump;
}

/**
 * @param {Uint8Array} octets
 * @param {Row} row
 * @param {number} index
 */
function drawRow(octets, { start, end, label, rule, parts = [] }, index) {
  const node = element(
    "div",
    "row part",
    element("span", "at mono", String(start)),
    element(
      "span",
      "octets mono",
      ...octetText(octets.subarray(start, Math.min(end, start + 300)))
        .filter((piece) => piece !== "\n"),
      end - start > 300 ? "…" : "",
    ),
    element("span", "what", ...withRule(label, rule), ...drawParts(octets, parts)),
  );
  node.dataset.row = String(index);
  node.tabIndex = 0;
  return [node];
}

/**
 * What a row is made of, where there is more than one thing to say.
 *
 * @param {Uint8Array} octets
 * @param {Row[]} parts
 */
function drawParts(octets, parts) {
  const named = parts.filter(({ label }) => label !== "");
  if (named.length < 2) return [];
  return named.slice(0, 20).map(({ start, end, label }) => {
    const text = octetText(octets.subarray(start, Math.min(end, start + 100)));
    return element("span", "subpart", element("span", "mono", ...text), " ", ...visible(label));
  });
}

/**
 * @param {Uint8Array} octets
 * @param {Labelled} labelled
 * @param {number[]} cuts
 */
function drawFindings(octets, { findings, fault, leftOut }, cuts) {
  const box = part("fault");
  box.hidden = !fault;
  if (fault) {
    const line = element("pre", "", ...fault.offset < 0 ? [] : caret(octets, fault.offset));
    box.replaceChildren(element("strong", "", ...withRule(fault.detail, fault.rule)), line);
    if (fault.fix) box.append(element("p", "", `fix: ${fault.fix}`));
    const readings = fault.readings ?? [];
    if (readings.length > 0) {
      box.append(element("p", "", unbroken("two readings, which is how a request is smuggled (RFC 9112 §11.2):")));
    }
    for (const { by, start, end, next, missing } of readings) {
      const content = start === end ? "no content" : `content ${start}-${end - 1}`;
      const rest = missing > 0 ? `, ${missing} octets missing` : next === "" ? ", then nothing" : ", then ";
      const found = missing === 0 && next !== "" ? [element("span", "mono", ...visible(next))] : [];
      box.append(element("p", "", `by ${by}: ${content}${rest}`, ...found));
    }
  }
  const lines = [...findings];
  if (cuts.length > 0) {
    lines.push({ text: `it came in ${cuts.length + 1} reads: another one starts at octet ${cuts.join(", ")}` });
  }
  if (leftOut > 0) lines.push({ text: `${leftOut} more octets are not shown` });
  part("findings").replaceChildren(...lines.map(({ text, rule }) => element("li", "", ...withRule(text, rule))));
}

/**
 * The line that breaks a rule, 30 octets on each side, with a caret under the octet.
 *
 * @param {Uint8Array} octets
 * @param {number} offset
 */
function caret(octets, offset) {
  /** @param {Uint8Array} some */
  const escaped = (some) =>
    [...some].map((octet) => {
      if (octet === 13) return "\\r";
      if (octet === 10) return "\\n";
      return octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : `\\x${hexOf(octet)}`;
    }).join("");
  const lineStart = offset === 0 ? 0 : octets.lastIndexOf(10, offset - 1) + 1;
  const before = escaped(octets.subarray(Math.max(lineStart, offset - 30), offset));
  const after = escaped(octets.subarray(offset, Math.min(octets.length, offset + 30)));
  return [`${before}${after}\n${" ".repeat(before.length)}^ octet ${offset}`];
}

/** @param {Event} event */
function mark(event) {
  const target = event.target instanceof Element ? event.target.closest(".part") : null;
  const row = event.type === "mouseleave" || !(target instanceof HTMLElement) ? undefined : target.dataset.row;
  for (const one of document.querySelectorAll("#message-part .part")) {
    if (one instanceof HTMLElement) one.classList.toggle("marked", row !== undefined && one.dataset.row === row);
  }
}

for (const id of ["octets", "rows"]) {
  for (const type of ["mouseover", "focusin", "mouseleave"]) part(id).addEventListener(type, mark);
}

// Time

/** @param {number} index */
function goTo(index) {
  const list = shownEvents();
  const event = list[Math.max(0, Math.min(list.length - 1, index))];
  if (event === undefined) return;
  current = event.number;
  // What belongs to no message leaves the one before it open.
  for (let i = list.indexOf(event); i >= 0; i--) {
    const connection = connections.get(list[i].connection);
    const exchange = connection && exchangeOf(connection, list[i]);
    if (!connection || !exchange) continue;
    chooseAt(connection, exchange, list[i]);
    break;
  }
  draw();
}

/** @param {number} by */
function step(by) {
  const list = shownEvents();
  const at = current === 0 ? list.length - 1 : list.findIndex(({ number }) => number >= current);
  goTo((at < 0 ? list.length - 1 : at) + by);
}

function goLive() {
  current = 0;
  const connection = connections.get(shown) ??
    connections.get(events.findLast(({ exchanges }) => exchanges)?.connection ?? 0);
  const exchange = [...connection?.exchanges.values() ?? []].at(-1);
  if (connection && exchange) chooseNewest(connection, exchange);
  draw();
}

part("back").addEventListener("click", () => step(-1));
part("forward").addEventListener("click", () => step(1));
part("live").addEventListener("click", () => current === 0 ? step(0) : goLive());
slider.addEventListener("input", () => goTo(Number(slider.value)));
part("large").addEventListener("click", () => {
  const large = document.documentElement.classList.toggle("large");
  part("large").setAttribute("aria-pressed", String(large));
});
for (const hex of [false, true]) {
  part(hex ? "as-hex" : "as-text").addEventListener("click", () => {
    asHex = hex;
    part("as-hex").setAttribute("aria-pressed", String(hex));
    part("as-text").setAttribute("aria-pressed", String(!hex));
    draw();
  });
}
addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target === command) return;
  const action = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Home: () => goTo(0),
    End: goLive,
  }[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
});

// Commands

/** @param {string} text @param {boolean} bad */
function answer(text, bad) {
  const output = part("answer");
  output.textContent = text;
  output.className = bad ? "mono bad" : "mono";
}

part("send").addEventListener("submit", async (event) => {
  event.preventDefault();
  const line = command.value.trim();
  if (line === "") return;
  commands.push(line);
  recalled = commands.length;
  command.value = "";
  current = 0;
  try {
    const response = await fetch("/live/command", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ command: line }),
    });
    const { text, error } = await response.json();
    answer(text ?? error, !response.ok);
  } catch {
    answer("The server does not answer", true);
  }
});
command.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  recalled = Math.max(0, Math.min(commands.length, recalled + (event.key === "ArrowUp" ? -1 : 1)));
  command.value = commands[recalled] ?? "";
});

// The stream of events

function follow() {
  const source = new EventSource("/live/events");
  source.addEventListener("start", (event) => startOver(JSON.parse(event.data)));
  source.addEventListener("message", (event) => take(JSON.parse(event.data)));
  source.addEventListener("open", () => {
    if (part("notice").dataset.lost === "") notice("");
    delete part("notice").dataset.lost;
  });
  source.addEventListener("error", async () => {
    part("notice").dataset.lost = "";
    if (source.readyState !== EventSource.CLOSED) return notice("The server does not answer; trying again …");
    const status = (await fetch("/live/events", { method: "HEAD" }).catch(() => undefined))?.status;
    if (status === 403) return notice("The server was started again: open the address that it printed.");
    notice(status === 503 ? "Four pages are open already: close one of them." : "The server does not answer.");
    setTimeout(follow, 5000);
  });
}

// The key is in a cookie now, so that the address can be shown.
history.replaceState(null, "", "/");
follow();
draw();
