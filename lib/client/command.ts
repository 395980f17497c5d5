/**
 * What a user types, as a request or as an order to the program: pure, no I/O.
 *
 * @module
 */

import type { FieldLine } from "../http_message.ts";
import { fieldLine, hasValues, makeRequest, type Order, type TableWords } from "./items.ts";
import { parseRawSteps, type RawStep } from "./raw_steps.ts";
import { shellWord, splitLine, type Word, WrongInput } from "./words.ts";

/** What a command asks for. */
export type Command =
  | { readonly kind: "nothing" | "quit" | "follow" | "curl" | "explain" }
  | { readonly kind: "help"; readonly topic?: "raw" }
  /** Octets to send as they are. */
  | { readonly kind: "raw"; readonly steps: readonly RawStep[] }
  /** Which parts of exchanges to show from now on; without them, which are shown is told. */
  | { readonly kind: "print"; readonly parts: string | undefined }
  /** A header field to be sent from now on, or the name of one that is not; without either, they are listed. */
  | { readonly kind: "header"; readonly field?: FieldLine; readonly dropped?: string }
  /** A request, and the row or target that it is for, as typed. */
  | { readonly kind: "request"; readonly order: Order; readonly object: string }
  /** Values are missing: they are asked for, and then {@linkcode completeCommand} makes the request. */
  | { readonly kind: "ask"; readonly words: readonly Word[] };

/** The methods that commands know, as they are typed. */
export const METHODS: readonly string[] = ["get", "head", "post", "put", "patch", "delete", "options"];
/** The other commands. */
export const LOCAL_COMMANDS: readonly string[] = [
  ...["print", "header", "auth", "follow", "curl", "explain", "raw", "help", "q"],
];

/**
 * Reads a command that was typed as a line.
 *
 * @throws {WrongInput} If it is none.
 */
export function parseLine(line: string, table: TableWords): Command {
  // The strings of raw have quotes and escapes of their own.
  const steps = /^\s*raw(?:\s+(.*))?$/is.exec(line);
  return steps === null ? parseCommand(splitLine(line), table) : { kind: "raw", steps: parseRawSteps(steps[1] ?? "") };
}

/**
 * Reads a command that a shell has parted into words.
 *
 * @throws {WrongInput} If it is none.
 */
export function parseArguments(words: readonly string[], table: TableWords): Command {
  if (words[0].toLowerCase() !== "raw") return parseCommand(words.map(shellWord), table);
  return { kind: "raw", steps: parseRawSteps(words.slice(1).join(" ")) };
}

/**
 * Reads a command.
 *
 * @throws {WrongInput} If it is none.
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
 * Makes the request of a command whose values were asked for.
 *
 * @throws {WrongInput} If the values make no sense, or there are none.
 */
export function completeCommand(words: readonly Word[], values: readonly Word[], table: TableWords): Order {
  if (!hasValues(values, table)) {
    const expected = table.fields === undefined
      ? "name=value …"
      : table.fields.map(({ name }) => `[${name}]`).join(" ");
    throw new WrongInput(`expected ${expected}, saw nothing`);
  }
  return makeRequest(methodOf(words[0].text), words[1].text, [...words.slice(2), ...values], table);
}

/** A known method in any case, or another one in capitals as it is. */
function methodOf(verb: string): string {
  if (METHODS.includes(verb.toLowerCase())) return verb.toUpperCase();
  if (verb === "CONNECT") throw new WrongInput("CONNECT would make a tunnel of the connection, which is not done here");
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
    throw new WrongInput(`the version and the line end are sent by this program: ${verb.toLowerCase()} ${object.text}`);
  }
  if (!known && !/^[/*]/.test(object.text)) {
    throw new WrongInput(`${method} needs a /path: ${method} /${object.text}`);
  }
  const isRow = object.text !== "all" && !object.text.startsWith("/");
  const wantsValues = isRow && (method === "POST" || method === "PUT") && !hasValues(words.slice(2), table);
  return wantsValues
    ? { kind: "ask", words }
    : { kind: "request", order: makeRequest(method, object.text, words.slice(2), table), object: object.text };
}

/** Letters of HBhb, as `--print` takes them. */
function partsOf(words: readonly Word[]): string | undefined {
  if (words.length === 0) return undefined;
  const text = words.map(({ text }) => text).join(" ");
  if (/^[HBhb]+$/.test(text)) return text;
  throw new WrongInput(`print takes letters of HBhb, saw ${JSON.stringify(text)}`);
}

/** `header Name: value` keeps a field, `header -Name` drops it, `header` lists them. */
function headerCommand(text: string): Command {
  if (text === "") return { kind: "header" };
  if (text.startsWith("-")) return { kind: "header", dropped: text.slice(1) };
  const colon = text.indexOf(":");
  if (colon < 1) throw new WrongInput(`header takes Name: value, or -Name to drop it, saw ${JSON.stringify(text)}`);
  return { kind: "header", field: fieldLine(text.slice(0, colon), text.slice(colon + 1)) };
}

/** `auth USER:PASS` keeps the field that gives them (RFC 7617), `auth -` drops it. */
function authCommand(text: string): Command {
  if (text === "-") return { kind: "header", dropped: "Authorization" };
  if (!text.includes(":")) throw new WrongInput("auth takes USER:PASS, or - to drop them");
  return { kind: "header", field: basicAuthorization(text) };
}

/** The field that gives a user and a password: `Authorization: Basic …` (RFC 7617 §2). */
export function basicAuthorization(userPass: string): FieldLine {
  return ["Authorization", `Basic ${new TextEncoder().encode(userPass).toBase64()}`];
}
