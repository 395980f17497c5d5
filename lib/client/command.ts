/**
 * Parses what a user types, into a request or a command of the program. Pure: no I/O.
 *
 * @module
 */

import { octetString } from "../bytes.ts";
import type { FieldLine } from "../http_message.ts";
import { credentialsIn, isCredentialField, maskQuery, maskTarget } from "../masking.ts";
import { type AskedField, fieldLine, hasValues, makeOrder, type Order, type TableWords } from "./items.ts";
import { parseRawSteps, type RawStep } from "./raw_steps.ts";
import { shellWord, splitLine, type Word, WrongInput } from "./words.ts";

/** A parsed command. */
export type Command =
  | { readonly kind: "nothing" | "quit" | "follow" | "curl" | "explain" }
  | { readonly kind: "help"; readonly topic?: "raw" }
  /** Octets to send unchanged. */
  | { readonly kind: "raw"; readonly steps: readonly RawStep[] }
  /** The parts of later exchanges to show; without parts, the current ones are printed. */
  | { readonly kind: "print"; readonly parts: string | undefined }
  /** A header field for later requests, or the name of one to drop; without either, they are listed. */
  | { readonly kind: "header"; readonly field?: AskedField; readonly dropped?: string }
  | { readonly kind: "request"; readonly order: Order }
  /** Values are missing: the program asks for them, and {@linkcode completeCommand} creates the request. */
  | { readonly kind: "ask"; readonly words: readonly Word[] };

/** Known methods, as they are typed. */
export const METHODS: readonly string[] = ["get", "head", "post", "put", "patch", "delete", "options"];
/** Other commands. */
export const LOCAL_COMMANDS: readonly string[] = [
  ...["print", "header", "auth", "follow", "curl", "explain", "raw", "help", "q"],
];

/**
 * Parses a typed line.
 *
 * @throws {WrongInput} If it is not a command.
 */
export function parseLine(line: string, table: TableWords): Command {
  // The strings of raw have quotes and escapes of their own.
  const steps = /^\s*raw(?:\s+(.*))?$/is.exec(line);
  return steps === null ? parseCommand(splitLine(line), table) : { kind: "raw", steps: parseRawSteps(steps[1] ?? "") };
}

/**
 * Parses words that a shell has split.
 *
 * @throws {WrongInput} If they are not a command.
 */
export function parseArguments(words: readonly string[], table: TableWords): Command {
  if (words[0].toLowerCase() !== "raw") return parseCommand(words.map(shellWord), table);
  return { kind: "raw", steps: parseRawSteps(words.slice(1).join(" ")) };
}

/**
 * Parses words.
 *
 * @throws {WrongInput} If they are not a command.
 */
export function parseCommand(words: readonly Word[], table: TableWords): Command {
  if (words.length === 0) return { kind: "nothing" };
  const [{ text: verb }] = words;
  switch (verb.toLowerCase()) {
    case "help":
    case "?":
      return words[1]?.text.toLowerCase() === "raw" ? { kind: "help", topic: "raw" } : { kind: "help" };
    case "q":
    case "quit":
    case "exit":
      return { kind: "quit" };
    case "follow":
    case "curl":
    case "explain":
      return { kind: verb.toLowerCase() as "follow" | "curl" | "explain" };
    case "print":
      return { kind: "print", parts: partsOf(words.slice(1)) };
    case "header":
      return headerCommand(words.slice(1).map(({ text }) => text).join(" "));
    case "auth":
      return authCommand(words.slice(1).map(({ text }) => text).join(" "));
    default:
      return requestCommand(methodOf(verb), words, table);
  }
}

/**
 * Creates the request once the values were entered.
 *
 * @throws {WrongInput} If the values are invalid or missing.
 */
export function completeCommand(words: readonly Word[], values: readonly Word[], table: TableWords): Order {
  if (!hasValues(values, table)) {
    const expected = table.fields === undefined
      ? "name=value …"
      : table.fields.map(({ name }) => `[${name}]`).join(" ");
    throw new WrongInput(`expected ${expected}, saw nothing`);
  }
  return makeOrder(methodOf(words[0].text), words[1].text, [...words.slice(2), ...values], table);
}

/** Returns the method of a verb: a known method in any case, or another one in capitals. */
function methodOf(verb: string): string {
  if (METHODS.includes(verb.toLowerCase())) return verb.toUpperCase();
  if (verb === "CONNECT") {
    throw new WrongInput("CONNECT would turn the connection into a tunnel, which is not supported");
  }
  if (/^[A-Z][A-Z0-9-]*$/.test(verb)) return verb;
  const known = [...METHODS, ...LOCAL_COMMANDS].join(", ");
  throw new WrongInput(`${JSON.stringify(verb)} is not a command: use ${known}`);
}

function requestCommand(method: string, words: readonly Word[], table: TableWords): Command {
  const [{ text: verb }, object, third] = words;
  const known = METHODS.includes(method.toLowerCase());
  if (object === undefined || object.text === "") {
    const example = known ? `${method.toLowerCase()} Pingping` : `${method} /`;
    throw new WrongInput(
      `${known ? method.toLowerCase() : method} needs ${
        known ? "an object's name, all, or a /path" : "a /path"
      }: ${example}`,
    );
  }
  if (third !== undefined && /^HTTP\/\d/.test(third.text)) {
    throw new WrongInput(`this program adds the version and the line end: ${verb.toLowerCase()} ${object.text}`);
  }
  if (!known && !/^[/*]/.test(object.text)) {
    throw new WrongInput(`${method} needs a /path: ${method} /${object.text}`);
  }
  const isRow = object.text !== "all" && !object.text.startsWith("/");
  const wantsValues = isRow && (method === "POST" || method === "PUT") && !hasValues(words.slice(2), table);
  return wantsValues
    ? { kind: "ask", words }
    : { kind: "request", order: makeOrder(method, object.text, words.slice(2), table) };
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
      // These words are fields and query parameters only.
      return command.words.slice(2).some(({ text }) =>
        isCredentialField(text.split(/[:=]/, 1)[0]) || credentialsIn(text).length > 0
      );
    case "request": {
      const { target, items } = command.order;
      const parameters = items.flatMap((item) => item.kind === "query" ? item.name : []);
      const fields = items.flatMap((item): AskedField[] =>
        item.kind === "field" ? [[item.name, typeof item.value === "object" ? "file" : item.value]] : []
      );
      return fieldsHold(fields) || maskQuery(maskTarget(target)) !== target || parameters.some(isCredentialField);
    }
    default:
      return false;
  }
}

function fieldsHold(fields: readonly AskedField[]): boolean {
  return credentialsIn(fields.map(([name, value = ""]) => `${name}: ${value}\r\n`).join("")).length > 0;
}

/** Parses letters of HBhb, as in `--print`. */
function partsOf(words: readonly Word[]): string | undefined {
  if (words.length === 0) return undefined;
  const text = words.map(({ text }) => text).join(" ");
  if (/^[HBhb]+$/.test(text)) return text;
  throw new WrongInput(`print takes letters of HBhb, saw ${JSON.stringify(text)}`);
}

/**
 * Parses `header Name: value`, which adds a field to later requests, `Name;` an empty one, and `Name:` none of that
 * name; `header -Name`, which drops it, and `header`, which lists them.
 */
function headerCommand(text: string): Command {
  if (text === "") return { kind: "header" };
  if (text.startsWith("-")) return { kind: "header", dropped: text.slice(1) };
  const empty = /^([^:]+);$/.exec(text)?.[1];
  if (empty !== undefined) return { kind: "header", field: fieldLine(empty, "") };
  const colon = text.indexOf(":");
  if (colon < 1) throw new WrongInput(`header takes Name: value, or -Name to drop it, saw ${JSON.stringify(text)}`);
  const [name, value] = fieldLine(text.slice(0, colon), text.slice(colon + 1));
  return { kind: "header", field: [name, value === "" ? undefined : value] };
}

/** Parses `auth USER:PASS`, which adds the credentials to later requests (RFC 7617), and `auth -`, which drops them. */
function authCommand(text: string): Command {
  if (text === "-") return { kind: "header", dropped: "Authorization" };
  if (!text.includes(":")) throw new WrongInput("auth takes USER:PASS, or - to drop them");
  return { kind: "header", field: basicAuthorization(text) };
}

/** Returns the field with a user's credentials: `Authorization: Basic …` (RFC 7617 §2). */
export function basicAuthorization(userPass: string): FieldLine {
  return ["Authorization", `Basic ${new TextEncoder().encode(userPass).toBase64()}`];
}
