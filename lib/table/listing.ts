/** `GET /`: the whole table, or the rows that match a query, streamed as one JSON object or as one object a line. */

import {
  type ContentStream,
  type FieldLine,
  type Fields,
  type HttpResponse,
  listMembers,
  type Requester,
  type RequestHead,
} from "../http_message.ts";
import { LISTING_PIECE_BYTES, MAX_QUERY_PARAMETERS, MAX_SORTS, REQUEST_LIMITS } from "../limits.ts";
import { type Awaitable, type Portion, type Snapshot, START, type Store } from "../store.ts";
import { FAIR_TURNS, Gate, Pacer, then } from "../turns.ts";
import { type ListingQuery, type PageRequest, parseQuery } from "./query.ts";
import { entityTag, JSON_TYPE, LINES_TYPE, preconditionsHold, readPreconditions } from "./resource.ts";
import type { RowSchema } from "./row_schema.ts";
import { holdSorted, Sorter } from "./sorting.ts";
import { type ListingForm, RowJoiner, storedPages, type StoredRows } from "./stored_rows.ts";

type Pieces = Required<Pick<AsyncIterator<string | Uint8Array, undefined>, "next" | "return">>;

/** Bounds the memory of all sorted listings: how many of the process are produced at a time. */
const SORTS = new Gate(MAX_SORTS);

/**
 * Answers GET and HEAD of the table: at once if there is no query and the store reads at once.
 *
 * @param requester The client: the listing is aborted once it has disconnected.
 * @throws {HttpError} 400 if the query is invalid or too expensive; 412; 503 if too many sorted listings are held.
 */
export function listTable(
  store: Pick<Store, "snapshot">,
  schema: RowSchema,
  request: RequestHead,
  requester?: Requester,
): Awaitable<HttpResponse> {
  const form = formOf(request.fields);
  if (!request.query && form === JSON_TYPE) {
    // The first page takes time, and memory until it is sent: many clients may ask at once.
    const turn = FAIR_TURNS.yieldIfBusy();
    const snapshot = turn === undefined ? store.snapshot() : turn.then(() => {
      requester?.signal.throwIfAborted();
      return store.snapshot();
    });
    return then(snapshot, (snapshot) => wholeTable(snapshot, request));
  }
  const query = parseQuery(request.query ?? "", schema);
  const select = () => selection(store, request, query, form, new Pacer(requester));
  return query.sort.length === 0 ? select() : SORTS.run(select, requester);
}

/** Chooses the form by Accept (RFC 9110 §12.5.1): lines if they weigh more, or as much and only they are named. */
function formOf(fields: Fields): ListingForm {
  const accept = fields.get("accept");
  if (accept === undefined || !accept.toLowerCase().includes(LINES_TYPE)) return JSON_TYPE;
  const weights = new Map<string, number>();
  for (const member of listMembers(accept)) {
    const [range, ...parameters] = member.split(";").map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    weights.set(range, weight === undefined ? 1 : Number(weight) || 0);
  }
  const weightOf = (type: string) => weights.get(type) ?? weights.get("application/*") ?? weights.get("*/*") ?? 0;
  const difference = weightOf(LINES_TYPE) - weightOf(JSON_TYPE);
  const areLines = difference > 0 || difference === 0 && weightOf(LINES_TYPE) > 0 && !weights.has(JSON_TYPE);
  return areLines ? LINES_TYPE : JSON_TYPE;
}

/** Answers with a table that fits one portion whole, with its length; streams a larger one. */
function wholeTable(snapshot: Snapshot, request: RequestHead): Awaitable<HttpResponse> {
  const fail = (error: unknown): never => {
    snapshot.close();
    throw error;
  };
  try {
    if (isUnchanged(snapshot, request, JSON_TYPE)) return unchanged(snapshot, JSON_TYPE);
    const response = then(snapshot.json(START), (first) => {
      if (first.next === undefined) snapshot.close();
      const content = first.next === undefined
        ? first.content
        : streamOf(wholePieces(snapshot, first), () => snapshot.close());
      return listingResponse(snapshot, JSON_TYPE, { total: snapshot.total, content });
    });
    return response instanceof Promise ? response.catch(fail) : response;
  } catch (error) {
    return fail(error);
  }
}

async function selection(
  store: Pick<Store, "snapshot">,
  request: RequestHead,
  query: ListingQuery,
  form: ListingForm,
  pacer: Pacer,
): Promise<HttpResponse> {
  const snapshot = await store.snapshot();
  try {
    if (isUnchanged(snapshot, request, form)) return unchanged(snapshot, form);
    const listing = await selectedRows(snapshot, query, form, pacer);
    const links = query.page === undefined ? [] : pageLinks(request.query!, query.page, listing);
    return listingResponse(snapshot, form, listing, links);
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
function isUnchanged({ revision }: Snapshot, { fields, method }: RequestHead, form: ListingForm): boolean {
  const preconditions = readPreconditions(fields);
  return preconditions !== undefined && !preconditionsHold(preconditions, method, revision, tagForm(form));
}

function tagForm(form: ListingForm): string {
  return form === LINES_TYPE ? "-ndjson" : "";
}

function unchanged(snapshot: Snapshot, form: ListingForm): HttpResponse {
  snapshot.close();
  return { status: 304, ...tagged(snapshot, form, []) };
}

function listingResponse(
  snapshot: Snapshot,
  form: ListingForm,
  { total, content }: Listing,
  links: readonly FieldLine[] = [],
): HttpResponse {
  const about = tagged(snapshot, form, [["X-Total-Count", String(total)], ...links]);
  return { status: 200, contentType: form, ...about, content };
}

/** Returns the tag, and the fields with Vary, since Accept chooses the form (RFC 9110 §12.5.5). */
function tagged({ revision }: Snapshot, form: ListingForm, fields: FieldLine[]): Pick<HttpResponse, "etag" | "fields"> {
  fields.push(["Vary", "Accept"]);
  return form === JSON_TYPE
    ? { etag: revision, fields }
    : { fields: [["ETag", entityTag(revision, tagForm(form))], ...fields] };
}

interface Listing {
  /** The number of rows that match the query, on all pages. */
  readonly total: number;
  readonly content: string | Uint8Array | ContentStream;
  /** Whether a page that ends with the row of this number is not refused for its size; by default none is. */
  readonly reaches?: (end: number) => boolean;
}

/** Reads the table piece by piece. A piece is not kept once it was given away: a generator would hold it. */
function wholePieces(snapshot: Snapshot, first: Portion<string | Uint8Array>): Pieces {
  let ready: Portion<string | Uint8Array> | undefined = first;
  let cursor = first.next;
  return {
    async next() {
      if (ready === undefined && cursor === undefined) return { done: true, value: undefined };
      const { content, next } = ready ?? await snapshot.json(cursor!);
      ready = undefined;
      cursor = next;
      return { value: content };
    },
    return: () => Promise.resolve({ done: true, value: undefined }),
  };
}

/** Wraps pieces in a stream that calls `giveUp` once it fails, ends or is returned, even if it was never started. */
function streamOf(
  pieces: Pieces | Generator<Uint8Array>,
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

async function selectedRows(
  snapshot: Snapshot,
  query: ListingQuery,
  form: ListingForm,
  pacer: Pacer,
): Promise<Listing> {
  const first = query.page === undefined ? 0 : (query.page.number - 1) * query.page.size;
  const end = query.page === undefined ? Infinity : first + query.page.size;
  if (query.sort.length > 0) return await sortedRows(snapshot, query, { first, end, form }, pacer);

  const isFiltered = query.filters.length > 0;
  // Without a filter the total is known, and rows outside of the page need not be read.
  const { cursor, row } = isFiltered ? { cursor: START, row: 0 } : await snapshot.seek(first);
  let total = row;
  const listed = new RowJoiner(form);
  let fits = true;
  for await (const rows of storedPages(snapshot, cursor, pacer, query.filters)) {
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
    const rows = storedPages(snapshot, cursor, pacer, query.filters);
    const pieces = selectionPieces(rows, first - row, end - row, new RowJoiner(form));
    return { total, content: streamOf(pieces, () => snapshot.close()) };
  }
  snapshot.close();
  return { total, content: listed.end() };
}

async function* selectionPieces(
  pages: AsyncGenerator<StoredRows>,
  first: number,
  end: number,
  listed: RowJoiner,
): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const rows of pages) {
    for (; rows.next(); at++) if (at >= first && at < end) listed.add(rows.row());
    if (listed.length >= LISTING_PIECE_BYTES) yield listed.piece();
    if (at >= end) break;
  }
  yield listed.end();
}

/** Sorts the matching rows, and holds only those up to the end of the requested page. */
async function sortedRows(
  snapshot: Snapshot,
  query: ListingQuery,
  { first, end, form }: { readonly first: number; readonly end: number; readonly form: ListingForm },
  pacer: Pacer,
): Promise<Listing> {
  let total = 0;
  const sorter = new Sorter(query.sort, end, pacer);
  for await (const rows of storedPages(snapshot, START, pacer, query.filters)) {
    for (; rows.next(); total++) {
      const full = sorter.add(rows);
      if (full !== undefined) await full;
    }
  }
  const pieces = await sorter.pieces(first, new RowJoiner(form));
  const reaches = (end: number) => sorter.reaches(end);
  const content = sorter.bytes > LISTING_PIECE_BYTES
    ? streamOf(pieces, holdSorted(sorter.bytes))
    : pieces.next().value!;
  snapshot.close();
  return { total, content, reaches };
}

/** Relative references with the query's other parameters (RFC 8288 §3). None leads to a refusal. */
function pageLinks(query: string, page: PageRequest, { total, reaches = () => true }: Listing): FieldLine[] {
  const others = query.split("&").filter((parameter) =>
    parameter !== "" && !new URLSearchParams(parameter).has("_page")
  );
  if (others.length >= MAX_QUERY_PARAMETERS) return [];
  const last = Math.max(1, Math.ceil(total / page.size));
  const relations: [relation: string, page: number][] = [["first", 1]];
  if (page.number > 1) relations.push(["prev", Math.min(page.number - 1, last)]);
  if (page.number < last) relations.push(["next", page.number + 1]);
  relations.push(["last", last]);
  const links = relations
    .filter(([, number]) => number <= page.number || reaches(number * page.size))
    .map(([relation, number]) => ({ relation, target: `/?${[...others, `_page=${number}`].join("&")}` }))
    // What is no longer than this target is accepted, too, where the server's limit is higher.
    .filter(({ target }) => target.length <= Math.max(REQUEST_LIMITS.maxTargetBytes, `/?${query}`.length));
  return links.length === 0
    ? []
    : [["Link", links.map(({ relation, target }) => `<${target}>; rel="${relation}"`).join(", ")]];
}
