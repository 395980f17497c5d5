/**
 * `GET /`: the whole table, or the rows that a query asks for, streamed as one JSON object.
 *
 * @module
 */

import { entityTag, preconditionsHold, readPreconditions } from "./preconditions.ts";
import { FAIR_TURNS } from "../turns.ts";
import {
  type ContentStream,
  type FieldLine,
  HttpError,
  type HttpResponse,
  type Requester,
  type RequestHead,
} from "../http_message.ts";
import {
  MAX_HELD_LISTING_CHARACTERS,
  MAX_SORT_SLACK_ROWS,
  MAX_SORTED_CHARACTERS,
  SORTED_ROW_CHARACTERS,
} from "../limits.ts";
import {
  compareSortValues,
  type ListingQuery,
  type PageRequest,
  parseQuery,
  type SortValues,
  sortValues,
} from "./query.ts";
import type { RowSchema } from "./row_schema.ts";
import { type Page, rowValue, type Snapshot, START, type Store } from "../store.ts";

/** Answers GET and HEAD of the table. */
export async function listTable(
  store: Store,
  schema: RowSchema,
  request: RequestHead,
  _requester?: Requester,
): Promise<HttpResponse> {
  const query = request.query ? parseQuery(request.query, schema) : undefined;
  const snapshot = await store.snapshot();
  try {
    const tag: FieldLine = ["ETag", entityTag(snapshot.revision)];
    const preconditions = readPreconditions(request.fields);
    if (preconditions !== undefined && !preconditionsHold(preconditions, request.method, snapshot.revision)) {
      snapshot.close();
      return { status: 304, fields: [tag] };
    }
    const listing = query === undefined ? await wholeTable(snapshot) : await selectedRows(snapshot, query);
    const fields: FieldLine[] = [tag, ["X-Total-Count", String(listing.total)]];
    if (query?.page) fields.push(["Link", pageLinks(request.query!, query.page, listing.total)]);
    return { status: 200, contentType: "application/json", fields, content: listing.content };
  } catch (error) {
    snapshot.close();
    throw error;
  }
}

interface Listing {
  /** Rows that match the query, on whatever page. */
  readonly total: number;
  readonly content: string | Uint8Array | ContentStream;
}

/** What fits one page of the store is sent whole, with its length; more is streamed. */
async function wholeTable(snapshot: Snapshot): Promise<Listing> {
  const first = await snapshot.json(START);
  if (first.next !== undefined) {
    return { total: snapshot.total, content: streamOf(wholePieces(snapshot, first), snapshot) };
  }
  snapshot.close();
  return { total: snapshot.total, content: first.content };
}

async function* wholePieces(snapshot: Snapshot, first: Page<string | Uint8Array>): AsyncGenerator<string | Uint8Array> {
  for (let page = first;; page = await snapshot.json(page.next)) {
    yield page.content;
    if (page.next === undefined) return;
  }
}

/** The pieces as a stream that closes the snapshot when it ends or is ended, begun or not. */
function streamOf(pieces: AsyncGenerator<string | Uint8Array>, snapshot: Snapshot): ContentStream {
  const iterator: AsyncIterator<string | Uint8Array> = {
    next: () => pieces.next(),
    return() {
      snapshot.close();
      return pieces.return(undefined);
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** The rows that match, of the page asked for, in the order asked for. */
async function selectedRows(snapshot: Snapshot, query: ListingQuery): Promise<Listing> {
  const first = query.page === undefined ? 0 : (query.page.number - 1) * query.page.size;
  const end = query.page === undefined ? Infinity : first + query.page.size;
  if (query.sort.length > 0) return await sortInTurn(() => sortedRows(snapshot, query, first, end));

  let total = 0;
  let members: string[] | undefined = [];
  let characters = 0;
  for await (const contents of matchingPages(snapshot, query.filter)) {
    for (const content of contents) {
      if (members !== undefined && total >= first && total < end) {
        members.push(memberOf(content));
        characters += content.length;
        // What is too large to be held is read a second time, to be sent.
        if (characters > MAX_HELD_LISTING_CHARACTERS) members = undefined;
      }
      total++;
    }
    // Without a filter the total is known, and nothing behind the page is of interest.
    if (query.filter === undefined && total >= end) break;
  }
  if (query.filter === undefined) total = snapshot.total;
  if (members === undefined) {
    return { total, content: streamOf(selectionPieces(snapshot, query, first, end), snapshot) };
  }
  snapshot.close();
  return { total, content: `{${members.join(",")}}` };
}

/** Page by page of the store, the rows that the filter lets pass. Other clients have their turns in between. */
async function* matchingPages(snapshot: Snapshot, filter: ListingQuery["filter"]): AsyncGenerator<readonly string[]> {
  for (let cursor: number | undefined = START; cursor !== undefined;) {
    const page: Page<readonly string[]> = await snapshot.rows(cursor);
    yield filter === undefined ? page.content : page.content.filter((content) => filter(rowValue(content)));
    cursor = page.next;
    await FAIR_TURNS.yieldIfBusy();
  }
}

/** The matching rows from `first` to before `end`, as pieces of one JSON object. */
async function* selectionPieces(
  snapshot: Snapshot,
  query: ListingQuery,
  first: number,
  end: number,
): AsyncGenerator<string> {
  let at = 0;
  let before = "{";
  for await (const contents of matchingPages(snapshot, query.filter)) {
    let piece = "";
    for (const content of contents) {
      if (at >= first && at < end) {
        piece += before + memberOf(content);
        before = ",";
      }
      at++;
    }
    yield piece;
    if (at >= end) break;
  }
  yield before === "{" ? "{}" : "}";
}

/** A row's member of the listing: its content without the braces around it. */
function memberOf(content: string): string {
  return content.slice(1, -1);
}

interface SortedRow {
  readonly values: SortValues;
  readonly content: string;
}

/** What a row that is held costs. */
function charactersOf({ values, content }: SortedRow): number {
  const ofKeys = values.reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 0), 0);
  return content.length + ofKeys + SORTED_ROW_CHARACTERS * (1 + values.length);
}

/** The sort that came last. Each waits for the one before, so that their memory is needed once. */
let lastSort: Promise<unknown> = Promise.resolve();

function sortInTurn<T>(sort: () => Promise<T>): Promise<T> {
  const result = lastSort.then(sort);
  lastSort = result.catch(() => {});
  return result;
}

/** Sorts the matching rows, holding no more of them than the end of the page asks for. */
async function sortedRows(snapshot: Snapshot, query: ListingQuery, first: number, end: number): Promise<Listing> {
  let total = 0;
  let rows: SortedRow[] = [];
  let characters = 0;
  const keepFirst = () => {
    // The sort is stable: rows that the keys do not tell apart stay in the order of insertion.
    rows = rows.sort((a, b) => compareSortValues(a.values, b.values, query.sort)).slice(0, end);
    characters = rows.reduce((sum, row) => sum + charactersOf(row), 0);
    if (characters > MAX_SORTED_CHARACTERS) refuseSort();
  };
  for await (const contents of matchingPages(snapshot, query.filter)) {
    total += contents.length;
    for (const content of contents) {
      const row = { values: sortValues(rowValue(content), query.sort), content };
      rows.push(row);
      characters += charactersOf(row);
    }
    // Twice what is kept may gather, so that sorting does not start over with every page of the store.
    if (rows.length > 2 * end + MAX_SORT_SLACK_ROWS || characters > 2 * MAX_SORTED_CHARACTERS) keepFirst();
  }
  keepFirst();
  snapshot.close();
  const shown = rows.slice(first);
  if (characters > MAX_HELD_LISTING_CHARACTERS) return { total, content: streamOf(sortedPieces(shown), snapshot) };
  return { total, content: `{${shown.map(({ content }) => memberOf(content)).join(",")}}` };
}

async function* sortedPieces(rows: readonly SortedRow[]): AsyncGenerator<string> {
  let piece = "{";
  for (let i = 0; i < rows.length; i++) {
    piece += (i === 0 ? "" : ",") + memberOf(rows[i].content);
    if (piece.length < MAX_HELD_LISTING_CHARACTERS) continue;
    yield piece;
    piece = "";
  }
  yield `${piece}}`;
}

function refuseSort(): never {
  const limit = `${MAX_SORTED_CHARACTERS / 1024 / 1024} Mi characters`;
  throw new HttpError(
    400,
    `The parameter _sort: more than ${limit} of rows would have to be held; filter, or ask for an earlier _page`,
  );
}

/** The pages around this one, as relative references with the query's other parameters (RFC 8288 §3). */
function pageLinks(query: string, page: PageRequest, total: number): string {
  const others = query.split("&").filter((parameter) =>
    parameter !== "" && !new URLSearchParams(parameter).has("_page")
  );
  const last = Math.max(1, Math.ceil(total / page.size));
  const targets: [relation: string, page: number][] = [["first", 1]];
  if (page.number > 1) targets.push(["prev", Math.min(page.number - 1, last)]);
  if (page.number < last) targets.push(["next", page.number + 1]);
  targets.push(["last", last]);
  return targets.map(([relation, number]) => `</?${[...others, `_page=${number}`].join("&")}>; rel="${relation}"`).join(
    ", ",
  );
}
