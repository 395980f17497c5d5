/**
 * Splits a line into words, as a shell does.
 *
 * @module
 */

/** Invalid input. The message is one line with the reason. */
export class WrongInput extends Error {
  /** The name of this error class. */
  override name = "WrongInput";
  /** A command line that avoids the error, to be typed as it is. */
  readonly command?: string;

  /** Creates an error. */
  constructor(message: string, command?: string) {
    super(message);
    this.command = command;
  }
}

/** A word of a command. Quoted or escaped characters never separate an item's name from its value. */
export interface Word {
  /** The word without quotes and backslashes. */
  readonly text: string;
  /** Whether each character may be a separator; none may in JSON. */
  readonly separable: readonly boolean[];
  /** Whether the word is JSON: it starts with an unquoted brace or bracket. */
  readonly isJson?: boolean;
  /** Whether it has quotes. */
  readonly isQuoted?: boolean;
}

/** The number of words before JSON is recognised: a method and its object. */
const WORDS_BEFORE_JSON = 2;

/**
 * Splits a line at blanks. Single or double quotes hold a word together; a backslash escapes the next character. From
 * the third word on, a word that starts with `{` or `[` includes the rest of the line unchanged.
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

/** Converts a word that a shell has split: only a backslash before a separator, `@` or a bracket still escapes. */
export function shellWord(argument: string, position: number): Word {
  if (position >= WORDS_BEFORE_JSON && /^[{[]/.test(argument)) return { text: argument, separable: [], isJson: true };
  let text = "";
  const separable: boolean[] = [];
  for (let i = 0; i < argument.length; i++) {
    const escapes = argument[i] === "\\" && /[:=;@[\]]/.test(argument[i + 1] ?? "");
    text += argument[escapes ? ++i : i];
    separable.push(!escapes);
  }
  return { text, separable };
}
