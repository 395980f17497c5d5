/**
 * The query of a listing: filters, sorting and pages, by json-server's conventions.
 *
 * `age:gte=2` filters (without an operator: equal), `_sort=-age,type` sorts, `_page=2&_per_page=10` takes a page.
 * Two values that both read as numbers compare as numbers, else as texts.
 *
 * @module
 */

import { HttpError, percentDecoded } from "../http_message.ts";
import { MAX_QUERY_PARAMETERS, MAX_ROWS_PER_PAGE, MAX_SORT_KEYS } from "../limits.ts";
import { anyOf, compare, containing, Operand, type Scalar } from "./operand.ts";
import { isObject, type JsonObject, type RowSchema } from "./row_schema.ts";

/** Rows on a page that does not say how many. */
const DEFAULT_PER_PAGE = 10;

/** One field to sort by. */
export interface SortKey {
  /** Where the value stands in a row. */
  readonly path: readonly string[];
  /** Largest first. */
  readonly descending: boolean;
}

/** One page of a listing. */
export interface PageRequest {
  /** The page's number, from 1. */
  readonly number: number;
  /** Rows on each page. */
  readonly size: number;
}

/** What a listing's query asks for. */
export interface ListingQuery {
  /** What each row of the listing passes; empty if every row is part of it. */
  readonly filters: readonly RowTest[];
  /** What to sort by; empty for the order of insertion. */
  readonly sort: readonly SortKey[];
  /** Which page to show; `undefined` for all rows. */
  readonly page: PageRequest | undefined;
}

/** Whether a value passes. */
type Test = (value: Operand) => boolean;

/** Each operator makes, of the value it is given in the query, a test of a row's value. */
const OPERATORS: Record<string, (operand: string) => Test> = {
  eq: comparison((order) => order === 0),
  ne: comparison((order) => order !== 0),
  lt: comparison((order) => order < 0),
  lte: comparison((order) => order <= 0),
  gt: comparison((order) => order > 0),
  gte: comparison((order) => order >= 0),
  in: (operand) => anyOf(operand.split(",")),
  // As in json-server, letters' case does not count inside texts.
  contains: (operand) => {
    const test = containing(operand.toLowerCase());
    return ({ lower }) => test(lower);
  },
  startsWith: (operand) => {
    const part = operand.toLowerCase();
    return ({ lower }) => lower.startsWith(part);
  },
  endsWith: (operand) => {
    const part = operand.toLowerCase();
    return ({ lower }) => lower.endsWith(part);
  },
};

function comparison(holds: (order: number) => boolean): (operand: string) => Test {
  return (text) => {
    const operand = new Operand(text);
    return (value) => holds(compare(value, operand));
  };
}

/** The operators that filters know. */
export const FILTER_OPERATORS: readonly string[] = Object.keys(OPERATORS);

/** The values of one row that tests ask for, each read once. */
export class RowValues {
  readonly #row: JsonObject;
  /** By field, in the order in which the query names them; `null` where the row has no such scalar. */
  readonly #operands: (Operand | null | undefined)[] = [];

  /** Reads this row. */
  constructor(row: JsonObject) {
    this.#row = row;
  }

  /** The value of a field, or `null`. */
  get(field: number, path: readonly string[]): Operand | null {
    const known = this.#operands[field];
    if (known !== undefined) return known;
    const value = valueAt(this.#row, path);
    return this.#operands[field] = value === undefined ? null : new Operand(value);
  }
}

/** Whether a row passes one filter. */
export type RowTest = (row: RowValues) => boolean;

/**
 * Reads a query.
 *
 * @param query What follows the target's `?`, percent-encoded.
 * @throws {HttpError} 400 if a parameter is unknown, malformed or there twice; the detail names it.
 */
export function parseQuery(query: string, schema: RowSchema): ListingQuery {
  if (percentDecoded(query) === undefined) {
    throw new HttpError(400, "The query must be percent-encoded UTF-8", { rule: "RFC 3986 §2.5" });
  }
  const parameters = [...new URLSearchParams(query)];
  if (parameters.length > MAX_QUERY_PARAMETERS) {
    throw new HttpError(400, `A query may have ${MAX_QUERY_PARAMETERS} parameters, saw ${parameters.length}`);
  }
  const filters: RowTest[] = [];
  const fields: string[] = [];
  const options = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (!name.startsWith("_")) filters.push(parseFilter(name, value, schema, fields));
    else if (!["_sort", "_page", "_per_page"].includes(name)) {
      throw new HttpError(
        400,
        `The parameter ${name} is unknown: _sort, _page and _per_page are known, and the fields`,
      );
    } else if (options.has(name)) throw new HttpError(400, `The parameter ${name} is given twice`);
    else options.set(name, value);
  }
  return {
    filters,
    sort: parseSort(options.get("_sort"), schema),
    page: parsePage(options.get("_page"), options.get("_per_page")),
  };
}

/**
 * `field=value` or `field:operator=value`.
 *
 * @param fields The fields that the query has named so far: a new one is added.
 */
function parseFilter(name: string, operand: string, schema: RowSchema, fields: string[]): RowTest {
  const colon = name.lastIndexOf(":");
  const field = colon < 0 ? name : name.slice(0, colon);
  const operator = colon < 0 ? "eq" : name.slice(colon + 1);
  const path = parsePath(field, name, schema);
  if (!Object.hasOwn(OPERATORS, operator)) {
    const known = FILTER_OPERATORS.join(", ");
    throw new HttpError(
      400,
      `The parameter ${name} has an unknown operator ${JSON.stringify(operator)}: known are ${known}`,
    );
  }
  const test = OPERATORS[operator](operand);
  const index = fields.includes(field) ? fields.indexOf(field) : fields.push(field) - 1;
  return (row) => {
    const value = row.get(index, path);
    return value !== null && test(value);
  };
}

function parseSort(text: string | undefined, schema: RowSchema): SortKey[] {
  if (text === undefined) return [];
  const parts = text.split(",");
  if (parts.length > MAX_SORT_KEYS) {
    throw new HttpError(400, `The parameter _sort takes at most ${MAX_SORT_KEYS} fields, saw ${parts.length}`);
  }
  return parts.map((part) => {
    const descending = part.startsWith("-");
    return { path: parsePath(descending ? part.slice(1) : part, "_sort", schema), descending };
  });
}

/** A field's name; in rows of free form also `author.name`, for a field inside another. */
function parsePath(field: string, parameter: string, schema: RowSchema): string[] {
  if (field === "" || !schema.has(field)) {
    const known = schema.fields === undefined
      ? ""
      : `: a row has the fields ${schema.fields.map(({ name }) => name).join(", ")}`;
    throw new HttpError(400, `The parameter ${parameter} names the unknown field ${JSON.stringify(field)}${known}`);
  }
  return schema.fields === undefined ? field.split(".") : [field];
}

function parsePage(page: string | undefined, perPage: string | undefined): PageRequest | undefined {
  if (page === undefined && perPage === undefined) return undefined;
  return {
    number: parseCount("_page", page ?? "1", Number.MAX_SAFE_INTEGER),
    size: parseCount("_per_page", perPage ?? String(DEFAULT_PER_PAGE), MAX_ROWS_PER_PAGE),
  };
}

function parseCount(parameter: string, text: string, most: number): number {
  const count = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (count >= 1 && count <= most) return count;
  throw new HttpError(
    400,
    `The parameter ${parameter} takes a whole number from 1 to ${most}, saw ${JSON.stringify(text)}`,
  );
}

/** The scalar at the path; `undefined` if there is none. */
function valueAt(row: JsonObject, path: readonly string[]): Scalar | undefined {
  let value: unknown = row;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return typeof value === "object" && value !== null ? undefined : value as Scalar;
}

/** What a row is sorted by: a number, a text, or `undefined` if the field is missing, for each key. */
export type SortValues = readonly (number | string | undefined)[];

/** The values to sort a row by. */
export function sortValues(row: JsonObject, keys: readonly SortKey[]): SortValues {
  return keys.map(({ path }) => {
    const value = valueAt(row, path);
    if (value === undefined) return undefined;
    const { number, text } = new Operand(value);
    return number ?? text;
  });
}

/**
 * Which of two rows comes first: negative for the first one, 0 if the keys do not tell.
 *
 * Numbers come before texts, so that the order is one: comparing a number with a text as texts, as filters do,
 * would put 9 before 10, 10 before 1a, and 1a before 9. Rows without the field come last in either direction.
 */
export function compareSortValues(a: SortValues, b: SortValues, keys: readonly SortKey[]): number {
  for (let i = 0; i < keys.length; i++) {
    const valueA = a[i];
    const valueB = b[i];
    if (valueA === valueB) continue;
    if (valueA === undefined) return 1;
    if (valueB === undefined) return -1;
    const before = typeof valueA === typeof valueB ? valueA < valueB : typeof valueA === "number";
    return before === keys[i].descending ? 1 : -1;
  }
  return 0;
}
