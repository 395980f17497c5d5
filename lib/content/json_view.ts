/** JSON for reading, indented and coloured. Only blanks change: order, digits and repeated names stay as received. */

import { parsedJson } from "../json.ts";
import { MAX_INDENTED_CHARACTERS } from "../limits.ts";
import type { Painter, Style } from "../terminal.ts";

const INDENT = "  ";
/** A string, with the colon after it if it is a name; a structural character, a number or a literal. */
const TOKEN = /"(?:[^"\\]|\\.)*"(?=[ \t\r\n]*(:)?)|[{}[\],:]|[^ \t\r\n{}[\],:"]+/g;
/** Text of about so many characters is a piece. */
const PIECE_CHARACTERS = 16 * 1024;

/**
 * Returns JSON as lines, without a final line end, in pieces; `undefined` if it is not JSON, or so deeply nested that
 * the lines would be too long to be read.
 *
 * @param octets One character each: octets beyond ASCII stand in strings only, whatever charset they are of. JSON whose
 *   strings would seem to end elsewhere, since an octet of a character looks like a backslash, is not JSON here.
 */
export function indentJson(
  octets: string,
  painter: Painter,
  show: (token: string) => string,
): Iterable<string> | undefined {
  if (parsedJson(octets) === undefined) return undefined;
  let length = 0;
  for (const piece of indented(octets, (token) => token)) {
    length += piece.length;
    if (length > MAX_INDENTED_CHARACTERS) return undefined;
  }
  return indented(octets, (token, isName) => {
    const style: Style = isName ? "blue" : token.startsWith('"') ? "green" : /^[tfn]/.test(token) ? "yellow" : "cyan";
    return painter(style, show(token));
  });
}

function* indented(text: string, show: (token: string, isName: boolean) => string): Generator<string> {
  let shown = "";
  let depth = 0;
  let before = "";
  for (const [token, colon] of text.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    const wasOpened = before === "{" || before === "[";
    if (closes) depth--;
    // An empty object or array stays on one line.
    if (closes ? !wasOpened : wasOpened || before === ",") shown += `\n${INDENT.repeat(depth)}`;
    shown += token === ":" ? ": " : /^[{}[\],]$/.test(token) ? token : show(token, colon === ":");
    if (shown.length > PIECE_CHARACTERS) {
      yield shown;
      shown = "";
    }
    if (token === "{" || token === "[") depth++;
    before = token;
  }
  yield shown;
}
