/**
 * The query of a listing: filters, sorting and pages, with json-server's conventions.
 *
 * `age:gte=2` filters (without an operator: equal), `_sort=-age,type` sorts, `_page=2&_per_page=10` selects a page. What
 * a comparison means is in `comparison.ts`.
 */

import { HttpError, percentDecoded } from "../http_message.ts";
import { MAX_QUERY_PARAMETERS, MAX_ROWS_PER_PAGE, MAX_SORT_KEYS } from "../limits.ts";
import {
  anyOf,
  compare,
  containing,
  folded,
  foldedText,
  NULL,
  NUMBER,
  TEXT,
  type Value,
  valueOf,
} from "./comparison.ts";
import { FILTER_OPERATORS, type RowSchema } from "./row_schema.ts";
import { type Field, fieldOf, type RowTest } from "./stored_rows.ts";

/** Rows per page, unless the query says otherwise. */
const DEFAULT_PER_PAGE = 10;

export interface SortKey {
  readonly field: Field;
  /** Whether the largest comes first. */
  readonly descending: boolean;
}

export interface PageRequest {
  /** The page's number, starting from 1. */
  readonly number: number;
  readonly size: number;
}

export interface ListingQuery {
  /** The filters: a row must pass all of them. */
  readonly filters: readonly RowTest[];
  /** The fields to sort by; empty for the store's order. */
  readonly sort: readonly SortKey[];
  /** The requested page; `undefined` for all rows. */
  readonly page: PageRequest | undefined;
}

type Operator = (operand: string, field: Field, parameter: string) => RowTest;

/** The operators other than `eq` and `in`, whose values are alternatives. */
const OPERATORS: Record<string, Operator> = {
  ne: (operand, field, parameter) => {
    const isEqual = equalToAny([valueFor(operand, field, parameter)], field);
    return (row) => !isEqual(row);
  },
  lt: range((order) => order < 0),
  lte: range((order) => order <= 0),
  gt: range((order) => order > 0),
  gte: range((order) => order >= 0),
  contains: (operand, field) => {
    const test = containing(folded(operand));
    const passes = (value: Value) => value.kind <= TEXT && test(foldedText(value));
    return (row) => row.anyPasses(field, passes);
  },
  startsWith: part((text, part) => text.startsWith(part)),
  endsWith: part((text, part) => text.endsWith(part)),
};

/** Returns a test for a field that equals one of the values, or has an element that does. */
function equalToAny(values: readonly Value[], field: Field): RowTest {
  const test = anyOf(values, field.type === "string");
  return (row) => row.anyPasses(field, test);
}

function range(holds: (order: number) => boolean): Operator {
  return (operand, field, parameter) => {
    if (field.type === "boolean") throw wrong(`${parameter}: true and false have no order; ask for eq, ne or in`);
    const bound = valueFor(operand, field, parameter);
    return (row) => {
      const value = row.value(field);
      return value.kind === bound.kind && holds(compare(value, bound));
    };
  };
}

/** As in json-server, operators on parts of text ignore case. */
function part(holds: (text: string, part: string) => boolean): Operator {
  return (operand, field) => {
    const part = folded(operand);
    return (row) => {
      const value = row.value(field);
      return value.kind <= TEXT && holds(foldedText(value), part);
    };
  };
}

/** Returns the value that a parameter compares with. Throws a 400 if it is not in the notation of the field's type. */
function valueFor(operand: string, { type }: Field, parameter: string): Value {
  const value = valueOf(operand, type !== "string");
  const isNumber = type === "integer" || type === "number";
  if (isNumber ? value.kind === NUMBER : type !== "boolean" || operand === "true" || operand === "false") return value;
  throw wrong(`${parameter} takes ${isNumber ? "a number" : "true or false"}, saw ${JSON.stringify(operand)}`);
}

function wrong(parameter: string): HttpError {
  return new HttpError(400, `The parameter ${parameter}`);
}

const OPTIONS = ["_sort", "_page", "_per_page"];
/** Options of json-server that this table does not have. */
const OTHER_OPTIONS = ["_limit", "_start", "_end", "_order", "_embed", "_expand"];
/** Operators as other servers write them: `age_gte=5`, `age[gte]=5`, `age>=5`. A field may well be named `check_in`. */
const OTHER_FORM = /^(.+?)(?:_(?!in$)([A-Za-z]+)|\[([A-Za-z]+)\]|([<>!]))$/;
const OTHER_OPERATORS: Record<string, string> = { like: "contains", "<": "lte", ">": "gte", "!": "ne" };

/** Parses a query. Throws a 400 if a parameter is unknown, malformed or repeated; the detail names it. */
export function parseQuery(query: string, schema: RowSchema): ListingQuery {
  if (percentDecoded(query) === undefined) {
    throw new HttpError(400, "The query must be percent-encoded UTF-8", { rule: "RFC 3986 §2.5" });
  }
  const parameters = [...new URLSearchParams(query)];
  if (parameters.length > MAX_QUERY_PARAMETERS) {
    throw new HttpError(400, `A query has at most ${MAX_QUERY_PARAMETERS} parameters, saw ${parameters.length}`);
  }
  const options = new Map<string, string>();
  const fields = new Map<string, Field>();
  const typedField = (name: string, parameter: string) => {
    const field = fields.get(name) ?? parseField(name, parameter, schema);
    fields.set(name, field);
    return field;
  };
  const filters: RowTest[] = [];
  const equal = new Map<Field, Value[]>();
  for (const [name, value] of parameters) {
    if (OPTIONS.includes(name)) {
      if (options.has(name)) throw wrong(`${name} is given twice`);
      options.set(name, value);
      continue;
    }
    const { field: fieldName, operator } = parseParameter(name, value, schema);
    const field = typedField(fieldName, name);
    if (operator !== "eq" && operator !== "in") filters.push(OPERATORS[operator](value, field, name));
    else {
      // Values of one field are alternatives, whether they come in one parameter or in several.
      const values = (operator === "in" ? value.split(",") : [value]).map((one) => valueFor(one, field, name));
      equal.set(field, [...equal.get(field) ?? [], ...values]);
    }
  }
  for (const [field, values] of equal) filters.push(equalToAny(values, field));
  return {
    filters,
    sort: parseSort(options.get("_sort"), (name) => typedField(name, "_sort")),
    page: parsePage(options.get("_page"), options.get("_per_page")),
  };
}

/** Splits `field` or `field:operator`. The operator follows the last colon, so that a field may have colons, too. */
function parseParameter(name: string, value: string, schema: RowSchema): { field: string; operator: string } {
  const colon = name.lastIndexOf(":");
  if (colon < 0) {
    if (OTHER_OPTIONS.includes(name)) {
      throw wrong(`${name} is unknown: ${OPTIONS.join(", ")} are known, and the fields`);
    }
    const [, field, ...forms] = OTHER_FORM.exec(name) ?? [];
    const form = forms.find((form) => form !== undefined) ?? "";
    const operator = Object.hasOwn(OTHER_OPERATORS, form) ? OTHER_OPERATORS[form] : form;
    if (FILTER_OPERATORS.includes(operator) && !schema.declares(name)) {
      const isField = schema.fields === undefined ? `; the field of this name is ${name}:eq` : "";
      const right = `${field}:${operator}=${value.slice(0, 40)}${isField}`;
      throw wrong(`${name} is unknown: an operator follows a colon, as ${right}`);
    }
    return { field: name, operator: "eq" };
  }
  const operator = name.slice(colon + 1);
  if (FILTER_OPERATORS.includes(operator)) return { field: name.slice(0, colon), operator };
  const known = FILTER_OPERATORS.join(", ");
  throw wrong(`${name} has an unknown operator ${JSON.stringify(operator)}: known are ${known}`);
}

function parseSort(text: string | undefined, field: (name: string) => Field): SortKey[] {
  if (text === undefined) return [];
  const parts = text.split(",");
  if (parts.length > MAX_SORT_KEYS) {
    throw wrong(`_sort takes at most ${MAX_SORT_KEYS} fields, saw ${parts.length}`);
  }
  return parts.map((part) => {
    const descending = part.startsWith("-");
    return { field: field(descending ? part.slice(1) : part), descending };
  });
}

/** Finds a field by its name. In rows of any form, `author.name` is a member of a nested object. */
function parseField(name: string, parameter: string, schema: RowSchema): Field {
  if (name === "" || !schema.has(name)) {
    const known = schema.fields === undefined ? "" : `: a row has the fields ${schema.names}`;
    throw wrong(`${parameter} names the unknown field ${JSON.stringify(name)}${known}`);
  }
  return fieldOf(schema.fields === undefined ? name.split(".") : [name], schema.typeOf(name));
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
  throw wrong(`${parameter} takes a whole number from 1 to ${most}, saw ${JSON.stringify(text)}`);
}

/** Compares two values in the order of a sort key. What is neither number, text nor boolean stands last either way. */
export function compareBy({ descending }: SortKey, a: Value, b: Value): number {
  const order = compare(a, b);
  return descending && a.kind < NULL && b.kind < NULL ? -order : order;
}
