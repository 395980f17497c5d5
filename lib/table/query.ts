/**
 * The query of a listing: filters, sorting and pages, with json-server's conventions.
 *
 * `age:gte=2` filters (without an operator: equal), `_sort=-age,type` sorts, `_page=2&_per_page=10` selects a page. Two
 * numbers, or texts in a number's notation, compare as numbers; other values compare as text.
 *
 * @module
 */

import { HttpError, percentDecoded } from "../http_message.ts";
import { MAX_QUERY_PARAMETERS, MAX_ROWS_PER_PAGE, MAX_SORT_KEYS } from "../limits.ts";
import { anyOf, compare, containing, Operand } from "./operand.ts";
import type { RowSchema } from "./row_schema.ts";
import { type Path, pathOf, type StoredRows } from "./stored_rows.ts";

/** Rows per page, unless the query says otherwise. */
const DEFAULT_PER_PAGE = 10;

/** A field to sort by. */
export interface SortKey {
  /** The path of the value in a row. */
  readonly path: Path;
  /** Whether the largest comes first. */
  readonly descending: boolean;
}

/** One page of a listing. */
export interface PageRequest {
  /** The page's number, starting from 1. */
  readonly number: number;
  /** Rows per page. */
  readonly size: number;
}

/** A parsed query. */
export interface ListingQuery {
  /** The filters: a row must pass all of them. */
  readonly filters: readonly RowTest[];
  /** The fields to sort by; empty for the store's order. */
  readonly sort: readonly SortKey[];
  /** The requested page; `undefined` for all rows. */
  readonly page: PageRequest | undefined;
}

/** Tests a value. */
type Test = (value: Operand) => boolean;

/** Creates, for each operator, a test of a row's value from the value in the query. */
const OPERATORS: Record<string, (operand: string) => Test> = {
  eq: comparison((order) => order === 0),
  ne: comparison((order) => order !== 0),
  lt: comparison((order) => order < 0),
  lte: comparison((order) => order <= 0),
  gt: comparison((order) => order > 0),
  gte: comparison((order) => order >= 0),
  in: (operand) => anyOf(operand.split(",")),
  // As in json-server, operators on parts of text ignore case.
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

/** The operators of filters. */
export const FILTER_OPERATORS: readonly string[] = Object.keys(OPERATORS);

/** Tests a row against one filter. */
export type RowTest = (row: StoredRows) => boolean;

/**
 * Parses a query.
 *
 * @param query The part of the target after `?`, percent-encoded.
 * @throws {HttpError} 400 if a parameter is unknown, malformed or repeated; the detail names it.
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
    filters,
    sort: parseSort(options.get("_sort"), schema),
    page: parsePage(options.get("_page"), options.get("_per_page")),
  };
}

/** Parses `field=value` or `field:operator=value`. */
function parseFilter(name: string, operand: string, schema: RowSchema): RowTest {
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
    const value = row.operand(path);
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

/** Returns the path of a field. In rows of any form, `author.name` is a member of a nested object. */
function parsePath(field: string, parameter: string, schema: RowSchema): Path {
  if (field === "" || !schema.has(field)) {
    const known = schema.fields === undefined
      ? ""
      : `: a row has the fields ${schema.fields.map(({ name }) => name).join(", ")}`;
    throw new HttpError(400, `The parameter ${parameter} names the unknown field ${JSON.stringify(field)}${known}`);
  }
  return pathOf(schema.fields === undefined ? field.split(".") : [field]);
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

/** A row's value to sort by: a number, a text, or `undefined` if the field is missing. */
export type SortValue = number | string | undefined;

/** Returns the value of a row to sort by. */
export function sortValue(row: StoredRows, { path }: SortKey): SortValue {
  const value = row.operand(path);
  return value === null ? undefined : value.number ?? value.text;
}

/**
 * Compares two values: negative if `a` comes first, 0 if they are equal.
 *
 * Numbers sort before texts, which makes the order total. Comparing a number with a text as texts, as filters do, would
 * put 9 before 10, 10 before 1a, and 1a before 9. Rows without the field sort last in either direction.
 */
export function compareSortValues(a: SortValue, b: SortValue, { descending }: SortKey): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  const before = typeof a === typeof b ? a < b : typeof a === "number";
  return before === descending ? 1 : -1;
}
