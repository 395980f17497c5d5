/**
 * Parses the values of a command in HTTPie's syntax, and creates a request from them.
 *
 * In `post Pingping snail 1 0`, values have the order of the fields. Items have names: `type=snail` is text, `age:=1`
 * JSON, `page==2` a query parameter, `If-Match:"1"` a header field, `Name;` an empty one, `Name:` none of that name.
 * After their separator `@FILE` is the text of a file. The whole content may also be given: `{"type":"a"}`, `@FILE`.
 */

import { authorityOf, type Endpoint } from "../address.ts";
import { Buffer, isUtf8 } from "node:buffer";
import { NO_BYTES, NOT_UTF8, withoutMark } from "../bytes.ts";
import {
  type FieldLine,
  type HttpRequest,
  isFieldValue,
  isFramingField,
  isToken,
  METHODS_WITH_CONTENT,
} from "../http_message.ts";
import { isJson } from "../json.ts";
import { contentOf, type OwnServer, type PastedData } from "./curl.ts";
import {
  boundaryOf,
  FORM,
  formOf,
  isType,
  mediaType,
  type Member,
  MULTIPART,
  multipart,
  typeOfFile,
} from "./request_content.ts";
import { type Word, WrongInput } from "./words.ts";

/** A field of a table's rows by its name in JSON; `scalar` is any JSON value except an object or array. */
export type NamedField = {
  readonly name: string;
  readonly type: "scalar" | "string" | "number" | "integer" | "boolean";
};

/** The words for a table in commands. */
export interface TableWords {
  /** The fields, in the order of values without names; `undefined` if a row may have any. */
  readonly fields: readonly NamedField[] | undefined;
  /** Whether these fields are assumed, so that the server's may differ. */
  readonly areGuessed?: boolean;
  /** The operators of filters, such as `gte` in `age:gte=2`. */
  readonly filterOperators: readonly string[];
  /** The server, which URLs may name. */
  readonly server: OwnServer;
}

/** A header field that an item asks for: its value, or `undefined` to send none of its name. */
export type AskedField = readonly [name: string, value: string | undefined];

/** A request as typed. Its content depends on the fields of the session too, and on the files that its items name. */
export interface Order {
  readonly method: string;
  /** The row's name, `all`, or a path, as typed. */
  readonly object: string;
  readonly items: readonly Item[];
  /** What else a pasted command of curl has. */
  readonly pasted?: { readonly data: readonly PastedData[] | undefined; readonly follows: boolean };
}

interface Named {
  readonly kind: "text" | "json" | "query" | "field";
  readonly name: string;
  /** The value, or the file with it; `undefined` for a field that is not to be sent. */
  readonly value: string | { readonly file: string } | undefined;
  /** Whether the name is a path into JSON in HTTPie's syntax, such as `a[b]`. */
  readonly isPath?: boolean;
}

/** A word after a method and its object. */
export type Item =
  | Pick<Word, "text" | "signs" | "isQuoted"> & { readonly kind: "value" | "content" }
  | { readonly kind: "file"; readonly name: string }
  /** A field of a form whose value is a file, as in `photo@FILE`. */
  | { readonly kind: "part"; readonly name: string; readonly file: string }
  | Named;

const ENCODER = new TextEncoder();
/** Methods on rows; `*` is not a row for other methods (RFC 9110 §7.1). */
const ROW_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/** Methods whose content has no meaning (RFC 9110 §9.3). */
const METHODS_WITHOUT_CONTENT = ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"];

/** Returns the fields as shown at the prompt: `[type] [age:integer] [leg]`. */
export function describeFields({ fields }: Pick<TableWords, "fields">): string {
  return fields?.map(({ name, type }) => `[${type === "scalar" ? name : `${name}:${type}`}]`).join(" ") ??
    "name=value …";
}

/** Parses a word by its first separator, := == = or :, or ; at its end; else it is a value, @FILE or -. */
export function readItem({ text, signs, isJson, isQuoted }: Word, { filterOperators }: TableWords): Item {
  if (isJson) return { kind: "content", text, signs, isQuoted };
  if (signs === "-" || /^@[^]/.test(signs)) return { kind: "file", name: text.replace(/^@/, "") };
  const at = signs.slice(1).search(/[:=]/) + 1;
  const [start, mark, name] = [text.slice(0, -1), signs[at], text.slice(0, at)];
  if (at === 0) {
    if (signs.endsWith(";") && isToken(start)) return { kind: "field", name: start, value: "" };
    return { kind: "value", text, signs, isQuoted };
  }
  // A filter such as `age:gte=2` is not a header field.
  const [filter = "", operator] = mark === ":" ? /^:(\w+)==?/.exec(text.slice(at)) ?? [] : [];
  const isFilter = filterOperators.includes(operator);
  const isDouble = signs[at + 1] === "=";
  const from = at + (isFilter ? filter.length : isDouble ? 2 : 1);
  const rest = text.slice(from);
  const value = rest.length > 1 && signs[from] === "@" ? { file: rest.slice(1) } : rest;
  if (isFilter) return { kind: "query", name: `${name}:${operator}`, value };
  if (mark === ":" && !isDouble) return { kind: "field", name, value: value === "" ? undefined : value };
  const isPath = /.\[.*\]$/.test(name) && signs[name.indexOf("[")] === "[";
  return { kind: isDouble ? mark === ":" ? "json" : "query" : "text", name, value, isPath };
}

/** Creates the order of a request: its object is a row's name, `all`, or a path. */
export function makeOrder(method: string, object: string, items: readonly Item[]): Order {
  const order = { method, object, items };
  // A request that is wrong whatever its files hold is refused before they are read.
  targetOf(order);
  askedFields(order);
  for (const item of items) if (item.kind === "file") refuseContent(method, item.name);
  return order;
}

/** Returns the items of a request whose content has this media type: only a form with files has parts. */
function itemsOf({ items }: Order, type: string): readonly Item[] {
  if (type !== MULTIPART) return items;
  return items.map((item) => {
    const isFile = item.kind === "value" && item.signs[item.text.indexOf("@")] === "@";
    const [, name, file] = isFile ? /^([^@]+)@([^]+)$/.exec(item.text) ?? [] : [];
    return name === undefined ? item : { kind: "part", name, file };
  });
}

export function isContent({ kind }: Item): boolean {
  return kind !== "query" && kind !== "field";
}

/** Returns the names of the files that a request needs; `-` for the standard input. */
export function filesOf(order: Order, session: readonly (readonly AskedField[])[]): string[] {
  const items = itemsOf(order, mediaType(merged([askedFields(order), ...session])));
  // A single file or hyphen is the content; besides other values it is a value.
  const isAlone = items.filter(isContent).length === 1;
  const names = items.flatMap((item) => {
    if (item.kind === "part") return item.file;
    if (item.kind === "file") return isAlone ? item.name : [];
    return "value" in item && typeof item.value === "object" ? item.value.file : [];
  });
  return [...names, ...order.pasted?.data?.flatMap((part) => "file" in part ? part.file : []) ?? []];
}

/**
 * Creates the request, once its files are read; also names the file that is its content as it is, `-` for the input.
 *
 * @param session Fields of later requests, and those of all: each replaces those after it.
 * @param files The contents of the files in {@linkcode filesOf}.
 */
export function requestOf(
  order: Order,
  session: readonly (readonly AskedField[])[],
  table: TableWords,
  files: ReadonlyMap<string, Uint8Array> = new Map(),
) {
  const { method, pasted, items } = order;
  const asked = merged([askedFields(order, files), ...session]);
  const fields = asked.filter((field): field is FieldLine => field[1] !== undefined);
  const target = items.reduce((target, item) => {
    if (item.kind !== "query") return target;
    const parameter = `${encodeURIComponent(item.name)}=${encodeURIComponent(valueOf(item, files))}`;
    return `${target}${target.includes("?") ? "&" : "?"}${parameter}`;
  }, targetOf(order));
  const request: HttpRequest = { method, target, fields };
  if (pasted?.data !== undefined) {
    const { content, contentFrom } = contentOf(pasted.data, files);
    return { request: { ...request, content }, contentFrom };
  }
  const body = bodyOf(order, fields, table, files);
  if (body === undefined) {
    if (method === "PATCH" && pasted === undefined) {
      throw new WrongInput("patch needs the fields to change: patch Pingping age=2");
    }
    return { request };
  }
  const typeAt = fields.findIndex(([name]) => isType(name));
  if (body.boundary !== undefined) {
    const [name, value] = fields[typeAt];
    fields[typeAt] = [name, `${value}; boundary=${body.boundary}`];
  }
  // The user may have removed it.
  if (body.type !== undefined && !asked.some(([name]) => isType(name))) fields.push(["Content-Type", body.type]);
  // A byte order mark must not be sent before JSON (RFC 8259 §8.1).
  const content = /[/+]json$/.test(mediaType(fields)) ? withoutMark(body.content) : body.content;
  return { request: { ...request, content }, ...content === body.content && { contentFrom: body.file } };
}

/** The content of a request, its type unless a field says otherwise, and the file that it comes from. */
interface Body {
  readonly content: Uint8Array;
  readonly type?: string;
  readonly file?: string;
  /** What separates its parts, if no field says that yet. */
  readonly boundary?: string;
}

function bodyOf(
  order: Order,
  fields: readonly FieldLine[],
  table: TableWords,
  files: ReadonlyMap<string, Uint8Array>,
): Body | undefined {
  const { method, object } = order;
  const type = mediaType(fields);
  const given = boundaryOf(fields);
  const contents = itemsOf(order, type).filter(isContent);
  const [first, ...more] = contents;
  if (more.length > 0 && contents.some(({ kind }) => kind === "content")) {
    throw new WrongInput("JSON for the content stands alone, without other values");
  }
  const alone = first !== undefined && more.length === 0 ? contentAlone(first, object, files) : undefined;
  if (alone !== undefined) {
    refuseContent(method, "text" in first ? first.text : first.name);
    if (type !== MULTIPART || given !== undefined) return alone;
    throw new WrongInput(`${MULTIPART} takes items, as a=b photo@FILE; other content needs its boundary in the type`);
  }
  const values = contents.flatMap((item) =>
    item.kind === "file" ? item.name === "-" ? "-" : `@${item.name}` : item.kind === "value" ? item.text : []
  );
  const members = contents.flatMap((item): Member[] => {
    if (item.kind === "part") return [{ ...item, json: "" }];
    if (item.kind !== "text" && item.kind !== "json") return [];
    const text = valueOf(item, files);
    if (item.kind === "json" && !isJson(ENCODER.encode(text))) throw notJson(item.name, text);
    return [{ name: item.name, json: item.kind === "json" ? text : JSON.stringify(text), isPath: item.isPath }];
  });
  members.push(...positionalValues(method, values, table));
  if (members.length === 0) return undefined;
  refuseContent(method, members.map(({ name }) => name).join(", "));
  if (type === FORM) return { content: ENCODER.encode(formOf(members)) };
  if (type === MULTIPART) {
    const boundary = given ?? `wiretable-${crypto.randomUUID()}`;
    return { content: multipart(members, files, boundary), ...given === undefined && { boundary } };
  }
  const path = members.find(({ isPath }) => isPath);
  if (path !== undefined) {
    throw new WrongInput(`${path.name} is not a member's name: nested JSON is written as a:='{"b":1}' or as JSON`);
  }
  return { content: ENCODER.encode(jsonOf(object, members)), type: "application/json" };
}

/** Returns a single value as the whole content; `undefined` if it is a value of a row, or an item. */
function contentAlone(item: Item, object: string, files: ReadonlyMap<string, Uint8Array>): Body | undefined {
  if (item.kind === "file") {
    const content = files.get(item.name)!;
    return { content, type: typeOfFile(item.name, content), file: item.name };
  }
  const isPath = /^[/*]/.test(object);
  if (item.kind !== "content" && (item.kind !== "value" || !isPath)) return undefined;
  if (item.isQuoted && item.text.startsWith("@")) {
    throw new WrongInput(`a file is named without quotes, as @FILE; \\@ is an @ of the content, saw "${item.text}"`);
  }
  const content = ENCODER.encode(item.text);
  const isText = isPath && !isJson(content);
  return { content, type: isText ? "text/plain; charset=utf-8" : "application/json" };
}

/** Returns the value of an item: of a file that was read its text, without its last line end. */
function valueOf({ value }: Named, files?: ReadonlyMap<string, Uint8Array>): string {
  if (typeof value !== "object") return value ?? "";
  const octets = files?.get(value.file) ?? NO_BYTES;
  if (!isUtf8(octets)) throw new WrongInput(`@${value.file} is ${NOT_UTF8}`);
  return new TextDecoder().decode(octets).replace(/\r?\n$/, "");
}

function askedFields({ items }: Order, files?: ReadonlyMap<string, Uint8Array>): AskedField[] {
  return items.flatMap((item): AskedField[] => {
    if (item.kind !== "field") return [];
    const [name, value] = fieldLine(item.name, valueOf(item, files));
    return [[name, item.value === undefined ? undefined : value]];
  });
}

/** Merges fields: those of a list replace those of their name in lists after it; one without a value is not sent. */
function merged(lists: readonly (readonly AskedField[])[]): AskedField[] {
  const fields = lists.reduceRight<AskedField[]>((all, list) => {
    const names = list.map(([name]) => name.toLowerCase());
    return [...all.filter(([name]) => !names.includes(name.toLowerCase())), ...list];
  }, []);
  // Host comes first (RFC 9110 §7.2), whoever sets it.
  const isHost = ([name]: AskedField) => name.toLowerCase() === "host";
  return [...fields.filter(isHost), ...fields.filter((field) => !isHost(field))];
}

function refuseContent(method: string, seen: string): void {
  if (!METHODS_WITHOUT_CONTENT.includes(method)) return;
  const hint = method === "GET" || method === "HEAD" ? "; a filter is leg==4" : "";
  throw new WrongInput(`${method.toLowerCase()} takes no values, saw ${seen}${hint}`);
}

function jsonOf(object: string, members: readonly Member[]): string {
  // Of a name given twice the last value counts.
  const all = new Map(members.map(({ name, json }) => [name, json]));
  const row = `{${[...all].map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;
  return /^[/*]/.test(object) || object === "all" ? row : `{${JSON.stringify(object)}:${row}}`;
}

/** Assigns values without names to the fields in order: all fields or none. */
function positionalValues(method: string, values: readonly string[], table: TableWords): Member[] {
  if (values.length === 0) return [];
  if (!METHODS_WITH_CONTENT.includes(method)) {
    throw new WrongInput(`${method.toLowerCase()} takes no values, saw ${values.join(" ")}`);
  }
  if (table.fields === undefined) throw new WrongInput("values need names here: type=snail, or age:=1 for JSON");
  if (values.length !== table.fields.length) {
    const hint = table.areGuessed ? "; options all asks the server for its fields" : "";
    throw new WrongInput(
      `expected ${table.fields.length} values, ${describeFields(table)}, saw ${values.length}${hint}`,
    );
  }
  return table.fields.map((field, i) => ({ name: field.name, json: typedValue(field, values[i]) }));
}

/** A value of a typed field must be JSON already; others are text. */
function typedValue({ name, type }: NamedField, text: string): string {
  if (type === "scalar" || type === "string") return JSON.stringify(text);
  if (!isJson(ENCODER.encode(text))) throw notJson(name, text);
  const value: unknown = JSON.parse(text);
  if (type === "integer" ? Number.isInteger(value) : type === (typeof value as string)) return text;
  const expected = type === "integer" ? "an integer" : `a ${type}`;
  throw new WrongInput(`[${name}] takes ${expected}, saw ${JSON.stringify(text)}`);
}

function notJson(name: string, text: string): WrongInput {
  return new WrongInput(`the value of ${name} is not JSON: ${text === "" ? "it is empty" : text}`);
}

/** Returns the target without parameters: `all` is the table, a path is sent as typed, anything else a row's name. */
export function targetOf({ method, object }: Order): string {
  if (object === "all") return "/";
  if (object === "*" && !ROW_METHODS.includes(method)) return "*";
  if (!object.startsWith("/")) {
    if (!object.isWellFormed()) throw new WrongInput("the name is not well-formed Unicode");
    return `/${encodeURIComponent(object)}`;
  }
  // Characters that are invalid in a target are percent-encoded; others are sent as typed, but for the fragment, which
  // is for the client alone (RFC 9110 §7.1).
  return object.replace(/#.*/s, "").toWellFormed().replace(/[^\w\-.~!$&'()*+,;=:@/?[\]%]/gu, encodeURIComponent);
}

/** Creates a header field with its value in UTF-8, unless it is invalid or may not be set. */
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

/** Returns the fields of every request, unless it has others of their names. */
export function defaultFields(endpoint: Endpoint, version: string): FieldLine[] {
  return [["Host", authorityOf(endpoint)], ["User-Agent", `wiretable/${version}`], ["Accept", "*/*"]];
}
