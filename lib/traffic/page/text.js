/**
 * Elements and text. What came from a peer becomes text through `textContent`, never markup.
 *
 * @import { Address } from "./state.js"
 */

/** Characters that steer the eye or hide from it: the ones that are escaped on a terminal, and line ends. */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- these are the ones to be escaped
  /([\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}])/u;

/** Characters of a message's title that are shown. */
const MAX_TITLE = 200;

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function part(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * @param {string} name
 * @param {string} className
 * @param {(Node | string)[]} children
 */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

/**
 * Makes these the children of an element. Those that are there stay, so that they need not be laid out again.
 *
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} nodes
 */
export function replaceSome(parent, nodes) {
  const wanted = new Set(/** @type {Element[]} */ (nodes));
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const node of nodes) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
}

/**
 * How far a box has to be scrolled so that one of its parts is seen. (`scrollIntoView` would move the page too, which
 * is only right when its reader asks for it.)
 *
 * @param {number} start Where the part starts.
 * @param {number} end
 * @param {number} from Where what is seen of the box starts.
 * @param {number} to
 */
export function shift(start, end, from, to) {
  return start < from ? start - from : Math.min(Math.max(0, end - to), start - from);
}

/**
 * Text of a peer with what could steer the reader's eye escaped.
 *
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function visible(text) {
  // Every second piece is one that has to be escaped.
  return text.split(UNSAFE).map((piece, index) => index % 2 === 0 ? piece : element("span", "escaped", escaped(piece)))
    .filter((piece) => piece !== "");
}

/** @param {string} character */
function escaped(character) {
  const code = character.codePointAt(0) ?? 0;
  const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (short !== undefined) return short;
  const digits = code.toString(16);
  return code <= 0xff ? `\\x${hexOf(code)}` : code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
}

/**
 * Text in which the number of an RFC and its section stay on one line.
 *
 * @param {string} text
 */
export function unbroken(text) {
  return text.replace(/RFC (\d+) §/g, "RFC\u00a0$1\u00a0§");
}

/**
 * @param {string} text
 * @param {string | undefined} rule
 */
export function withRule(text, rule) {
  return visible(unbroken(rule ? `${text} (${rule})` : text));
}

/** @param {number} octet */
export function hexOf(octet) {
  return octet.toString(16).padStart(2, "0");
}

/**
 * Text of a head, one character an octet, as UTF-8.
 *
 * @param {string} octets
 */
export function readable(octets) {
  return new TextDecoder().decode(Uint8Array.from(octets, (character) => character.charCodeAt(0)));
}

/**
 * The start of a text, if it is long: a target may have thousands of octets.
 *
 * @param {string} text
 */
export function shortened(text) {
  return text.length <= MAX_TITLE ? text : `${text.slice(0, MAX_TITLE)}…`;
}

/**
 * Octets as text, line ends visible; those that are no UTF-8 as `\xHH`.
 *
 * @param {Uint8Array} octets
 * @returns {(Node | string)[]}
 */
export function octetText(octets) {
  return decoded(octets).flatMap((text) =>
    typeof text !== "string" ? [text] : text.split(/(\r\n|\r|\n)/).filter((piece) => piece !== "").flatMap((piece) => {
      if (!/[\r\n]/.test(piece)) return visible(piece);
      const name = piece === "\r\n" ? "CR LF" : piece === "\r" ? "CR" : "LF";
      return [element("span", "end", name), piece.endsWith("\n") ? "\n" : ""];
    })
  );
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * @param {Uint8Array} octets
 * @returns {(Node | string)[]}
 */
function decoded(octets) {
  try {
    return [UTF8.decode(octets)];
  } catch {
    /** @type {(Node | string)[]} */
    const pieces = [];
    for (let at = 0; at < octets.length;) {
      const first = octets[at];
      const length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      try {
        const last = pieces.at(-1);
        const text = UTF8.decode(octets.subarray(at, at + length));
        if (typeof last === "string") pieces[pieces.length - 1] = last + text;
        else pieces.push(text);
        at += length;
      } catch {
        pieces.push(element("span", "escaped", `\\x${hexOf(first)}`));
        at++;
      }
    }
    return pieces;
  }
}

/** @param {{ from?: number, to?: number }} range */
export function octetsIn({ from = 0, to = 0 }) {
  return to - from === 1 ? "1 octet" : `${to - from} octets`;
}

/** @param {number} micros */
export function duration(micros) {
  if (micros < 10_000) return `${(micros / 1000).toFixed(1)} ms`;
  return micros < 1_000_000 ? `${Math.round(micros / 1000)} ms` : `${(micros / 1e6).toFixed(1)} s`;
}

/** @param {Address} address */
export function address({ hostname, port }) {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** @param {string} text */
export function notice(text) {
  const line = part("notice");
  line.textContent = text;
  line.hidden = text === "";
}
