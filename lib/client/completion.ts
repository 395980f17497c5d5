/**
 * Completes commands and the names of rows for Tab.
 *
 * @module
 */

import { MAX_SEEN_NAMES } from "../limits.ts";
import { isObject } from "../json.ts";
import { escapeText } from "../terminal.ts";
import { LOCAL_COMMANDS, METHODS } from "./command.ts";

/** Words that complete the last one of a line, and that word as typed. */
export type Completion = [words: string[], typed: string];

/** Commands with nothing after them. */
const ALONE = ["follow", "curl", "explain", "help", "q"];

/** Names of rows that a session has seen. */
export class SeenNames {
  readonly #names = new Set<string>();

  /** Adds the object of a command, if it is a row's name that a terminal shows as it is. */
  add(object: string): void {
    if (/^(?:all$|[/*])|[\t\n\ufffd\ud800-\udfff]/u.test(object) || escapeText(object) !== object) return;
    if (this.#names.size < MAX_SEEN_NAMES) this.#names.add(object);
  }

  /** Adds the names of a listing: the members of a JSON object whose values are objects. */
  addListing(json: string): void {
    try {
      const listing: unknown = JSON.parse(json);
      if (!isObject(listing)) return;
      for (const [name, row] of Object.entries(listing)) if (isObject(row)) this.add(name);
    } catch {
      // Not JSON: there are no names.
    }
  }

  /** Completes the first word of a line by a command, the second one of a request by a row's name, of help by a command. */
  complete(line: string): Completion {
    const [, verb, typed = ""] = /^([a-z]+) +((?:\\.|[^\s\\])*)$/i.exec(line) ?? [];
    if (verb === undefined) {
      if (/\s/.test(line)) return [[], line];
      const found = [...METHODS, ...LOCAL_COMMANDS].filter((word) => word.startsWith(line));
      return [found.map((word) => ALONE.includes(word) ? word : `${word} `), line];
    }
    const isHelp = verb.toLowerCase() === "help";
    if (!isHelp && !METHODS.includes(verb.toLowerCase())) return [[], typed];
    const names = ["all", ...isHelp ? [...METHODS, ...LOCAL_COMMANDS] : [...this.#names].map(escaped)];
    return [names.filter((name) => name.startsWith(typed)).map((name) => `${name} `), typed];
  }
}

/** Returns a name as it is typed: a backslash before a blank, a quote or a backslash. */
function escaped(name: string): string {
  return name.replace(/[\s"'\\]/g, "\\$&");
}
