/** Elements and text. What came from a peer becomes text through `textContent`, never markup. */

/** Characters that steer the eye or hide from it: the ones that are escaped on a terminal, line ends, and octets that
 * are no UTF-8, see {@linkcode decoded}. */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- these are the ones to be escaped
  /([\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}\udc80-\udcff])/u;

/** Characters of a title that are shown, and escapes among them. */
const MAX_TITLE = 40;
const MAX_ESCAPES = 20;
/** Characters that a target means something by (RFC 3986 §2.2), and the one that escapes others. */
const RESERVED = /[:/?#[\]@!$&'()*+,;=%]/;
/** A character of UTF-8 (RFC 3629 §4), percent-encoded; not all that it matches is one. */
const ENCODED =
  /%[0-7][\da-f]|%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-4](?:%[89ab][\da-f]){3}/gi;

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

/** Text of a peer with what could steer the reader's eye escaped. @param {string} text */
export function visible(text) {
  return nodesOf(text.toWellFormed());
}

/** @param {string} text @returns {(Node | string)[]} */
function nodesOf(text) {
  // Every second piece is one that has to be escaped.
  const nodes = text.split(UNSAFE).map((piece, i) => i % 2 === 0 ? piece : element("span", "escaped", escaped(piece)));
  return nodes.filter((node) => node !== "");
}

/** @param {string} character */
function escaped(character) {
  const code = character.codePointAt(0) ?? 0;
  const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  if (short !== undefined) return short;
  if (code <= 0xff || code >= OCTETS && code <= OCTETS + 0xff) return `\\x${hexOf(code & 0xff)}`;
  const digits = code.toString(16);
  return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\u{${digits}}`;
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
  const text = withoutPercent(decoded(Uint8Array.from(octets, (character) => character.charCodeAt(0))));
  if (text === "") return { whole: "…", nodes: ["…"], isCut: false };
  const characters = [...text];
  const escapes = characters.flatMap((character, at) => UNSAFE.test(character) ? [at] : []);
  const shown = characters.slice(0, Math.min(MAX_TITLE, escapes[MAX_ESCAPES] ?? Infinity));
  const isCut = shown.length < characters.length;
  const whole = characters.map((character) => UNSAFE.test(character) ? escaped(character) : character).join("");
  return { whole, nodes: [...nodesOf(shown.join("")), isCut ? "…" : ""], isCut };
}

/** Text with percent-encoded characters as themselves. What is no UTF-8, reserved or a control stays as it is.
 * @param {string} text */
function withoutPercent(text) {
  return text.replace(ENCODED, (encoded) => {
    try {
      const character = decodeURIComponent(encoded);
      return RESERVED.test(character) || UNSAFE.test(character) ? encoded : character;
    } catch {
      return encoded;
    }
  });
}

/** Octets as text, line ends visible; those that are no UTF-8 as `\xHH`. @param {Uint8Array} octets
 * @returns {(Node | string)[]} */
export function octetText(octets) {
  return decoded(octets).split(/(\r\n|\r|\n)/).flatMap((piece) => {
    if (!/[\r\n]/.test(piece)) return nodesOf(piece);
    const name = piece === "\r\n" ? "CR LF" : piece === "\r" ? "CR" : "LF";
    return [element("span", "end", name), piece.endsWith("\n") ? "\n" : ""];
  });
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Octets that are no UTF-8 become surrogates from here on, which no text of UTF-8 has. */
const OCTETS = 0xdc00;

/** @param {Uint8Array} octets */
function decoded(octets) {
  try {
    return UTF8.decode(octets);
  } catch {
    let text = "";
    for (let at = 0; at < octets.length;) {
      const first = octets[at];
      const length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      try {
        text += UTF8.decode(octets.subarray(at, at + length));
        at += length;
      } catch {
        text += String.fromCharCode(OCTETS + first);
        at++;
      }
    }
    return text;
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

/** @param {string} text */
export function notice(text) {
  part("notice").textContent = text;
  part("notice").hidden = part("notice-part").hidden = text === "";
}
