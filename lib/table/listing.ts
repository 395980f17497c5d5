/**
 * `GET /`: the whole table, or the rows that match a query, streamed as one JSON object.
 *
 * @module
 */

import { preconditionsHold, readPreconditions } from "./preconditions.ts";
import type { ContentStream, FieldLine, HttpResponse, Requester, RequestHead } from "../http_message.ts";
import { LISTING_PIECE_BYTES } from "../limits.ts";
import { Pacer } from "./pacer.ts";
import { type ListingQuery, type PageRequest, parseQuery, type RowTest } from "./query.ts";
import { RowJoiner } from "./row_pile.ts";
import type { RowSchema } from "./row_schema.ts";
import { Sorter, SortQueue } from "./sorting.ts";
import { StoredRows } from "./stored_rows.ts";
import { FAIR_TURNS } from "../turns.ts";
import { type Awaitable, type Page, type Snapshot, START, type Store } from "../store.ts";

const ENCODER = new TextEncoder();

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
  readonly content: Uint8Array | ContentStream;
}

async function* wholePieces(snapshot: Snapshot, first: Page<string | Uint8Array>): AsyncGenerator<string | Uint8Array> {
  for (let page = first;; page = await snapshot.json(page.next)) {
    yield page.content;
    if (page.next === undefined) return;
  }
}

/** Wraps pieces in a stream that calls `release` once it fails, ends or is returned, even if it was never started. */
function streamOf(
  pieces: AsyncGenerator<string | Uint8Array> | Generator<Uint8Array>,
  giveUp: () => void,
): ContentStream {
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
    async return() {
      giveUp();
      return await pieces.return(undefined);
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Returns the matching rows of the requested page, in the requested order. */
async function selectedRows(snapshot: Snapshot, query: ListingQuery, pacer: Pacer): Promise<Listing> {
  const first = query.page === undefined ? 0 : (query.page.number - 1) * query.page.size;
  const end = query.page === undefined ? Infinity : first + query.page.size;
  if (query.sort.length > 0) return await sortedRows(snapshot, query, first, end, pacer);

  const isFiltered = query.filters.length > 0;
  // Without a filter the total is known, and rows outside of the page need not be read.
  const { cursor, row } = isFiltered ? { cursor: START, row: 0 } : await snapshot.seek(first);
  let total = row;
  const listed = new RowJoiner();
  let fits = true;
  for await (const rows of matchingRows(snapshot, cursor, query.filters, pacer)) {
    for (; rows.next(); total++) {
      if (!fits || total < first || total >= end) continue;
      listed.add(rows.row());
      fits = listed.length <= LISTING_PIECE_BYTES;
    }
    if (!isFiltered && total >= end) break;
  }
  if (!isFiltered) total = snapshot.total;
  // A listing too large to be held is read a second time to be sent.
  if (!fits) {
    const pieces = selectionPieces(matchingRows(snapshot, cursor, query.filters, pacer), first - row, end - row);
    return { total, content: streamOf(pieces, () => snapshot.close()) };
  }
  snapshot.close();
  return { total, content: listed.end() };
}

/** Yields the matching rows of each page of the store, and to other clients in between. */
async function* matchingRows(
  snapshot: Snapshot,
  from: number,
  filters: readonly RowTest[],
  pacer: Pacer,
): AsyncGenerator<StoredRows> {
  for (let cursor: number | undefined = from; cursor !== undefined;) {
    const { content, next }: Page<string | Uint8Array> = await snapshot.json(cursor);
    yield new StoredRows(typeof content === "string" ? ENCODER.encode(content) : content, filters);
    await pacer.after(content.length * (1 + filters.length));
    cursor = next;
  }
}

/** Yields the rows from `first` to before `end`, as pieces of one JSON object. */
async function* selectionPieces(
  pages: AsyncGenerator<StoredRows>,
  first: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  const listed = new RowJoiner();
  let at = 0;
  for await (const rows of pages) {
    for (; rows.next(); at++) if (at >= first && at < end) listed.add(rows.row());
    if (listed.length >= LISTING_PIECE_BYTES) yield listed.take();
    if (at >= end) break;
  }
  yield listed.end();
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
  for await (const rows of matchingRows(snapshot, START, query.filters, pacer)) {
    for (; rows.next(); total++) {
      const full = sorter.add(rows);
      if (full !== undefined) await full;
    }
  }
  const pieces = await sorter.pieces(first);
  snapshot.close();
  if (sorter.bytes > LISTING_PIECE_BYTES) return { total, content: streamOf(pieces, SORTS.hold(sorter.bytes)) };
  return { total, content: pieces.next().value! };
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
