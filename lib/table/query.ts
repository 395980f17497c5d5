/**
 * The query of a listing: filters, sorting and pages, by json-server's conventions.
 *
 * `age:gte=2` filters (without an operator: equal), `_sort=-age,type` sorts, `_page=2&_per_page=10` takes a page.
 * Two values that both read as numbers compare as numbers, else as strings.
 *
 * @module
 */

import { HttpError, percentDecoded } from "../http_message.ts";
import { MAX_QUERY_PARAMETERS, MAX_ROWS_PER_PAGE, MAX_SORT_KEYS } from "../limits.ts";
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
  /** Whether a row is part of the listing; `undefined` if every row is. */
  readonly filter: ((row: JsonObject) => boolean) | undefined;
  /** What to sort by; empty for the order of insertion. */
  readonly sort: readonly SortKey[];
  /** Which page to show; `undefined` for all rows. */
  readonly page: PageRequest | undefined;
}

/** A JSON value that is no object and no array. */
type Scalar = string | number | boolean | null;
type Test = (value: Scalar) => boolean;

/** Each operator makes, of the value it is given in the query, a test of a row's value. */
const OPERATORS: Record<string, (operand: string) => Test> = {
  eq: (operand) => (value) => compare(value, operand) === 0,
  ne: (operand) => (value) => compare(value, operand) !== 0,
  lt: (operand) => (value) => compare(value, operand) < 0,
  lte: (operand) => (value) => compare(value, operand) <= 0,
  gt: (operand) => (value) => compare(value, operand) > 0,
  gte: (operand) => (value) => compare(value, operand) >= 0,
  in: (operand) => {
    const members = operand.split(",");
    return (value) => members.some((member) => compare(value, member) === 0);
  },
  contains: (operand) => textTest(operand, (text, part) => text.includes(part)),
  startsWith: (operand) => textTest(operand, (text, part) => text.startsWith(part)),
  endsWith: (operand) => textTest(operand, (text, part) => text.endsWith(part)),
};

/** The operators that filters know. */
export const FILTER_OPERATORS: readonly string[] = Object.keys(OPERATORS);

/** As in json-server, letters' case does not count inside texts. */
function textTest(operand: string, test: (text: string, part: string) => boolean): Test {
  const part = operand.toLowerCase();
  return (value) => test(String(value).toLowerCase(), part);
}

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
  const filters: ((row: JsonObject) => boolean)[] = [];
  const options = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (!name.startsWith("_")) filters.push(parseFilter(name, value, schema));
    else if (!["_sort", "_page", "_per_page"].includes(name)) {
      throw new HttpError(
        400,
        `The parameter ${name} is unknown: _sort, _page and _per_page are known, and the fields`,
      );
    } else if (options.has(name)) throw new HttpError(400, `The parameter ${name} is given twice`);
    else options.set(name, value);
  }
  return {
    filter: filters.length === 0 ? undefined : (row) => filters.every((test) => test(row)),
    sort: parseSort(options.get("_sort"), schema),
    page: parsePage(options.get("_page"), options.get("_per_page")),
  };
}

/** `field=value` or `field:operator=value`. */
function parseFilter(name: string, operand: string, schema: RowSchema): (row: JsonObject) => boolean {
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
  return (row) => {
    const value = valueAt(row, path);
    return value !== undefined && test(value);
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

const WHOLE_NUMBER = /^[+-]?\d+$/;

/** The value as a number, if it reads as one: a number, or a string in JSON's or a like notation. */
function asNumber(value: Scalar): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !/^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)) return undefined;
  return Number(value);
}

function compare(a: Scalar, b: Scalar): number {
  const textA = String(a);
  const textB = String(b);
  if (textA === textB) return 0;
  const numberA = asNumber(a);
  const numberB = numberA === undefined ? undefined : asNumber(b);
  if (numberA === undefined || numberB === undefined) return textA < textB ? -1 : 1;
  if (numberA !== numberB) return numberA < numberB ? -1 : 1;
  // Long whole numbers that differ may be the same when they are rounded.
  return WHOLE_NUMBER.test(textA) && WHOLE_NUMBER.test(textB) ? Number(BigInt(textA) - BigInt(textB)) : 0;
}

/** What a row is sorted by: a number, a text, or `undefined` if the field is missing, for each key. */
export type SortValues = readonly (number | string | undefined)[];

/** The values to sort a row by. */
export function sortValues(row: JsonObject, keys: readonly SortKey[]): SortValues {
  return keys.map(({ path }) => {
    const value = valueAt(row, path);
    return value === undefined ? undefined : asNumber(value) ?? String(value);
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
