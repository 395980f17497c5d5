/** Splits a line into words, as a shell does. */

/** Invalid input. The message is one line with the reason; a command line that avoids it is to be typed as it is. */
export class WrongInput extends Error {
  override name = "WrongInput";

  constructor(message: string, readonly command?: string) {
    super(message);
  }
}

export interface Word {
  /** The word without quotes and backslashes. */
  readonly text: string;
  /** The word with NUL in the place of quoted or escaped characters, which never separate; empty if none does. */
  readonly signs: string;
  /** Whether the word is JSON: it starts with a brace or bracket. */
  readonly isJson?: boolean;
  readonly isQuoted?: boolean;
  /** Whether one pair of quotes holds all of it: an item as in a shell, where values stand a value. */
  readonly isWhole?: boolean;
}

/** The number of words before JSON is recognised: a method and its object. */
const WORDS_BEFORE_JSON = 2;
const TYPOGRAPHIC = /[“”„‟‘’‚‛]/;

/**
 * Splits a line at blanks. Single or double quotes hold a word together; a backslash escapes the next character, within
 * quotes `:` and `=`, within double ones `"` and `\` too. From the third word on, a word that starts with `{` or `[`
 * includes the rest of the line unchanged.
 *
 * @param windows Whether a backslash after an unquoted `@` belongs to the name of a file.
 */
export function splitLine(line: string, windows: boolean = Deno.build.os === "windows"): Word[] {
  const words: Word[] = [];
  let quote = "";
  let quotes = 0;
  let text = "";
  /** How each character was typed: plain, or quoted, or escaped within quotes or outside of them. */
  let kinds = "";
  /** Whether an unquoted @ names a file whose backslashes are kept. */
  let isFile = false;
  const add = (typed: string, kind: "p" | "q" | "e" | "E") => {
    text += typed;
    kinds += kind.repeat(typed.length);
    isFile ||= windows && typed === "@" && kind === "p";
  };
  const end = () => {
    if (text !== "" || quotes > 0) words.push(wordOf(text, kinds, quotes, words.length));
    [quotes, text, kinds, isFile] = [0, "", "", false];
  };
  for (let i = 0; i < line.length; i++) {
    const character = line[i];
    const next = line[i + 1] ?? "";
    const isStart = text === "" && quotes === 0;
    if (quote !== "") {
      if (character === quote) quote = "";
      else if (character !== "\\" || isFile || !'\\:="'.includes(next) || next === "") add(character, "q");
      else if (quote === '"' || /[:=]/.test(next)) add(line[++i], "e");
      // In single quotes the second of two backslashes escapes nothing.
      else add(next === "\\" ? character + line[++i] : character, "q");
    } else if (isStart && words.length >= WORDS_BEFORE_JSON && /[{[]/.test(character)) {
      return [...words, { text: line.slice(i).trimEnd(), signs: "", isJson: true }];
    } else if (character === '"' || character === "'") {
      quote = character;
      quotes++;
    } else if (character === "\\" && next !== "" && !isFile) add(line[++i], "E");
    else if (/\s/.test(character)) end();
    else {
      if (isStart || /[:=]/.test(line[i - 1])) refuseTypographic(character);
      add(character, "p");
    }
  }
  if (quote !== "") throw new WrongInput(`a ${quote} is not closed`);
  end();
  return words;
}

/** Refuses a quote that word processors make of `"` and `'`. */
export function refuseTypographic(character: string): void {
  if (!TYPOGRAPHIC.test(character)) return;
  throw new WrongInput(`${character} is a typographic quote: write " or ', or \\${character} for itself`);
}

function wordOf(text: string, kinds: string, quotes: number, position: number): Word {
  const isWhole = quotes === 1 && !/[pE]/.test(kinds);
  if (isWhole && position >= WORDS_BEFORE_JSON && /^[{[]/.test(text)) {
    return { text, signs: "", isJson: true, isQuoted: true, isWhole };
  }
  const hidden = isWhole ? "e" : "qeE";
  const signs = text.replace(/[^]/g, (character, i) => hidden.includes(kinds[i]) ? "\0" : character);
  // A quoted @ names no file, and a quoted - is not the input.
  if (isWhole) return { text, signs: signs.replace(/^[@-]/, "\0"), isQuoted: true, isWhole };
  return { text, signs, ...quotes > 0 && { isQuoted: true } };
}

/** Returns a word where values stand: what is in quotes has no separators there, and is no JSON. */
export function asValue(word: Word): Word {
  return word.isWhole ? { text: word.text, signs: "", isQuoted: true } : word;
}

/** Returns where the JSON at the start of a text ends; `undefined` if it goes on. */
export function endOfJson(text: string): number | undefined {
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:\\[^]|[^"\\])*(?:"|$)|[{}[\]]/g)) {
    if (/[{[]/.test(token)) depth++;
    else if (token[0] !== '"' && --depth === 0) return index + 1;
  }
}

/** Refuses items after JSON, and typographic quotes in it. It need not be valid: a server may be asked about it. */
export function checkJson(text: string): void {
  const end = endOfJson(text) ?? text.length;
  const rest = text.slice(end).trim();
  if (/^["']?[\w!#$%&*+.^`|~-]+\s*(?:[:=]|;$)/.test(rest)) {
    throw new WrongInput('JSON takes the rest of the line: items stand before it, as in post /x X-A:b {"a":1}');
  }
  const [quote] = TYPOGRAPHIC.exec(text.replace(/"(?:\\[^]|[^"\\])*"?/g, "")) ?? [];
  if (quote !== undefined) throw new WrongInput(`JSON takes " as its quotes, saw ${quote}`);
}

/** Converts a word that a shell has split: only a backslash before a separator, `@` or a bracket still escapes. */
export function shellWord(argument: string, position: number): Word {
  if (position >= WORDS_BEFORE_JSON && /^[{[]/.test(argument)) return { text: argument, signs: "", isJson: true };
  const escape = argument.startsWith("@") ? /(?!)/g : /\\([:=;@[\]])/g;
  return { text: argument.replace(escape, "$1"), signs: argument.replace(escape, "\0") };
}
