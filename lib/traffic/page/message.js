/**
 * A message, octet by octet, with the rows that explain it.
 *
 * @typedef {{ start: number, end: number, label: string, rule?: string, parts?: Row[] }} Row
 * @typedef {{ by: string, start: number, end: number, next: string, missing: number }} Reading
 * @typedef {{ detail: string, rule?: string, offset: number, fix?: string, readings?: Reading[] }} Broken
 * @typedef {{ octets: string, leftOut: number, rows: Row[], findings: { text: string, rule?: string }[],
 *   fault?: Broken }} Labelled
 */

import { changed, state } from "./state.js";
import { element, hexOf, octetText, part, readable, shortened, unbroken, visible, withRule } from "./text.js";

/** Octets of one row, and of the dump, that are drawn. */
const MAX_SHOWN_OCTETS = 4096;

/** CR and LF as what they do: back to the start, and a line down. @type {Record<number, string>} */
const LINE_ENDS = { 13: "←", 10: "↓" };

let asHex = false;
/** What is drawn, so that it is not asked for again. */
let drawn = "";
let loading = false;

for (const hex of [false, true]) {
  part(hex ? "as-hex" : "as-text").addEventListener("click", () => {
    asHex = hex;
    part("as-hex").setAttribute("aria-pressed", String(hex));
    part("as-text").setAttribute("aria-pressed", String(!hex));
    changed();
  });
}
for (const id of ["octets", "rows"]) {
  for (const type of ["mouseover", "focusin", "mouseleave"]) part(id).addEventListener(type, mark);
}
part("rows").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown" || !(event.target instanceof HTMLElement)) return;
  event.preventDefault();
  const { previousElementSibling, nextElementSibling } = event.target;
  const next = event.key === "ArrowUp" ? previousElementSibling : nextElementSibling;
  if (!(next instanceof HTMLElement)) return;
  // One of the rows is reached with the Tab key, the others from there.
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});

/** Asks again for whatever is to be drawn. */
export function forgetMessage() {
  drawn = "";
}

/** The message that is open, if it is known. */
function openMessage() {
  const { chosen, connections } = state;
  const connection = chosen && connections.get(chosen.connection);
  const exchange = chosen && connection?.exchanges.get(chosen.exchange);
  const message = exchange && chosen &&
    (chosen.direction === "request" ? exchange.request : exchange.responses[chosen.index]);
  if (!chosen || !connection || !exchange || !message) return undefined;
  return { connection: connection.number, direction: chosen.direction, exchange, message };
}

/** Draws the message that is open. */
export async function drawMessage() {
  const open = openMessage();
  if (open === undefined) {
    if (drawn !== "none") drawNone("");
    drawn = "none";
    return;
  }
  const { connection, direction, exchange, message } = open;
  const wanted = [connection, direction, message.from, message.to, message.whole, asHex].join();
  // One at a time: the newest one is asked for when the last one is here.
  if (wanted === drawn || loading) return;
  drawn = wanted;
  const request = readable(exchange.request?.title ?? "");
  part("message-title").replaceChildren(
    ...visible(`${shortened(request)} · ${direction}, every octet`.replace(/^ · /, "")),
  );
  const query = new URLSearchParams({
    connection: String(connection),
    direction,
    from: String(message.from),
    to: String(message.to),
    whole: String(message.whole),
    ...direction === "response" && { method: request.split(" ")[0] },
  });
  loading = true;
  /** @type {Labelled | undefined} */
  let labelled;
  try {
    const response = await fetch(`/live/message?${query}`);
    if (response.ok) labelled = await response.json();
  } catch {
    // The server does not answer, which the stream of events tells.
  }
  loading = false;
  if (drawn === wanted) {
    if (labelled === undefined) drawNone("These octets are no longer kept.");
    else drawLabelled(labelled, readStarts(connection, direction, message));
  }
  drawMessage();
}

/** @param {string} reason */
function drawNone(reason) {
  if (reason === "") part("message-title").textContent = "every octet";
  const hint = reason || "A message is explained here, octet by octet, once there is one.";
  part("octets").replaceChildren(element("span", "faint", hint));
  for (const id of ["rows", "findings"]) part(id).replaceChildren();
  part("fault").hidden = true;
}

/**
 * The octets of a message, from its start, with which another read of the server, or write, starts.
 *
 * @param {number} connection
 * @param {import("./state.js").Direction} direction
 * @param {import("./state.js").Message} message
 */
function readStarts(connection, direction, { from: first, to: last }) {
  return state.events.filter(({ connection: number, direction: way, end, from = 0 }) =>
    number === connection && way === direction && end === "server" && from > first && from < last
  ).map(({ from = 0 }) => from - first);
}

/** @param {Labelled} labelled @param {number[]} cuts */
function drawLabelled(labelled, cuts) {
  const octets = Uint8Array.from(atob(labelled.octets), (character) => character.charCodeAt(0));
  const { rows, fault } = labelled;
  part("octets").replaceChildren(...asHex ? [drawDump(octets, labelled, cuts)] : drawText(octets, labelled, cuts));
  const nodes = rows.map((row, index) => drawRow(octets, row, index, fault));
  if (nodes.length > 0) nodes[0].tabIndex = 0;
  part("rows").replaceChildren(...nodes);
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
        const cut = element("span", "cut", element("span", "hidden", " another one starts here "));
        cut.title = "another read or write starts here";
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
 * The message as octets in hexadecimal digits, beside text.
 *
 * @param {Uint8Array} octets
 * @param {Labelled} labelled
 * @param {number[]} cuts
 */
function drawDump(octets, { rows, fault }, cuts) {
  const dump = element("div", "hex");
  const length = Math.min(octets.length, MAX_SHOWN_OCTETS);
  // As many octets in a line as fit.
  const em = parseFloat(getComputedStyle(part("octets")).fontSize);
  const width = part("octets").clientWidth > 43 * em ? 16 : part("octets").clientWidth > 25 * em ? 8 : 4;
  let row = 0;
  for (let line = 0; line < length; line += width) {
    const hex = element("span", "");
    const text = element("span", "");
    for (let at = line; at < Math.min(line + width, length); at++) {
      while (row < rows.length - 1 && at >= rows[row].end) row++;
      const octet = octets[at];
      const character = octet > 0x20 && octet < 0x7f ? String.fromCharCode(octet) : LINE_ENDS[octet] ?? "·";
      const marks = `part${at === fault?.offset ? " wrong" : ""}${cuts.includes(at) ? " first" : ""}`;
      for (const [column, shown] of /** @type {const} */ ([[hex, hexOf(octet)], [text, character]])) {
        const cell = element("i", marks, shown);
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
 * @param {Broken | undefined} fault
 */
function drawRow(octets, { start, end, label, rule, parts = [] }, index, fault) {
  const isWrong = fault !== undefined && fault.offset >= start && fault.offset < end;
  const shown = octetText(octets.subarray(start, Math.min(end, start + 300))).filter((piece) => piece !== "\n");
  const what = isWrong && label === "" ? [`breaks a rule at octet ${fault.offset}`] : withRule(label, rule);
  const node = element(
    "div",
    "row part",
    element("span", "at mono", String(start)),
    element("span", "octets mono", ...shown, end - start > 300 ? "…" : ""),
    element("span", isWrong ? "what bad" : "what", ...what, ...drawParts(octets, parts)),
  );
  node.setAttribute("role", "listitem");
  node.setAttribute("aria-label", `octet ${[...node.children].map((child) => child.textContent).join(": ")}`);
  node.dataset.row = String(index);
  node.tabIndex = -1;
  return node;
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
  const lineEnd = octets.indexOf(10, offset) + 1 || octets.length;
  const after = escaped(octets.subarray(offset, Math.min(lineEnd, offset + 30)));
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
