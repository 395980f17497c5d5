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
import { type Page, rowValue, type Snapshot, START, type Store } from "../store.ts";

/** Shared by all listings of the process: it bounds the memory of sorted ones. */
const SORTS = new SortQueue();

/**
 * Answers GET and HEAD of the table.
 *
 * @param requester The client: the listing is aborted once it has disconnected.
 * @throws {HttpError} 400 if the query is invalid or too expensive; 412; 503 if too many sorted listings are held.
 */
export async function listTable(
  store: Store,
  schema: RowSchema,
  request: RequestHead,
  requester?: Requester,
): Promise<HttpResponse> {
  const query = request.query ? parseQuery(request.query, schema) : undefined;
  if (query === undefined || query.sort.length === 0) {
    return await listingResponse(store, request, query, new Pacer(requester));
  }
  return await SORTS.run(requester, (giveWay) => {
    return listingResponse(store, request, query, new Pacer(requester, FAIR_TURNS, giveWay));
  });
}

async function listingResponse(
  store: Store,
  request: RequestHead,
  query: ListingQuery | undefined,
  pacer: Pacer,
): Promise<HttpResponse> {
  const snapshot = await store.snapshot();
  try {
    const etag = snapshot.revision;
    const preconditions = readPreconditions(request.fields);
    if (preconditions !== undefined && !preconditionsHold(preconditions, request.method, etag)) {
      snapshot.close();
      return { status: 304, etag };
    }
    const listing = query === undefined ? await wholeTable(snapshot) : await selectedRows(snapshot, query, pacer);
    const fields: FieldLine[] = [["X-Total-Count", String(listing.total)]];
    if (query?.page) fields.push(["Link", pageLinks(request.query!, query.page, listing.total)]);
    return { status: 200, contentType: "application/json", etag, fields, content: listing.content };
  } catch (error) {
    snapshot.close();
    throw error;
  }
}

interface Listing {
  /** The number of rows that match the query, on all pages. */
  readonly total: number;
  readonly content: string | Uint8Array | ContentStream;
}

/** Returns a table that fits one page of the store whole, with its length; streams a larger one. */
async function wholeTable(snapshot: Snapshot): Promise<Listing> {
  const first = await snapshot.json(START);
  if (first.next !== undefined) {
    return { total: snapshot.total, content: streamOf(wholePieces(snapshot, first), () => snapshot.close()) };
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
