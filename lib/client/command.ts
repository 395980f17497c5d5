/**
 * What a user types, as a request or as an order to the program: pure, no I/O.
 *
 * `post Pingping snail 1 0` gives values in the fields' order; HTTPie's items give them by name:
 * `type=snail` text, `age:=1` JSON, `page==2` in the query, `If-Match:"1"` a header field.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  type FieldLine,
  type HttpRequest,
  isFieldValue,
  isFramingField,
  isToken,
  METHODS_WITH_CONTENT,
} from "../http_message.ts";

/** One field of the table's rows. */
export interface NamedField {
  /** The member's name. */
  readonly name: string;
  /** What its value must be; `scalar` for any JSON value but an object or an array. */
  readonly type: "scalar" | "string" | "number" | "integer" | "boolean";
}

/** What commands may name of the table at the other end. */
export interface TableWords {
  /** The fields that values without a name fill, in their order; `undefined` if a row may have any. */
  readonly fields: readonly NamedField[] | undefined;
  /** The operators of a listing's filters, as `gte` in `age:gte=2`. */
  readonly filterOperators: readonly string[];
}

/** Input that makes no sense. Its message says why, in one line. */
export class WrongInput extends Error {
  /** Tells this error from others by name. */
  override name = "WrongInput";
}

/** A word of a command. What was quoted or stands behind a backslash does not part an item's name from its value. */
export interface Word {
  /** The word, without quotes and backslashes. */
  readonly text: string;
  /** Whether each character may part a name from a value. */
  readonly parts: readonly boolean[];
}

/** What a command asks for. */
export type Command =
  | { readonly kind: "nothing" }
  | { readonly kind: "help" }
  | { readonly kind: "quit" }
  /** Which parts of exchanges to show from now on; without them, which are shown is told. */
  | { readonly kind: "print"; readonly parts: string | undefined }
  | { readonly kind: "request"; readonly request: HttpRequest }
  /** Values are missing: they are asked for, and then {@linkcode completeCommand} makes the request. */
  | { readonly kind: "ask"; readonly words: readonly Word[] };

/** The methods that commands know, as they are typed. */
export const METHODS: readonly string[] = ["get", "head", "post", "put", "patch", "delete", "options"];
/** The other commands. */
export const LOCAL_COMMANDS: readonly string[] = ["print", "help", "q"];

const ENCODER = new TextEncoder();

/**
 * Parts a line into words at blanks. Quotes, single or double, hold a word together; a backslash takes the next
 * character as it is.
 *
 * @throws {WrongInput} If a quote is not closed.
 */
export function splitLine(line: string): Word[] {
  const words: Word[] = [];
  let word: { text: string; parts: boolean[] } | undefined;
  let quote = "";
  const add = (character: string, parts: boolean) => {
    word ??= { text: "", parts: [] };
    word.text += character;
    word.parts.push(...Array(character.length).fill(parts));
  };
  const characters = [...line];
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i];
    if (quote !== "") {
      const escapes = quote === '"' && character === "\\" && /["\\]/.test(characters[i + 1] ?? "");
      if (escapes) add(characters[++i], false);
      else if (character === quote) quote = "";
      else add(character, false);
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= { text: "", parts: [] };
    } else if (character === "\\" && i + 1 < characters.length) add(characters[++i], false);
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
export function shellWord(argument: string): Word {
  let text = "";
  const parts: boolean[] = [];
  for (let i = 0; i < argument.length; i++) {
    const escapes = argument[i] === "\\" && /[:=]/.test(argument[i + 1] ?? "");
    text += argument[escapes ? ++i : i];
    parts.push(!escapes);
  }
  return { text, parts };
}

/**
 * Reads a command.
 *
 * @throws {WrongInput} If it is none.
 */
export function parseCommand(words: readonly Word[], table: TableWords): Command {
  if (words.length === 0) return { kind: "nothing" };
  const [{ text: verb }, object] = words;
  const method = verb.toLowerCase();
  if (method === "help" || method === "?") return { kind: "help" };
  if (method === "q" || method === "quit" || method === "exit") return { kind: "quit" };
  if (method === "print") return { kind: "print", parts: partsOf(words.slice(1)) };
  if (!METHODS.includes(method)) {
    throw new WrongInput(
      `${JSON.stringify(verb)} is not a command: use ${[...METHODS, ...LOCAL_COMMANDS].join(", ")}`,
    );
  }
  if (object === undefined || object.text === "") {
    throw new WrongInput(`${method} needs an object's name, all, or a /path: ${method} Pingping`);
  }
  const isRow = object.text !== "all" && !object.text.startsWith("/");
  if (isRow && (method === "post" || method === "put") && !hasValues(words.slice(2), table)) {
    return { kind: "ask", words };
  }
  return { kind: "request", request: makeRequest(method, object.text, words.slice(2), table) };
}

/** Letters of HBhb, as `--print` takes them. */
function partsOf(words: readonly Word[]): string | undefined {
  if (words.length === 0) return undefined;
  const [{ text }] = words;
  if (words.length === 1 && /^[HBhb]+$/.test(text)) return text;
  throw new WrongInput(`print takes letters of HBhb, saw ${JSON.stringify(words.map(({ text }) => text).join(" "))}`);
}

/**
 * Makes the request of a command whose values were asked for.
 *
 * @throws {WrongInput} If the values make no sense, or there are none.
 */
export function completeCommand(words: readonly Word[], values: readonly Word[], table: TableWords): HttpRequest {
  if (!hasValues(values, table)) throw new WrongInput(`expected ${describeFields(table)}, saw nothing`);
  return makeRequest(words[0].text.toLowerCase(), words[1].text, [...words.slice(2), ...values], table);
}

/** The fields as the prompt names them: `[type] [age] [leg]`. */
export function describeFields(table: TableWords): string {
  return table.fields === undefined ? "name=value …" : table.fields.map(({ name }) => `[${name}]`).join(" ");
}

type Item =
  | { readonly kind: "value"; readonly text: string }
  | { readonly kind: "text" | "json" | "query" | "field"; readonly name: string; readonly value: string };

/**
 * A word by the first separator in it: `:=`, `==`, `=` or `:`. One without, or with nothing before it, is a plain
 * value.
 */
function readItem({ text, parts }: Word, { filterOperators }: TableWords): Item {
  for (let i = 0; i < text.length; i++) {
    if (!parts[i] || text[i] !== ":" && text[i] !== "=") continue;
    if (i === 0) break;
    const name = text.slice(0, i);
    // A listing's filter, as `age:gte=2`, is no header field.
    const filter = text[i] === ":" ? /^:(\w+)==?/.exec(text.slice(i)) : null;
    if (filter !== null && filterOperators.includes(filter[1])) {
      return { kind: "query", name: `${name}:${filter[1]}`, value: text.slice(i + filter[0].length) };
    }
    const double = text[i + 1] === "=" && parts[i + 1];
    const value = text.slice(i + (double ? 2 : 1));
    if (text[i] === ":") return { kind: double ? "json" : "field", name, value };
    return { kind: double ? "query" : "text", name, value };
  }
  return { kind: "value", text };
}

function hasValues(words: readonly Word[], table: TableWords): boolean {
  return words.map((word) => readItem(word, table)).some(({ kind }) =>
    kind === "value" || kind === "text" || kind === "json"
  );
}

function makeRequest(method: string, object: string, words: readonly Word[], table: TableWords): HttpRequest {
  const values: string[] = [];
  /** Each member's value as JSON text: what the user wrote is sent as it is. */
  const members = new Map<string, string>();
  const fields: FieldLine[] = [];
  let target = targetOf(method, object);
  for (const item of words.map((word) => readItem(word, table))) {
    switch (item.kind) {
      case "value":
        values.push(item.text);
        break;
      case "text":
        members.set(item.name, JSON.stringify(item.value));
        break;
      case "json":
        parseJson(item.name, item.value);
        members.set(item.name, item.value);
        break;
      case "query":
        target += `${target.includes("?") ? "&" : "?"}${encodeURIComponent(item.name)}=${
          encodeURIComponent(item.value)
        }`;
        break;
      case "field":
        fields.push(fieldLine(item.name, item.value));
    }
  }
  for (const [name, value] of positionalValues(method, values, table)) members.set(name, value);
  const request = { method: method.toUpperCase(), target, fields };
  if (members.size === 0) {
    if (method === "patch") throw new WrongInput("patch needs the fields to change: patch Pingping age=2");
    return request;
  }
  if (!METHODS_WITH_CONTENT.includes(method.toUpperCase())) {
    const hint = method === "get" || method === "head" ? "; a filter is leg==4" : "";
    throw new WrongInput(`${method} takes no values, saw ${[...members.keys()].join(", ")}${hint}`);
  }
  const row = `{${[...members].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
  const content = object.startsWith("/") || object === "all" ? row : `{${JSON.stringify(object)}:${row}}`;
  return { ...request, content: ENCODER.encode(content) };
}

/** The values without a name, which stand for the fields in their order: all of them or none. */
function positionalValues(method: string, values: readonly string[], table: TableWords): [string, string][] {
  if (values.length === 0) return [];
  if (!METHODS_WITH_CONTENT.includes(method.toUpperCase())) {
    throw new WrongInput(`${method} takes no values, saw ${values.join(" ")}`);
  }
  if (table.fields === undefined) throw new WrongInput("values need names here: type=snail, or age:=1 for JSON");
  if (values.length !== table.fields.length) {
    throw new WrongInput(`expected ${table.fields.length} values, ${describeFields(table)}, saw ${values.length}`);
  }
  return table.fields.map((field, i) => [field.name, typedValue(field, values[i])]);
}

/** A typed field's value is JSON already; others are texts. */
function typedValue({ name, type }: NamedField, text: string): string {
  if (type === "scalar" || type === "string") return JSON.stringify(text);
  const value = parseJson(name, text);
  const fits = type === "integer" ? Number.isInteger(value) : type === (typeof value as string);
  if (fits) return text;
  throw new WrongInput(
    `[${name}] takes ${type === "integer" ? "an integer" : `a ${type}`}, saw ${JSON.stringify(text)}`,
  );
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WrongInput(`the value of ${name} is not JSON: ${text === "" ? "it is empty" : text}`);
  }
}

/** `all` is the table, a path is sent as it is, anything else is a row's name. */
function targetOf(method: string, object: string): string {
  if (object === "all") return "/";
  if (object === "*" && method === "options") return "*";
  if (!object.startsWith("/")) {
    const url = /^https?:\/\//i.test(object) ? URL.parse(object) : null;
    if (url !== null) {
      throw new WrongInput(`give the server first, then the path: connect ${url.origin} ${method} ${url.pathname}`);
    }
    if (!object.isWellFormed()) throw new WrongInput("the name is not well-formed Unicode");
    return `/${encodeURIComponent(object)}`;
  }
  // What may not stand in a target at all is percent-encoded; the rest is the user's to decide.
  return object.toWellFormed().replace(/[^\w\-.~!$&'()*+,;=:@/?[\]%]/gu, encodeURIComponent);
}

/** A header field, its value in UTF-8. An empty value means that a field sent by default is left out. */
function fieldLine(name: string, value: string): FieldLine {
  const octets = Buffer.from(value.trim()).toString("latin1");
  if (!isToken(name)) {
    throw new WrongInput(`${JSON.stringify(name)} is not a field name (quote a value that has a colon)`);
  }
  if (!isFieldValue(octets)) throw new WrongInput(`the value of ${name} may not hold control characters`);
  if (isFramingField(name)) {
    throw new WrongInput(`${name} is set by this program, for it frames the message`);
  }
  return [name, octets];
}

/**
 * The header section that is sent: the defaults, unless the request has a field of the name, and then the request's
 * own.
 * Fields with an empty value only keep a default from being sent.
 */
export function withDefaults(request: HttpRequest, defaults: readonly FieldLine[]): HttpRequest {
  const own = new Set(request.fields.map(([name]) => name.toLowerCase()));
  const fields = [
    ...defaults.filter(([name]) => !own.has(name.toLowerCase())),
    ...request.fields.filter(([, value]) => value !== ""),
  ];
  if (request.content !== undefined && !own.has("content-type")) fields.push(["Content-Type", "application/json"]);
  return { ...request, fields };
}
