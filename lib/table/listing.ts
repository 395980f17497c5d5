/**
 * `GET /`: the whole table, or the rows that match a query, streamed as one JSON object.
 *
 * @module
 */

import { preconditionsHold, readPreconditions } from "./preconditions.ts";
import type { ContentStream, FieldLine, HttpResponse, Requester, RequestHead } from "../http_message.ts";
import { MAX_HELD_LISTING_CHARACTERS } from "../limits.ts";
import { Pacer } from "./pacer.ts";
import { type ListingQuery, type PageRequest, parseQuery, type RowTest, RowValues } from "./query.ts";
import type { RowSchema } from "./row_schema.ts";
import { Sorter, SortQueue } from "./sorting.ts";
import { FAIR_TURNS } from "../turns.ts";
import { type Awaitable, type Page, rowValue, type Snapshot, START, type Store } from "../store.ts";

/** Shared by all listings of the process: it bounds the memory of sorted ones. */
const SORTS = new SortQueue();

/**
 * Answers GET and HEAD of the table: at once if there is no query and the store reads at once.
 *
 * @param requester The client: the listing is aborted once it has disconnected.
 * @throws {HttpError} 400 if the query is invalid or too expensive; 412; 503 if too many sorted listings are held.
 */
export function listTable(
  store: Store,
  schema: RowSchema,
  request: RequestHead,
  requester?: Requester,
): Awaitable<HttpResponse> {
  if (!request.query) {
    const snapshot = store.snapshot();
    return snapshot instanceof Promise
      ? snapshot.then((snapshot) => wholeTable(snapshot, request))
      : wholeTable(snapshot, request);
  }
  const query = parseQuery(request.query, schema);
  if (query.sort.length === 0) return selection(store, request, query, new Pacer(requester));
  return SORTS.run(requester, (giveWay) => {
    return selection(store, request, query, new Pacer(requester, FAIR_TURNS, giveWay));
  });
}

/** Answers with a table that fits one page of the store whole, with its length; streams a larger one. */
function wholeTable(snapshot: Snapshot, request: RequestHead): Awaitable<HttpResponse> {
  let first: Awaitable<Page<string | Uint8Array>>;
  try {
    if (isUnchanged(snapshot, request)) return unchanged(snapshot);
    first = snapshot.json(START);
  } catch (error) {
    snapshot.close();
    throw error;
  }
  if (!(first instanceof Promise)) return wholeResponse(snapshot, first);
  return first.then((first) => wholeResponse(snapshot, first), (error) => {
    snapshot.close();
    throw error;
  });
}

function wholeResponse(snapshot: Snapshot, first: Page<string | Uint8Array>): HttpResponse {
  if (first.next !== undefined) {
    return listingResponse(snapshot, snapshot.total, streamOf(wholePieces(snapshot, first), () => snapshot.close()));
  }
  snapshot.close();
  return listingResponse(snapshot, snapshot.total, first.content);
}

/** Answers with the rows that match a query. */
async function selection(
  store: Store,
  request: RequestHead,
  query: ListingQuery,
  pacer: Pacer,
): Promise<HttpResponse> {
  const snapshot = await store.snapshot();
  try {
    if (isUnchanged(snapshot, request)) return unchanged(snapshot);
    const { total, content } = await selectedRows(snapshot, query, pacer);
    const links: FieldLine[] = query.page === undefined ? [] : [["Link", pageLinks(request.query!, query.page, total)]];
    return listingResponse(snapshot, total, content, links);
  } catch (error) {
    snapshot.close();
    throw error;
  }
}

/**
 * Whether the client has the table as it is (RFC 9110 §13.1.2).
 *
 * @throws {HttpError} 412
 */
function isUnchanged({ revision }: Snapshot, { fields, method }: RequestHead): boolean {
  const preconditions = readPreconditions(fields);
  return preconditions !== undefined && !preconditionsHold(preconditions, method, revision);
}

function unchanged(snapshot: Snapshot): HttpResponse {
  snapshot.close();
  return { status: 304, etag: snapshot.revision };
}

function listingResponse(
  { revision }: Snapshot,
  total: number,
  content: HttpResponse["content"],
  links: readonly FieldLine[] = [],
): HttpResponse {
  const fields: FieldLine[] = [["X-Total-Count", String(total)], ...links];
  return { status: 200, contentType: "application/json", etag: revision, fields, content };
}

interface Listing {
  /** The number of rows that match the query, on all pages. */
  readonly total: number;
  readonly content: string | ContentStream;
}

async function* wholePieces(snapshot: Snapshot, first: Page<string | Uint8Array>): AsyncGenerator<string | Uint8Array> {
  for (let page = first;; page = await snapshot.json(page.next)) {
    yield page.content;
    if (page.next === undefined) return;
  }
}

/** Wraps pieces in a stream that calls `release` once it fails, ends or is returned, even if it was never started. */
function streamOf(pieces: AsyncGenerator<string | Uint8Array>, giveUp: () => void): ContentStream {
  const iterator: AsyncIterator<string | Uint8Array> = {
    async next() {
      try {
        const piece = await pieces.next();
        if (piece.done) giveUp();
        return piece;
      } catch (error) {
        giveUp();
        throw error;
      }
    },
    return() {
      giveUp();
      return pieces.return(undefined);
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Returns the matching rows of the requested page, in the requested order. */
async function selectedRows(snapshot: Snapshot, query: ListingQuery, pacer: Pacer): Promise<Listing> {
  const first = query.page === undefined ? 0 : (query.page.number - 1) * query.page.size;
  const end = query.page === undefined ? Infinity : first + query.page.size;
  if (query.sort.length > 0) return await sortedRows(snapshot, query, first, end, pacer);

  let total = 0;
  let members: string[] | undefined = [];
  let characters = 0;
  for await (const contents of matchingPages(snapshot, query.filters, pacer)) {
    for (const content of contents) {
      if (members !== undefined && total >= first && total < end) {
        members.push(memberOf(content));
        characters += content.length;
        // A listing too large to be held is read a second time to be sent.
        if (characters > MAX_HELD_LISTING_CHARACTERS) members = undefined;
      }
      total++;
    }
    // Without a filter the total is known, and rows after the page need not be read.
    if (query.filters.length === 0 && total >= end) break;
  }
  if (query.filters.length === 0) total = snapshot.total;
  if (members === undefined) {
    const pieces = selectionPieces(snapshot, query, first, end, pacer);
    return { total, content: streamOf(pieces, () => snapshot.close()) };
  }
  snapshot.close();
  return { total, content: `{${members.join(",")}}` };
}

/** Yields the matching rows of each page of the store, and to other clients in between. */
async function* matchingPages(
  snapshot: Snapshot,
  filters: readonly RowTest[],
  pacer: Pacer,
): AsyncGenerator<readonly string[]> {
  for (let cursor: number | undefined = START; cursor !== undefined;) {
    const page: Page<readonly string[]> = await snapshot.rows(cursor);
    const passed = filters.length === 0 ? page.content : [];
    for (const content of page.content) {
      if (filters.length > 0) {
        const row = new RowValues(rowValue(content));
        let at = 0;
        for (; at < filters.length && filters[at](row); at++) {
          const turn = pacer.after(content.length);
          if (turn !== undefined) await turn;
        }
        if (at === filters.length) (passed as string[]).push(content);
      }
      const turn = pacer.after(content.length);
      if (turn !== undefined) await turn;
    }
    yield passed;
    cursor = page.next;
  }
}

/** Yields the matching rows from `first` to before `end`, as pieces of one JSON object. */
async function* selectionPieces(
  snapshot: Snapshot,
  query: ListingQuery,
  first: number,
  end: number,
  pacer: Pacer,
): AsyncGenerator<string> {
  let at = 0;
  let before = "{";
  for await (const contents of matchingPages(snapshot, query.filters, pacer)) {
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

/** Returns a row as a member of the listing: its content without the braces. */
function memberOf(content: string): string {
  return content.slice(1, -1);
}

/** Sorts the matching rows, and holds only those up to the end of the requested page. */
async function sortedRows(
  snapshot: Snapshot,
  query: ListingQuery,
  first: number,
  end: number,
  pacer: Pacer,
): Promise<Listing> {
  let total = 0;
  const sorter = new Sorter(query.sort, end, pacer);
  for await (const contents of matchingPages(snapshot, query.filters, pacer)) {
    total += contents.length;
    for (const content of contents) {
      const full = sorter.add(rowValue(content), content);
      if (full !== undefined) await full;
      const turn = pacer.after(content.length);
      if (turn !== undefined) await turn;
    }
  }
  const shown = (await sorter.contents()).slice(first);
  snapshot.close();
  if (sorter.characters > MAX_HELD_LISTING_CHARACTERS) {
    return { total, content: streamOf(sortedPieces(shown), SORTS.hold(sorter.characters)) };
  }
  return { total, content: `{${shown.map(memberOf).join(",")}}` };
}

async function* sortedPieces(contents: readonly string[]): AsyncGenerator<string> {
  let piece = "{";
  for (let i = 0; i < contents.length; i++) {
    piece += (i === 0 ? "" : ",") + memberOf(contents[i]);
    if (piece.length < MAX_HELD_LISTING_CHARACTERS) continue;
    yield piece;
    piece = "";
  }
  yield `${piece}}`;
}

/** Returns links to the neighbouring pages, as relative references with the query's other parameters (RFC 8288 §3). */
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
