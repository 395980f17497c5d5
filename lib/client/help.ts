/** Help at the prompt: texts on the commands, and what Tab completes. */

import { isObject, parsedJson } from "../json.ts";
import { MAX_SEEN_NAMES } from "../limits.ts";
import { escapeText } from "../terminal.ts";
import { LOCAL_COMMANDS, METHODS } from "./command.ts";
import { WrongInput } from "./words.ts";

/** The help on each command, by its names. Its lines fit a terminal of 60 columns. */
const TOPICS: Readonly<Record<string, string>> = {
  "get": `\
get NAME            one row; get all: every row
get all age:gte=2 leg==4 _sort==-age      some rows, sorted
get /a?b=c          any target, sent as it is
`,
  "head delete options": `\
head NAME           only the head; delete NAME, options NAME
`,
  "post put patch purge": `\
post NAME [values]  a new row; post: the server names it
put NAME [values]   a new row, or over the old one
patch NAME items    some fields of a row
PURGE /x            any method, in capitals
  values: one for each field in order, or items:
  type=snail text, age:=1 JSON, page==2 query,
  If-Match:'"1"' header; "X-A: b c" with a blank;
  or the whole content: {"type":"snail"}, @FILE
`,
  "print": `\
print HBhb          what is shown: H B the request's head,
                    body; h b the response's
`,
  "header": `\
header Name: value  send a field from now on; header lists
                    them, header -Name drops one
`,
  "auth": "auth USER:PASS      send credentials (Basic); auth - drops\n",
  "follow": "follow              request the last response's Location\n",
  "curl": `\
curl                the last request as a command of curl
curl -H … URL       a command of curl, pasted: sent
`,
  "explain": "explain             each octet of the last exchange\n",
  "raw": "raw STEP…           octets as they are; help raw tells more\n",
  "help ? q quit exit": `\
help COMMAND        about one; help all: about all of them
q                   q or Ctrl-D quits; Ctrl-C cancels the
                    line, the question or the transfer
`,
};

const FIRST_HELP = `\
get all             every row; get NAME: one
head NAME           only the head of the response
post NAME [values]  a new row
put NAME [values]   a new row, or over the old one
delete NAME         remove a row
q                   quit
more: help all
`;

const RAW_HELP = String.raw`raw STEP…   send octets as they are, show the answer, timed
"…"         one write; \r \n \t \0 \xHH \\ \" are an octet each
"a"*9000    the same, repeated
200ms, 2s   wait
fin         close this side (half-close)

A request in two pieces:
  raw "GET / HT" 200ms "TP/1.1\r\nHost: localhost\r\n\r\n"
Two requests in one write (pipelining):
  raw "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
A bare LF, which strict servers refuse and others accept:
  raw "GET / HTTP/1.1\nHost: localhost\n\n"
Both lengths, which is how requests are smuggled:
  raw "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"
Half-close: the server sees the end, and still answers:
  raw "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" fin
`;

export function helpOn(topic: string | undefined): string {
  if (topic === undefined) return FIRST_HELP;
  if (topic === "raw") return RAW_HELP;
  if (topic === "all") return Object.values(TOPICS).join("");
  const found = Object.entries(TOPICS).find(([names]) => names.split(" ").includes(topic));
  if (found !== undefined) return found[1];
  throw new WrongInput(`there is no help on ${JSON.stringify(topic)}: see help all`);
}

/** Commands that work in the command line of a page: they send something, and read no file. */
const ON_PAGE = ["get", "head", "post", "raw"];

/** Returns the output of `help` on a page: all that works there, or one topic. */
export function pageHelpOn(topic: string | undefined): string {
  if (topic !== undefined && topic !== "all") return helpOn(topic);
  const topics = Object.entries(TOPICS).filter(([names]) => ON_PAGE.includes(names.split(" ", 1)[0]));
  const text = topics.map(([, text]) => text).join("");
  return text.replace(/\[values\] {2}a new row;.*/, "values    a new row").replace(", @FILE", "");
}

/** Words that complete the last one of a line, and that word as typed. */
export type Completion = [words: string[], typed: string];

export class SeenNames {
  readonly #names = new Set<string>();

  /** Adds the object of a command, if it is a row's name that a terminal shows as it is. */
  add(object: string): void {
    if (/^(?:all$|[/*])|[\t\n\ufffd\ud800-\udfff]/u.test(object) || escapeText(object) !== object) return;
    if (this.#names.size < MAX_SEEN_NAMES) this.#names.add(object);
  }

  /** Adds the names of a listing: the members of a JSON object whose values are objects. */
  addListing(json: string): void {
    const listing = parsedJson(json);
    if (!isObject(listing)) return;
    for (const [name, row] of Object.entries(listing)) if (isObject(row)) this.add(name);
  }

  /** Completes the first word of a line by a command, the second one of a request by a row's name, of help by a command. */
  complete(line: string): Completion {
    const [, verb, typed = ""] = /^([a-z]+) +((?:\\.|[^\s\\])*)$/i.exec(line) ?? [];
    const commands = [...METHODS, ...LOCAL_COMMANDS];
    if (verb === undefined) return [/\s/.test(line) ? [] : completing(commands, line), line];
    if (verb.toLowerCase() === "help") return [completing(["all", ...commands], typed), typed];
    const names = METHODS.includes(verb.toLowerCase()) ? ["all", ...this.#names] : [];
    // A backslash stands before a blank, a quote or a backslash.
    return [completing(names.map((name) => name.replace(/[\s"'\\]/g, "\\$&")), typed), typed];
  }
}

function completing(words: readonly string[], start: string): string[] {
  return words.filter((word) => word.startsWith(start)).map((word) => `${word} `);
}
