/** Parses what a user types, into a request or a command of the program. Pure: no I/O. */

import { nearest, octetString } from "../bytes.ts";
import type { FieldLine } from "../http_message.ts";
import { credentialsIn, isCredentialField, maskQuery, maskTarget } from "../masking.ts";
import {
  type AskedField,
  describeFields,
  fieldLine,
  isContent,
  type Item,
  makeOrder,
  type Order,
  readItem,
  type TableWords,
  targetOf,
} from "./items.ts";
import { parseRawSteps, type RawStep } from "./raw.ts";
import { basicAuthorization, readCurl, readField, readUrl, shellWords } from "./curl.ts";
import { asValue, checkJson, endOfJson, shellWord, splitLine, type Word, WrongInput } from "./words.ts";

export type Command =
  | { readonly kind: "nothing" | "quit" | "follow" | "curl" | "explain" }
  | { readonly kind: "help"; readonly topic: string | undefined }
  | { readonly kind: "raw"; readonly steps: readonly RawStep[] }
  /** The parts of later exchanges to show; without parts, the current ones are printed. */
  | { readonly kind: "print"; readonly parts: string | undefined }
  /** A header field for later requests, or the name of one to drop; without either, they are listed. */
  | { readonly kind: "header"; readonly field?: AskedField; readonly dropped?: string }
  /** To be asked for are missing values: {@linkcode completed} adds them. */
  | { readonly kind: "request" | "ask"; readonly order: Order };

export const METHODS: readonly string[] = ["get", "head", "post", "put", "patch", "delete", "options"];
export const LOCAL_COMMANDS = ["print", "header", "auth", "follow", "curl", "explain", "raw", "help", "q"];

/** Words for commands in other programs, and the command here. */
const OTHER_WORDS: { readonly [word: string]: string } = {
  ...{ update: "put or patch", set: "put", edit: "patch", change: "patch", modify: "patch", del: "delete" },
  ...{ add: "post", create: "post", insert: "post", new: "post", remove: "delete", rm: "delete", erase: "delete" },
  ...{ list: "get", ls: "get", show: "get", find: "get", fetch: "get", bye: "q", close: "q", end: "q", stop: "q" },
};

/** A command of curl, with what comes after the word. */
const CURL = /^\s*(?:\$\s+)?curl\s+(\S[^]*)$/i;

export function parseLine(line: string, table: TableWords): Command {
  const curl = CURL.exec(line);
  if (curl !== null) {
    const { method, target, fields, ...pasted } = readCurl(curl[1], table.server);
    // curl sends content with any method.
    const order = makeOrder("POST", target, fields.map(fieldItem));
    return { kind: "request", order: { ...order, method: methodOf(method), pasted } };
  }
  // The strings of raw have quotes and escapes of their own.
  const steps = /^\s*raw(?:\s+(.*))?$/is.exec(line);
  return steps === null ? parseCommand(splitLine(line), table) : { kind: "raw", steps: parseRawSteps(steps[1] ?? "") };
}

/** Returns how many lines are known to follow: curl goes on as in a shell, pasted JSON to its end in the rest. */
export function linesAfter(text: string, rest: string | undefined): number {
  try {
    const curl = CURL.exec(text);
    if (curl !== null) return shellWords(curl[1]) === undefined ? 1 : 0;
    if (rest === undefined) return 0;
    const words = splitLine(text);
    const last = words.at(-1);
    if (last === undefined || !/^[A-Z]/.test(words[0].text) && !METHODS.includes(words[0].text)) return 0;
    const isOpen = last.isJson && !last.isWhole && endOfJson(last.text) === undefined;
    if (!isOpen && (last.isJson || words.length === 1 || !/^\s*[{[]/.test(rest))) return 0;
    const start = isOpen ? `${last.text}\n` : "\n";
    const json = (start + rest).slice(0, endOfJson(start + rest)).trimEnd();
    return json.split("\n").length - start.split("\n").length + 1;
  } catch (error) {
    if (error instanceof WrongInput) return 0;
    throw error;
  }
}

export function parseArguments(words: readonly string[], table: TableWords): Command {
  if (words[0].toLowerCase() !== "raw") return parseCommand(words.map(shellWord), table);
  return { kind: "raw", steps: parseRawSteps(words.slice(1).join(" ")) };
}

export function parseCommand(words: readonly Word[], table: TableWords): Command {
  if (words.length === 0) return { kind: "nothing" };
  const [{ text: verb }, ...rest] = words;
  const word = verb.toLowerCase();
  const text = textOf(rest);
  switch (word) {
    case "help":
    case "?":
      refuseAfter(words, 2);
      return { kind: "help", topic: words[1]?.text.toLowerCase() };
    case "q":
    case "quit":
    case "exit":
      refuseAfter(words, 1);
      return { kind: "quit" };
    case "follow":
    case "curl":
    case "explain":
      refuseAfter(words, 1);
      return { kind: word };
    case "print":
      if (rest.length > 0 && !/^[HBhb]+$/.test(text)) {
        throw new WrongInput(`print takes letters of HBhb, saw ${JSON.stringify(text)}`);
      }
      return { kind: "print", parts: text || undefined };
    case "header":
      return headerCommand(text);
    case "auth":
      if (text === "-") return { kind: "header", dropped: "Authorization" };
      if (!text.includes(":")) throw new WrongInput("auth takes USER:PASS, or - to drop them");
      return { kind: "header", field: basicAuthorization(text) };
    default:
      if (isUrl(verb)) return parseCommand([{ text: "get", signs: "" }, ...words], table);
      return requestCommand(methodOf(verb, words[1]?.text), words, table);
  }
}

function textOf(words: readonly Word[]): string {
  return words.map(({ text }) => text).join(" ");
}

function refuseAfter(words: readonly Word[], most: number): void {
  if (words.length <= most) return;
  throw new WrongInput(`nothing follows ${textOf(words.slice(0, most))}, saw ${textOf(words.slice(most))}`);
}

/** Whether a word is a URL; a host with a port and a path is one, too. */
function isUrl(word: string): boolean {
  return /^(?:https?:\/\/|[\w.-]+:\d+\/)/i.test(word);
}

export function completed({ method, object, items }: Order, entered: readonly Word[], table: TableWords): Order {
  const values = itemsIn(entered.map(asValue), table);
  if (!values.some(isContent)) throw new WrongInput(`expected ${describeFields(table)}, saw nothing`);
  return makeOrder(method, object, [...items, ...values]);
}

/** Returns the method of a verb: a known method in any case, or another one in capitals. */
function methodOf(verb: string, object = ""): string {
  const word = verb.toLowerCase();
  if (METHODS.includes(word)) return verb.toUpperCase();
  if (verb === "CONNECT") {
    throw new WrongInput("CONNECT would turn the connection into a tunnel, which is not supported");
  }
  if (/^[A-Z][A-Z0-9-]*$/.test(verb)) return verb;
  const near = nearestCommand(verb, object);
  const known = [...METHODS, ...LOCAL_COMMANDS].join(", ");
  throw new WrongInput(
    `${JSON.stringify(verb)} is not a command: ${near === undefined ? `use ${known}` : `did you mean ${near}?`}`,
  );
}

function nearestCommand(verb: string, object: string): string | undefined {
  const word = verb.toLowerCase();
  const [, method = "", path] = /^([^/]+)(\/.*)$/s.exec(verb) ?? [];
  if (METHODS.includes(method.toLowerCase())) return `${method.toLowerCase()} ${path}${path === "/" ? object : ""}`;
  if (Object.hasOwn(OTHER_WORDS, word)) return OTHER_WORDS[word];
  return nearest(word, [...METHODS, ...LOCAL_COMMANDS], word.length > 4 ? 2 : word.length > 2 ? 1 : 0);
}

function requestCommand(method: string, [verb, typed, ...rest]: readonly Word[], table: TableWords): Command {
  const known = METHODS.includes(method.toLowerCase());
  const shown = known ? method.toLowerCase() : method;
  // The server names a row that has no name yet, once its values are known.
  if (typed === undefined && method === "POST") return { kind: "ask", order: makeOrder(method, "all", []) };
  if (typed === undefined || typed.text === "") {
    throw new WrongInput(
      `${shown} needs ${known ? "an object's name, all, or a /path" : "a /path"}: ${shown} ${known ? "Pingping" : "/"}`,
    );
  }
  const url = isUrl(typed.text) ? readUrl(typed.text, table.server, (target) => [shown, target]) : undefined;
  const object = url?.target ?? typed.text;
  if (rest.length > 0 && /^HTTP\/\d/.test(rest[0].text)) {
    throw new WrongInput(`this program adds the version and the line end: ${verb.text.toLowerCase()} ${object}`);
  }
  if (!known && !/^[/*]/.test(object)) {
    const near = nearestCommand(verb.text, object);
    const hint = near === undefined ? "" : `, or did you mean ${near} ${object}?`;
    throw new WrongInput(`${method} needs a /path: ${method} /${object}${hint}`);
  }
  if (object.startsWith("all?")) {
    const query = object.slice("all?".length);
    const filters = query.split("&").map((one) => one.replace(/(?<!:\w+)=/, "=="));
    // What is encoded, or has no value, is no item as it stands.
    if (/[%+]|(?:^|&)[^=&]*(?:&|$)/.test(query)) throw new WrongInput(`a query stands in a /path: ${shown} /?${query}`);
    throw new WrongInput(`parameters are items: ${shown} all ${filters.join(" ")}`);
  }
  if (!typed.isQuoted && /^[^/]+\//.test(object)) {
    throw new WrongInput(`no row has a / in its name: did you mean ${shown} /${object}?`);
  }
  const isRow = object !== "all" && !object.startsWith("/");
  const takesValues = isRow && (method === "POST" || method === "PUT");
  if (takesValues && rest.length === 1 && rest[0].isWhole && rest[0].isJson && table.fields?.length !== 1) {
    throw new WrongInput(`after a row's name JSON stands without quotes: ${shown} ${object} ${rest[0].text}`);
  }
  const items = itemsIn(takesValues ? rest.map(asValue) : rest, table);
  const order = makeOrder(method, object, [...url === undefined ? [] : fieldsOf(url, items), ...items]);
  return { kind: takesValues && !items.some(isContent) ? "ask" : "request", order };
}

/** Returns what a URL says besides its target, unless the items say otherwise. */
function fieldsOf({ host, userPass }: ReturnType<typeof readUrl>, items: readonly Item[]): Item[] {
  const fields: FieldLine[] = [["Host", host], ...userPass === undefined ? [] : [basicAuthorization(userPass)]];
  const given = items.flatMap((item) => item.kind === "field" ? item.name.toLowerCase() : []);
  return fields.filter(([name]) => !given.includes(name.toLowerCase())).map(fieldItem);
}

function fieldItem([name, value]: AskedField): Item {
  return { kind: "field", name, value };
}

function itemsIn(words: readonly Word[], table: TableWords): Item[] {
  checkWords(words);
  return words.map((word) => readItem(word, table));
}

/** Refuses items that were meant otherwise: a value after a blank, and items after JSON. */
function checkWords(words: readonly Word[]): void {
  for (const [i, { text, isJson, isQuoted, signs }] of words.entries()) {
    if (isJson && !isQuoted) checkJson(text);
    const next = words[i + 1];
    // The next word is a value without a name.
    const isValue = next !== undefined && !next.isJson && !/[:=@]/.test(next.signs);
    if (!isValue || isQuoted || !/^[^:=]+:$/.test(text) || !signs.endsWith(":")) continue;
    const name = text.slice(0, -1);
    const value = isCredentialField(name) ? "…" : next.text;
    throw new WrongInput(`a blank ends an item: quote "${name}: ${value}", or put ${text} last to send no ${name}`);
  }
}

/** Whether a command has credentials: in fields, in its target, or in octets to be sent unchanged. */
export function holdsCredentials(command: Command): boolean {
  switch (command.kind) {
    case "header":
      return command.field !== undefined && fieldsHold([command.field]);
    case "raw": {
      const octets = command.steps.map((step) => step.kind === "send" ? octetString(step.bytes) : "");
      return credentialsIn(octets.join("")).length > 0;
    }
    case "ask":
    case "request": {
      const { items, pasted } = command.order;
      const target = targetOf(command.order);
      const text = [...pasted?.data ?? [], ...items].map((part) =>
        "text" in part ? part.text : "value" in part && part.kind !== "field" ? `${part.name}=${part.value}` : ""
      ).join("\n");
      const members = [...text.matchAll(/(?<![\w-])([\w-]{1,64})"?\s*[:=]/g)].map(([, name]) => name);
      const fields = items.flatMap((item): AskedField[] =>
        item.kind === "field" ? [[item.name, typeof item.value === "object" ? "file" : item.value]] : []
      );
      return fieldsHold(fields) || maskQuery(maskTarget(target)) !== target || members.some(isCredentialField);
    }
    default:
      return false;
  }
}

function fieldsHold(fields: readonly AskedField[]): boolean {
  return credentialsIn(fields.map(([name, value = ""]) => `${name}: ${value}\r\n`).join("")).length > 0;
}

/** Parses `header Name: value` and its forms, `header -Name`, which drops one, and `header`, which lists them. */
function headerCommand(text: string): Command {
  if (text === "") return { kind: "header" };
  if (text.startsWith("-")) return { kind: "header", dropped: text.slice(1) };
  const expected = `header takes Name: value, or -Name to drop it, saw ${JSON.stringify(text)}`;
  const [name, value] = readField(text, expected);
  const [, octets] = fieldLine(name, value ?? "");
  return { kind: "header", field: [name, value === undefined ? undefined : octets] };
}
