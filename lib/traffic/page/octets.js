/**
 * A message octet by octet: its octets on the left, in lines, and beside each what it means.
 *
 * @import { Broken, Labelled, Row } from "./message.js"
 */

import { view } from "./place.js";
import { element, hexOf, octetText, unbroken, visible } from "./text.js";

/** Octets of one row that are drawn. */
const MAX_SHOWN_OCTETS = 4096;
/** Parts of a row that are described, and octets of a part. */
const MAX_PARTS = 20;
const MAX_PART_OCTETS = 100;
/** Octets in a line of hexadecimal digits. */
const HEX_WIDTH = 8;
/** Octets of content beside which there is no room. */
const LONG_CONTENT = 60;

/** CR and LF as what they do: back to the start, and a line down. @type {Record<number, string>} */
const LINE_ENDS = { 13: "←", 10: "↓" };

/** @param {Uint8Array} octets @param {Labelled} labelled @param {{ cuts: number[], about: string, direction: string
 * }} how Where reads start, and what is said of the message. */
export function drawLines(octets, { rows, fault }, { cuts, about, direction }) {
  const lines = element("div", view.hex ? "lines hex" : "lines");
  Object.assign(lines, { role: "list", ariaLabel: `Octets of the ${direction}, with their meaning` });
  const drawn = rows.map((row, index) => drawRow(octets, row, `${direction}-${index}`, { cuts, fault }));
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

/** @param {Uint8Array} octets @param {Row} row @param {string} id @param {{ cuts: number[], fault?: Broken }} marks */
function drawRow(octets, { start, end, label, rule, parts = [] }, id, { cuts, fault }) {
  const isWrong = fault !== undefined && fault.offset >= start && fault.offset < end;
  const text = isWrong && label === "" ? `breaks a rule at octet ${fault.offset}` : label;
  const last = Math.min(end, start + MAX_SHOWN_OCTETS);
  const node = element("span", "part", ...(view.hex ? drawHex : drawText)(octets, start, last, { cuts, fault }));
  if (last < end) node.append(element("span", "faint", ` … ${end - last} more octets`));
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
 * @param {number} last @param {{ cuts: number[], fault?: Broken }} marks */
function pieces(start, last, { cuts, fault }) {
  const wrong = fault?.offset ?? -1;
  const stops = [start, ...cuts, wrong, wrong + 1, last].filter((at) => at >= start && at <= last);
  const sorted = [...new Set(stops)].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((from, i) => {
    return { from, to: sorted[i + 1], isCut: cuts.includes(from), isWrong: from === wrong };
  });
}

/** @param {Uint8Array} octets @param {number} start @param {number} last @param {{ cuts: number[], fault?: Broken }} marks */
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

/** @param {Uint8Array} octets @param {number} start @param {number} last @param {{ cuts: number[], fault?: Broken }} marks */
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
