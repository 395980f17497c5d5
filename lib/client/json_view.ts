/**
 * JSON for reading, indented and coloured by tokens. Only the blanks between tokens change: the order of members, the
 * digits of numbers and repeated names stay as received.
 *
 * @module
 */

import { MAX_INDENTED_CHARACTERS, SHOWN_PIECE_BYTES } from "../limits.ts";
import { escapeJson, type Painter, painterFor, type Style } from "../terminal.ts";

const INDENT = "  ";
/** A string, number, literal or structural character, with blanks before it. */
const TOKEN = /[ \t\r\n]*("(?:[^"\\]|\\.)*"|[{}[\],:]|[^ \t\r\n{}[\],:"]+)/y;

/** Returns how a token is shown. */
export type TokenText = (token: string) => string;

/**
 * Returns JSON as lines, without a final line end, in pieces; `undefined` if it is not JSON, or so deeply nested that
 * the lines would be too long to be read.
 *
 * @param octets One character each: octets beyond ASCII stand in strings only, whatever charset they are of.
 */
export function indentJson(
  octets: string,
  painter: Painter,
  show: TokenText = escapeJson,
): Iterable<string> | undefined {
  try {
    JSON.parse(octets);
  } catch {
    return undefined;
  }
  let length = 0;
  for (const piece of indented(octets, painterFor(false), (token) => token)) {
    length += piece.length;
    if (length > MAX_INDENTED_CHARACTERS) return undefined;
  }
  return indented(octets, painter, show);
}

/** Yields JSON with its new blanks. Pieces, because a million tokens in one string take a hundred times their memory. */
function* indented(text: string, painter: Painter, show: TokenText): Generator<string> {
  let shown = "";
  let depth = 0;
  let before = "";
  for (const [token, isName] of tokensOf(text)) {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    const wasOpened = before === "{" || before === "[";
    if (closes) depth--;
    // An empty object or array stays on one line.
    if (closes ? !wasOpened : wasOpened || before === ",") shown += `\n${INDENT.repeat(depth)}`;
    shown += token === ":" ? ": " : paint(token, isName, painter, show);
    if (shown.length > SHOWN_PIECE_BYTES) {
      yield shown;
      shown = "";
    }
    if (opens) depth++;
    before = token;
  }
  yield shown;
}

/** Yields the tokens, and whether each is a member's name. */
function* tokensOf(text: string): Generator<[token: string, isName: boolean]> {
  TOKEN.lastIndex = 0;
  let last: string | undefined;
  // A name is recognised by the colon after it.
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const at = TOKEN.lastIndex;
    if (last !== undefined) yield [last, match[1] === ":"];
    last = match[1];
    TOKEN.lastIndex = at;
  }
  if (last !== undefined) yield [last, false];
}

function paint(token: string, isName: boolean, painter: Painter, show: TokenText): string {
  if (/^[{}[\],:]$/.test(token)) return token;
  const style: Style = isName ? "blue" : token.startsWith('"') ? "green" : /^[tfn]/.test(token) ? "yellow" : "cyan";
  return painter(style, show(token));
}
