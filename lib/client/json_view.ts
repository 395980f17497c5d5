/**
 * JSON for reading: indented and coloured by its tokens. Nothing but the blanks between them is changed, so what is shown
 * is what was sent: members in their order, numbers digit by digit, names as often as they came.
 *
 * @module
 */

import { escapeText, type Painter, type Style } from "../terminal.ts";

const INDENT = "  ";
/** A string, a number or a literal, or one character of the structure; blanks before it. */
const TOKEN = /[ \t\r\n]*("(?:[^"\\]|\\.)*"|[{}[\],:]|[^ \t\r\n{}[\],:"]+)/y;

/**
 * The text of a JSON value as lines for a terminal, without a line end behind the last; `undefined` if it is no JSON.
 */
export function indentJson(text: string, painter: Painter): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  let shown = "";
  let depth = 0;
  let before = "";
  for (const [token, isName] of tokensOf(text)) {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    const wasOpened = before === "{" || before === "[";
    if (closes) depth--;
    // An empty object or array stays together.
    if (closes ? !wasOpened : wasOpened || before === ",") shown += `\n${INDENT.repeat(depth)}`;
    shown += token === ":" ? ": " : paint(token, isName, painter);
    if (opens) depth++;
    before = token;
  }
  return shown;
}

/** Each token, and whether it is a member's name. */
function* tokensOf(text: string): Generator<[token: string, isName: boolean]> {
  TOKEN.lastIndex = 0;
  let last: string | undefined;
  // A name is known by the colon behind it.
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const at = TOKEN.lastIndex;
    if (last !== undefined) yield [last, match[1] === ":"];
    last = match[1];
    TOKEN.lastIndex = at;
  }
  if (last !== undefined) yield [last, false];
}

function paint(token: string, isName: boolean, painter: Painter): string {
  if (/^[{}[\],:]$/.test(token)) return token;
  const style: Style = isName ? "blue" : token.startsWith('"') ? "green" : /^[tfn]/.test(token) ? "yellow" : "cyan";
  return painter(style, escapeText(token));
}
