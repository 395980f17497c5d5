/**
 * Parses the values of a command in HTTPie's syntax, and creates a request from them.
 *
 * In `post Pingping snail 1 0`, values have the order of the fields. Items have names: `type=snail` is text, `age:=1`
 * JSON, `page==2` a query parameter, `If-Match:"1"` a header field. The whole content may also be given:
 * `{"type":"a"}`, `@FILE`.
 *
 * @module
 */

import { authorityOf, type Endpoint } from "../address.ts";
import { Buffer } from "node:buffer";
import { withoutMark } from "../bytes.ts";
import {
  type FieldLine,
  type HttpRequest,
  isFieldValue,
  isFramingField,
  isToken,
  METHODS_WITH_CONTENT,
} from "../http_message.ts";
import { type Word, WrongInput } from "./words.ts";

/** A field of the table's rows. */
export interface NamedField {
  /** The member's name. */
  readonly name: string;
  /** The type of its value; `scalar` for any JSON value except an object or array. */
  readonly type: "scalar" | "string" | "number" | "integer" | "boolean";
}

/** What is known of the table at the other end. */
export interface TableWords {
  /** The fields, in the order of values without names; `undefined` if a row may have any. */
  readonly fields: readonly NamedField[] | undefined;
  /** The operators of filters, such as `gte` in `age:gte=2`. */
  readonly filterOperators: readonly string[];
}

/** A request, and the source of its content if that was not read yet. */
export interface Order {
  /** The request. */
  readonly request: HttpRequest;
  /** The file with its content; `-` for the standard input. */
  readonly contentFrom?: string;
}

const ENCODER = new TextEncoder();
const FORM_TYPE = "application/x-www-form-urlencoded";
/** Methods on rows; `*` is not a row for other methods (RFC 9110 §7.1). */
const ROW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/** Methods whose content has no meaning (RFC 9110 §9.3). */
const METHODS_WITHOUT_CONTENT = ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"];

/** Returns the fields as shown at the prompt: `[type] [age] [leg]`. */
export function describeFields(table: TableWords): string {
  return table.fields === undefined ? "name=value …" : table.fields.map(({ name }) => `[${name}]`).join(" ");
}

type Item =
  | { readonly kind: "value"; readonly text: string }
  | { readonly kind: "content"; readonly text: string }
  | { readonly kind: "file"; readonly name: string }
  | { readonly kind: "text" | "json" | "query" | "field"; readonly name: string; readonly value: string };

/**
 * Parses a word by its first separator: `:=`, `==`, `=` or `:`. A word without one, or with nothing before it, is a
 * plain value; `@FILE` and `-` are sources of content.
 */
function readItem({ text, separable, isJson, isQuoted }: Word, { filterOperators }: TableWords): Item {
  if (isJson) return { kind: "content", text };
  if (!isQuoted && (text === "-" || text.startsWith("@") && text.length > 1)) {
    return { kind: "file", name: text === "-" ? text : text.slice(1) };
  }
  for (let i = 0; i < text.length; i++) {
    if (!separable[i] || text[i] !== ":" && text[i] !== "=") continue;
    if (i === 0) break;
    const name = text.slice(0, i);
    // A filter such as `age:gte=2` is not a header field.
    const filter = text[i] === ":" ? /^:(\w+)==?/.exec(text.slice(i)) : null;
    if (filter !== null && filterOperators.includes(filter[1])) {
      return { kind: "query", name: `${name}:${filter[1]}`, value: text.slice(i + filter[0].length) };
    }
    const double = text[i + 1] === "=" && separable[i + 1];
    const value = text.slice(i + (double ? 2 : 1));
    if (text[i] === ":") return { kind: double ? "json" : "field", name, value };
    return { kind: double ? "query" : "text", name, value };
  }
  return { kind: "value", text };
}

/** Whether the words include values or content. */
export function hasValues(words: readonly Word[], table: TableWords): boolean {
  return words.some((word) => !["query", "field"].includes(readItem(word, table).kind));
}

/**
 * Creates a request.
 *
 * @param method The method as sent.
 * @param object A row's name, `all`, or a path.
 * @throws {WrongInput} If the words are invalid.
 */
export function makeRequest(method: string, object: string, words: readonly Word[], table: TableWords): Order {
  const items = words.map((word) => readItem(word, table));
  // A single file or hyphen is the content; besides other values it is a value.
  const isContent = items.filter(({ kind }) => kind !== "query" && kind !== "field").length === 1;
  const parts = gather(items, isContent);
  const request = { method, target: withQuery(targetOf(method, object), parts.query), fields: parts.fields };
  if (parts.contentFrom !== undefined || parts.content !== undefined) {
    refuseContent(method, parts.content ?? parts.contentFrom!);
    if (parts.contentFrom !== undefined) return { request, contentFrom: parts.contentFrom };
    return { request: { ...request, content: ENCODER.encode(parts.content) } };
  }
  for (const [name, value] of positionalValues(method, parts.values, table)) parts.members.set(name, value);
  if (parts.members.size === 0) {
    if (method === "PATCH") throw new WrongInput("patch needs the fields to change: patch Pingping age=2");
    return { request };
  }
  refuseContent(method, [...parts.members.keys()].join(", "));
  const isForm = parts.fields.some(([name, value]) =>
    name.toLowerCase() === "content-type" && value.startsWith(FORM_TYPE)
  );
  const content = isForm ? formOf(parts.members) : jsonOf(object, parts.members);
  return { request: { ...request, content: ENCODER.encode(content) } };
}

interface Parts {
  readonly values: string[];
  /** Members' values as JSON text, as typed by the user. */
  readonly members: Map<string, string>;
  readonly fields: FieldLine[];
  readonly query: string[];
  content?: string;
  contentFrom?: string;
}

function gather(items: readonly Item[], isContent: boolean): Parts {
  const parts: Parts = { values: [], members: new Map(), fields: [], query: [] };
  for (const item of items) {
    switch (item.kind) {
      case "value":
        parts.values.push(item.text);
        break;
      case "content":
        if (!isContent) throw new WrongInput("JSON for the content stands alone, without other values");
        parts.content = item.text;
        break;
      case "file":
        if (isContent) parts.contentFrom = item.name;
        else parts.values.push(item.name === "-" ? "-" : `@${item.name}`);
        break;
      case "text":
        parts.members.set(item.name, JSON.stringify(item.value));
        break;
      case "json":
        parseJson(item.name, item.value);
        parts.members.set(item.name, item.value);
        break;
      case "query":
        parts.query.push(`${encodeURIComponent(item.name)}=${encodeURIComponent(item.value)}`);
        break;
      case "field":
        parts.fields.push(fieldLine(item.name, item.value));
    }
  }
  return parts;
}

function withQuery(target: string, parameters: readonly string[]): string {
  return parameters.reduce((all, parameter) => `${all}${all.includes("?") ? "&" : "?"}${parameter}`, target);
}

function refuseContent(method: string, seen: string): void {
  if (!METHODS_WITHOUT_CONTENT.includes(method)) return;
  const hint = method === "GET" || method === "HEAD" ? "; a filter is leg==4" : "";
  throw new WrongInput(`${method.toLowerCase()} takes no values, saw ${seen}${hint}`);
}

function jsonOf(object: string, members: ReadonlyMap<string, string>): string {
  const row = `{${[...members].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
  return /^[/*]/.test(object) || object === "all" ? row : `{${JSON.stringify(object)}:${row}}`;
}

/** Encodes a form as browsers do (URL Standard, "application/x-www-form-urlencoded serializing"). */
function formOf(members: ReadonlyMap<string, string>): string {
  const text = (json: string) => {
    const value = JSON.parse(json);
    return typeof value === "string" ? value : json;
  };
  return new URLSearchParams([...members].map(([name, json]) => [name, text(json)])).toString();
}

/** Assigns values without names to the fields in order: all fields or none. */
function positionalValues(method: string, values: readonly string[], table: TableWords): [string, string][] {
  if (values.length === 0) return [];
  if (!METHODS_WITH_CONTENT.includes(method)) {
    throw new WrongInput(`${method.toLowerCase()} takes no values, saw ${values.join(" ")}`);
  }
  if (table.fields === undefined) throw new WrongInput("values need names here: type=snail, or age:=1 for JSON");
  if (values.length !== table.fields.length) {
    throw new WrongInput(`expected ${table.fields.length} values, ${describeFields(table)}, saw ${values.length}`);
  }
  return table.fields.map((field, i) => [field.name, typedValue(field, values[i])]);
}

/** Returns a value as JSON. A value of a typed field must be JSON already; others are text. */
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

/** Returns the target: `all` is the table, a path is sent as typed, anything else is a row's name. */
function targetOf(method: string, object: string): string {
  if (object === "all") return "/";
  if (object === "*" && !ROW_METHODS.includes(method)) return "*";
  if (!object.startsWith("/")) {
    const url = /^https?:\/\//i.test(object) ? URL.parse(object) : null;
    if (url !== null) {
      throw new WrongInput(
        `give the server first, then the path: connect ${url.origin} ${method.toLowerCase()} ${url.pathname}`,
      );
    }
    if (!object.isWellFormed()) throw new WrongInput("the name is not well-formed Unicode");
    return `/${encodeURIComponent(object)}`;
  }
  // Characters that are invalid in a target are percent-encoded; others are sent as typed.
  return object.toWellFormed().replace(/[^\w\-.~!$&'()*+,;=:@/?[\]%]/gu, encodeURIComponent);
}

/**
 * Creates a header field with its value in UTF-8. An empty value removes a default field.
 *
 * @throws {WrongInput} If the field is invalid or may not be set.
 */
export function fieldLine(name: string, value: string): FieldLine {
  const octets = Buffer.from(value.trim()).toString("latin1");
  if (!isToken(name)) {
    throw new WrongInput(`${JSON.stringify(name)} is not a field name (quote a value that has a colon)`);
  }
  if (!isFieldValue(octets)) throw new WrongInput(`the value of ${name} must not contain control characters`);
  if (isFramingField(name)) {
    throw new WrongInput(`${name} is set by this program, because it frames the message`);
  }
  return [name, octets];
}

/** Leaves out a byte order mark before JSON, which must not be sent (RFC 8259 §8.1). */
export function withoutJsonMark(request: HttpRequest): HttpRequest {
  const { fields, content } = request;
  const type = fields.find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
  if (content === undefined || !/[/+]json *(?:;|$)/i.test(type)) return request;
  return { ...request, content: withoutMark(content) };
}

/**
 * Returns the header section: the request's fields, and the defaults whose names it does not have. Fields with an empty
 * value only remove a default.
 */
export function withDefaults(request: HttpRequest, defaults: readonly FieldLine[]): HttpRequest {
  const own = new Set(request.fields.map(([name]) => name.toLowerCase()));
  const all = [
    ...defaults.filter(([name]) => !own.has(name.toLowerCase())),
    ...request.fields.filter(([, value]) => value !== ""),
  ];
  // Host comes first (RFC 9110 §7.2), whoever sets it.
  const isHost = ([name]: FieldLine) => name.toLowerCase() === "host";
  const fields = [...all.filter(isHost), ...all.filter((field) => !isHost(field))];
  if (request.content !== undefined && !own.has("content-type")) fields.push(["Content-Type", "application/json"]);
  return { ...request, fields };
}

/** Returns the fields of every request, unless it has others of their names. */
export function defaultFields(endpoint: Endpoint, version: string): FieldLine[] {
  return [["Host", authorityOf(endpoint)], ["User-Agent", `wiretable/${version}`], ["Accept", "*/*"]];
}
