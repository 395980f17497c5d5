/** Splits a line into words, as a shell does. */

/** Invalid input. The message is one line with the reason. */
export class WrongInput extends Error {
  override name = "WrongInput";
  /** A command line that avoids the error, to be typed as it is. */
  readonly command?: string;

  constructor(message: string, command?: string) {
    super(message);
    this.command = command;
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

interface Draft {
  text: string;
  /** The word's signs if its quotes hold a part of it, and if they hold all. */
  signs: string;
  signsIfWhole: string;
  /** The pairs of quotes so far. */
  quotes: number;
  /** Whether there is a character outside of quotes. */
  isBare: boolean;
  /** Whether there is an unquoted @: it names a file. */
  isFile: boolean;
}

/**
 * Splits a line at blanks. Single or double quotes hold a word together; a backslash escapes the next character, within
 * quotes `:` and `=`, within double ones `"` and `\` too. From the third word on, a word that starts with `{` or `[`
 * includes the rest of the line unchanged.
 *
 * @param windows Whether a backslash after an unquoted `@` belongs to the name of a file.
 * @throws {WrongInput} If a quote is not closed, or is none but looks like one.
 */
export function splitLine(line: string, windows: boolean = Deno.build.os === "windows"): Word[] {
  const words: Word[] = [];
  let word: Draft | undefined;
  let quote = "";
  const begun = () => word ??= { text: "", signs: "", signsIfWhole: "", quotes: 0, isBare: false, isFile: false };
  const add = (text: string, kind: "plain" | "quoted" | "escaped") => {
    const draft = begun();
    draft.text += text;
    draft.signs += kind === "plain" ? text : hidden(text);
    draft.signsIfWhole += kind === "escaped" ? hidden(text) : text;
    draft.isBare ||= quote === "";
    draft.isFile ||= text === "@" && kind === "plain";
  };
  const end = () => {
    if (word !== undefined) words.push(finished(word, words.length));
    word = undefined;
  };
  const inFileName = () => windows && word?.isFile === true;
  for (let i = 0; i < line.length; i++) {
    const character = line[i];
    const next = line[i + 1] ?? "";
    if (quote !== "") {
      if (character === quote) quote = "";
      else if (character !== "\\" || inFileName() || !'\\:="'.includes(next) || next === "") add(character, "quoted");
      else if (quote === '"' || /[:=]/.test(next)) add(line[++i], "escaped");
      // In single quotes the second of two backslashes escapes nothing.
      else add(next === "\\" ? character + line[++i] : character, "quoted");
    } else if (word === undefined && words.length >= WORDS_BEFORE_JSON && /[{[]/.test(character)) {
      return [...words, { text: line.slice(i).trimEnd(), signs: "", isJson: true }];
    } else if (character === '"' || character === "'") {
      quote = character;
      begun().quotes++;
    } else if (character === "\\" && next !== "" && !inFileName()) add(line[++i], "escaped");
    else if (/\s/.test(character)) end();
    else {
      if (word === undefined || /[:=]/.test(line[i - 1])) refuseTypographic(character);
      add(character, "plain");
    }
  }
  if (quote !== "") throw new WrongInput(`a ${quote} is not closed`);
  end();
  return words;
}

/** Returns the signs of text without any. */
export function hidden(text: string): string {
  return "\0".repeat(text.length);
}

/** Refuses a quote that word processors make of `"` and `'`. */
export function refuseTypographic(character: string): void {
  if (!TYPOGRAPHIC.test(character)) return;
  throw new WrongInput(`${character} is a typographic quote: write " or ', or \\${character} for itself`);
}

function finished({ text, signs, signsIfWhole, quotes, isBare }: Draft, position: number): Word {
  const isWhole = quotes === 1 && !isBare;
  if (isWhole && position >= WORDS_BEFORE_JSON && /^[{[]/.test(text)) {
    return { text, signs: "", isJson: true, isQuoted: true, isWhole };
  }
  // A quoted @ names no file, and a quoted - is not the input.
  if (isWhole) return { text, signs: signsIfWhole.replace(/^[@-]/, hidden), isQuoted: true, isWhole };
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

/**
 * Refuses items after JSON that is the rest of a line, and typographic quotes in it. It need not be valid: a server may
 * be asked what it says of it.
 */
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
