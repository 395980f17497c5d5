/**
 * Words of commands: a line parted at blanks, as a shell would.
 *
 * @module
 */

/** Input that makes no sense. Its message says why, in one line. */
export class WrongInput extends Error {
  /** Tells this error from others by name. */
  override name = "WrongInput";
}

/** A word of a command. What was quoted or stands behind a backslash does not part an item's name from its value. */
export interface Word {
  /** The word, without quotes and backslashes. */
  readonly text: string;
  /** Whether each character may part a name from a value; none may in JSON. */
  readonly separable: readonly boolean[];
  /** Whether it is JSON: it starts with an unquoted brace or bracket. */
  readonly isJson?: boolean;
  /** Whether any of it was quoted, or stood behind a backslash. */
  readonly isQuoted?: boolean;
}

/** Words before those that may be JSON: a method and what it is for. */
const WORDS_BEFORE_JSON = 2;

/**
 * Parts a line into words at blanks. Quotes, single or double, hold a word together; a backslash takes the next
 * character as it is. From the third word on, one that starts with `{` or `[` takes the rest of the line as it is.
 *
 * @throws {WrongInput} If a quote is not closed.
 */
export function splitLine(line: string): Word[] {
  const words: Word[] = [];
  let word: { text: string; separable: boolean[]; isQuoted: boolean } | undefined;
  let quote = "";
  const add = (character: string, separable: boolean) => {
    word ??= { text: "", separable: [], isQuoted: false };
    word.text += character;
    for (let i = 0; i < character.length; i++) word.separable.push(separable);
    word.isQuoted ||= !separable;
  };
  for (let i = 0; i < line.length; i++) {
    const character = line[i];
    if (quote !== "") {
      const escapes = quote === '"' && character === "\\" && /["\\]/.test(line[i + 1] ?? "");
      if (escapes) add(line[++i], false);
      else if (character === quote) quote = "";
      else add(character, false);
    } else if (word === undefined && words.length >= WORDS_BEFORE_JSON && /[{[]/.test(character)) {
      return [...words, { text: line.slice(i).trimEnd(), separable: [], isJson: true }];
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= { text: "", separable: [], isQuoted: true };
      word.isQuoted = true;
    } else if (character === "\\" && i + 1 < line.length) add(line[++i], false);
    else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else add(character, true);
  }
  if (quote !== "") throw new WrongInput(`a ${quote} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}

/** A word that a shell has parted from others already: only a backslash before `:` or `=` has a meaning left. */
export function shellWord(argument: string, position: number): Word {
  if (position >= WORDS_BEFORE_JSON && /^[{[]/.test(argument)) return { text: argument, separable: [], isJson: true };
  let text = "";
  const separable: boolean[] = [];
  for (let i = 0; i < argument.length; i++) {
    const escapes = argument[i] === "\\" && /[:=]/.test(argument[i + 1] ?? "");
    text += argument[escapes ? ++i : i];
    separable.push(!escapes);
  }
  return { text, separable };
}
