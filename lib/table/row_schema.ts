/** The fields of a row and their types, as given by `--fields`. */

import type { FieldProblem } from "../http_message.ts";
import { beyondInteger, isObject, type JsonObject } from "../json.ts";
import { MAX_ROW_FIELD_CHARACTERS, MAX_ROW_FIELDS } from "../limits.ts";

/** The types in `--fields`. A field without one is a `scalar`: any JSON value except an object or array. */
export type RowFieldType = "scalar" | "string" | "number" | "integer" | "boolean";

/** A field of every row. */
export interface RowField {
  /** The JSON member's name. */
  readonly name: string;
  /** The type of its value. */
  readonly type: RowFieldType;
}

/** What rows have to be. */
export interface RowLimits {
  readonly schema: RowSchema;
  /** The most octets of a row, as it is stored under its name. */
  readonly maxRowBytes: number;
}

/** The operators of filters. */
export const FILTER_OPERATORS: readonly string[] = "eq ne lt lte gt gte contains startsWith endsWith in".split(" ");

const TYPES: readonly string[] = ["string", "number", "integer", "boolean"];

/** The schema of a table's rows. */
export class RowSchema {
  /** The fields in order; `undefined` if a row may be any JSON object. */
  readonly fields: readonly RowField[] | undefined;
  readonly #byName: ReadonlyMap<string, RowField>;

  /** Creates a schema with these fields, or for any object. */
  constructor(fields: readonly RowField[] | undefined) {
    this.fields = fields;
    this.#byName = new Map(fields?.map((field) => [field.name, field]));
  }

  /**
   * Parses `type,age:integer,leg`, or `*` for any JSON object.
   *
   * @throws {RangeError} If a field has no name, is repeated or has an unknown type, or if there are too many.
   */
  static parse(text: string): RowSchema {
    if (text.trim() === "*") return new RowSchema(undefined);
    const fields = text.split(",").map((part) => parseField(part.trim()));
    if (fields.length > MAX_ROW_FIELDS) {
      throw new RangeError(`At most ${MAX_ROW_FIELDS} fields are allowed, saw ${fields.length}`);
    }
    const names = new Set<string>();
    for (const { name } of fields) {
      if (names.has(name)) throw new RangeError(`The field ${JSON.stringify(name)} is named twice`);
      names.add(name);
    }
    return new RowSchema(fields);
  }

  /** Whether rows may have a field of this name. */
  has(name: string): boolean {
    return this.fields === undefined || this.#byName.has(name);
  }

  /** Whether a field of this name is declared. */
  declares(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Returns the type of a field; a `scalar` in rows of any form. */
  typeOf(name: string): RowFieldType {
    return this.#byName.get(name)?.type ?? "scalar";
  }

  /** Returns the schema in the format of `--fields`. */
  toString(): string {
    if (this.fields === undefined) return "*";
    return this.fields.map(({ name, type }) => type === "scalar" ? name : `${name}:${type}`).join(",");
  }

  /** Returns the problems of a row, at most one per field; none if it fits the schema. */
  check(row: JsonObject): FieldProblem[] {
    if (this.fields === undefined) return [];
    const problems: FieldProblem[] = [];
    for (const { name, type } of this.fields) {
      const detail = Object.hasOwn(row, name) ? valueProblem(row[name], type) : `is missing: expected ${article(type)}`;
      if (detail !== undefined) problems.push({ field: name, detail });
    }
    for (const name in row) {
      if (!this.#byName.has(name)) {
        problems.push({ field: name, detail: `is unknown: a row has the fields ${this.#names()}` });
      }
    }
    return problems;
  }

  #names(): string {
    return this.fields!.map(({ name }) => name).join(", ");
  }
}

function parseField(text: string): RowField {
  const colon = text.indexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  const type = colon < 0 ? "scalar" : text.slice(colon + 1);
  if (name === "") throw new RangeError("A field has no name: expected a list such as type,age:integer,leg");
  if (name.length > MAX_ROW_FIELD_CHARACTERS) {
    throw new RangeError(`A field's name has at most ${MAX_ROW_FIELD_CHARACTERS} characters, saw ${name.length}`);
  }
  if (name.startsWith("_") || name === "*") {
    throw new RangeError(`A field's name must not be * or start with _, saw ${JSON.stringify(name)}`);
  }
  if (type !== "scalar" && !TYPES.includes(type)) {
    throw new RangeError(`A field's type is ${TYPES.join(", ")}, or left out, saw ${JSON.stringify(type)}`);
  }
  return { name, type: type as RowFieldType };
}

function article(type: RowFieldType): string {
  return type === "scalar"
    ? "a string, a number, true, false or null"
    : type === "integer"
    ? "an integer"
    : `a ${type}`;
}

/** Returns the problem of a field's value, if any. */
function valueProblem(value: unknown, type: RowFieldType): string | undefined {
  const wrong = type === "integer"
    ? !Number.isInteger(value)
    : type === "scalar"
    ? typeof value === "object" && value !== null
    : type !== (typeof value as string);
  if (wrong) return `must be ${article(type)}, saw ${seen(value)}`;
  // A number with an exponent may be stored beyond 2^53 - 1, but not as an integer.
  if (type === "integer" && !Number.isSafeInteger(value)) return beyondInteger();
}

function seen(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  const text = JSON.stringify(value);
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
