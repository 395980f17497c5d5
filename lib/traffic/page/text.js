/**
 * Elements and text. What came from a peer becomes text through `textContent`, never markup.
 *
 * @import { Address } from "./state.js"
 */

/** Characters that steer the eye or hide from it: the ones that are escaped on a terminal, and line ends. */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- these are the ones to be escaped
  /([\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}])/u;

/** Characters of a title that are shown, and escapes among them. */
const MAX_TITLE = 40;
const MAX_ESCAPES = 20;
/** Characters that a target means something by (RFC 3986 §2.2), and the one that escapes others. */
const RESERVED = /[:/?#[\]@!$&'()*+,;=%]/;

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
export function part(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/** @param {string} name @param {string} className @param {(Node | string)[]} children */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

/** Makes these the children of an element. Those that are there stay, so that they need not be laid out again.
 * @param {HTMLElement} parent @param {HTMLElement[]} nodes */
export function replaceSome(parent, nodes) {
  const wanted = new Set(/** @type {Element[]} */ (nodes));
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

/** One of these is reached with the Tab key, the others from there with the arrow keys. @param {HTMLElement} box
 * @param {string} selector */
export function reachWithArrows(box, selector) {
  box.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const all = /** @type {HTMLElement[]} */ ([...box.querySelectorAll(selector)]);
    const at = all.findIndex((one) => one === document.activeElement);
    if (by === undefined || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = all[at + by];
    if (next === undefined) return;
    all[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

/** How far a box has to be scrolled so that one of its parts is seen. (`scrollIntoView` would move the page too,
 * which is only right when its reader asks for it.) @param {number} start Where the part starts. @param {number}
 * end @param {number} from Where what is seen of the box starts. @param {number} to */
export function shift(start, end, from, to) {
  return start < from ? start - from : Math.min(Math.max(0, end - to), start - from);
}

/** Text of a peer with what could steer the reader's eye escaped. @param {string} text @returns {(Node | string)[]} */
export function visible(text) {
  return nodesOf(unitsOf(text));
}

/** Text, or an escape that stands for what is none. @typedef {{ text: string, isEscape: boolean }} Unit */

/** @param {string} text @returns {Unit[]} */
function unitsOf(text) {
  // Every second piece is one that has to be escaped.
  return text.split(UNSAFE).map((piece, index) =>
    index % 2 === 0 ? { text: piece, isEscape: false } : { text: escaped(piece), isEscape: true }
  ).filter(({ text }) => text !== "");
}

/** @param {Unit[]} units */
function nodesOf(units) {
  return units.map(({ text, isEscape }) => isEscape ? element("span", "escaped", text) : text);
}

/** @param {string} character */
function escaped(character) {
  const code = character.codePointAt(0) ?? 0;
  const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (short !== undefined) return short;
  const digits = code.toString(16);
  return code <= 0xff ? `\\x${hexOf(code)}` : code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
}

/** Text in which the number of an RFC and its section stay on one line. @param {string} text */
export function unbroken(text) {
  return text.replace(/RFC (\d+) §/g, "RFC\u00a0$1\u00a0§");
}

/** @param {string} text @param {string | undefined} rule */
export function withRule(text, rule) {
  return visible(unbroken(rule ? `${text} (${rule})` : text));
}

/** @param {number} octet */
export function hexOf(octet) {
  return octet.toString(16).padStart(2, "0");
}

/** A message's title as people read it: percent-encoded UTF-8 as its characters. Long ones are cut.
 * @param {string} octets One character an octet.
 * @returns {{ whole: string, nodes: (Node | string)[], isCut: boolean }} */
export function titleText(octets) {
  const bytes = Uint8Array.from(octets, (character) => character.charCodeAt(0));
  const units = decoded(bytes).flatMap((unit) => unit.isEscape ? [unit] : unitsOf(withoutPercent(unit.text)));
  /** @type {Unit[]} */
  const shown = [];
  let characters = 0;
  let escapes = 0;
  for (const { text, isEscape } of units) {
    if (isEscape && ++escapes > MAX_ESCAPES || characters >= MAX_TITLE) break;
    const some = isEscape ? [text] : [...text].slice(0, MAX_TITLE - characters);
    characters += isEscape ? 1 : some.length;
    shown.push({ text: some.join(""), isEscape });
  }
  const whole = units.map(({ text }) => text).join("");
  const isCut = shown.map(({ text }) => text).join("") !== whole;
  return { whole: whole || "…", nodes: whole === "" ? ["…"] : [...nodesOf(shown), isCut ? "…" : ""], isCut };
}

/** Text with percent-encoded characters as themselves. What is no UTF-8, reserved or a control stays as it is.
 * @param {string} text */
function withoutPercent(text) {
  return text.replace(/(?:%[\da-f]{2})+/gi, (run) => {
    const bytes = Uint8Array.from(run.slice(1).split("%"), (digits) => parseInt(digits, 16));
    let at = 0;
    return decoded(bytes).flatMap(({ text, isEscape }) => isEscape ? [""] : [...text]).map((character) => {
      const encoded = run.slice(3 * at, 3 * (at += character === "" ? 1 : ENCODER.encode(character).length));
      return character === "" || RESERVED.test(character) || UNSAFE.test(character) ? encoded : character;
    }).join("");
  });
}

/** Octets as text, line ends visible; those that are no UTF-8 as `\xHH`. @param {Uint8Array} octets
 * @returns {(Node | string)[]} */
export function octetText(octets) {
  return decoded(octets).flatMap(({ text, isEscape }) =>
    isEscape
      ? nodesOf([{ text, isEscape }])
      : text.split(/(\r\n|\r|\n)/).filter((piece) => piece !== "").flatMap((piece) => {
        if (!/[\r\n]/.test(piece)) return visible(piece);
        const name = piece === "\r\n" ? "CR LF" : piece === "\r" ? "CR" : "LF";
        return [element("span", "end", name), piece.endsWith("\n") ? "\n" : ""];
      })
  );
}

const ENCODER = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @param {Uint8Array} octets @returns {Unit[]} */
function decoded(octets) {
  try {
    return [{ text: UTF8.decode(octets), isEscape: false }];
  } catch {
    /** @type {Unit[]} */
    const units = [];
    for (let at = 0; at < octets.length;) {
      const first = octets[at];
      const length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      try {
        const text = UTF8.decode(octets.subarray(at, at + length));
        const last = units.at(-1);
        if (last?.isEscape === false) last.text += text;
        else units.push({ text, isEscape: false });
        at += length;
      } catch {
        units.push({ text: `\\x${hexOf(first)}`, isEscape: true });
        at++;
      }
    }
    return units;
  }
}

/** @param {{ from?: number, to?: number }} range */
export function octetsIn({ from = 0, to = 0 }) {
  return counted(to - from, "octet");
}

/** @param {number} count @param {string} what */
export function counted(count, what) {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** @param {number} micros */
export function duration(micros) {
  if (micros < 10_000) return `${(micros / 1000).toFixed(1)} ms`;
  if (micros < 1_000_000) return `${Math.round(micros / 1000)} ms`;
  const seconds = micros / 1e6;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const [length, unit] = seconds < 3600 ? [60, "min"] : seconds < 172_800 ? [3600, "h"] : [86_400, "days"];
  return `${(seconds / length).toFixed(1).replace(/\.0$/, "")} ${unit}`;
}

/** @param {Address} address */
export function address({ hostname, port }) {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether an address is this machine's own. @param {Address | undefined} address */
export function isLoopback(address) {
  return address === undefined || /^(?:::ffff:)?127\.|^::1$/.test(address.hostname);
}

/** @param {string} text */
export function notice(text) {
  part("notice").textContent = text;
  part("notice").hidden = part("notice-part").hidden = text === "";
}
