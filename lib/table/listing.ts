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
import { entityTag, JSON_TYPE, LINES_TYPE, preconditionsHold } from "./resource.ts";
import type { RowSchema } from "./row_schema.ts";
import { holdSorted, Sorter } from "./sorting.ts";
import { type ListingForm, RowJoiner, storedPages, type StoredRows } from "./stored_rows.ts";

/** Returns the next piece of a listing. */
type NextPiece = () => Awaitable<IteratorResult<string | Uint8Array, undefined>>;

/** Bounds the memory of all sorted listings: how many of the process are produced at a time. */
const SORTS = new Gate(MAX_SORTS);

/** Answers GET and HEAD of the table: at once if there is no query and the store reads at once. */
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
    return then(snapshot, (snapshot) => respond(snapshot, request, form, () => wholeTable(snapshot)));
  }
  const query = parseQuery(request.query ?? "", schema);
  const select = async () => {
    const pacer = new Pacer(requester);
    const snapshot = await store.snapshot();
    return await respond(snapshot, request, form, async () => {
      const listing = await selectedRows(snapshot, query, form, pacer);
      return query.page === undefined ? listing : { ...listing, links: pageLinks(request.query!, query.page, listing) };
    });
  };
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

/** Answers with what is listed, unless the client has it. Whatever fails, the snapshot is closed. */
function respond(
  snapshot: Snapshot,
  request: RequestHead,
  form: ListingForm,
  list: () => Awaitable<Listing>,
): Awaitable<HttpResponse> {
  const fail = (error: unknown): never => {
    snapshot.close();
    throw error;
  };
  try {
    if (!preconditionsHold(request, snapshot.revision, tagForm(form))) {
      snapshot.close();
      return { status: 304, ...tagged(snapshot, form, []) };
    }
    const response = then(list(), ({ total, content, links = [] }) => {
      const about = tagged(snapshot, form, [["X-Total-Count", String(total)], ...links]);
      return { status: 200, contentType: form, ...about, content };
    });
    return response instanceof Promise ? response.catch(fail) : response;
  } catch (error) {
    return fail(error);
  }
}

function tagForm(form: ListingForm): string {
  return form === LINES_TYPE ? "-ndjson" : "";
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
  /** The links to other pages. */
  readonly links?: readonly FieldLine[];
}

/** Lists a table that fits one portion whole; streams a larger one, of which no piece is kept once it was given away. */
function wholeTable(snapshot: Snapshot): Awaitable<Listing> {
  const { total } = snapshot;
  return then(snapshot.json(START), (first) => {
    if (first.next === undefined) {
      snapshot.close();
      return { total, content: first.content };
    }
    let ready: Portion<string | Uint8Array> | undefined = first;
    let cursor: number | undefined = first.next;
    const next = async (): Promise<IteratorResult<string | Uint8Array, undefined>> => {
      if (ready === undefined && cursor === undefined) return { done: true, value: undefined };
      const portion: Portion<string | Uint8Array> = ready ?? await snapshot.json(cursor!);
      ready = undefined;
      cursor = portion.next;
      return { value: portion.content };
    };
    return { total, content: streamOf(next, () => snapshot.close()) };
  });
}

/** Makes pieces a stream that calls `giveUp` once it fails, ends or is returned, even if it was never started. */
function streamOf(next: NextPiece, giveUp: () => void): ContentStream {
  const iterator: AsyncIterator<string | Uint8Array, undefined> = {
    async next() {
      try {
        const piece = await next();
        if (piece.done) giveUp();
        return piece;
      } catch (error) {
        giveUp();
        throw error;
      }
    },
    return() {
      next = () => ({ done: true, value: undefined });
      return iterator.next();
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
    return { total, content: streamOf(() => pieces.next(), () => snapshot.close()) };
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
    ? streamOf(() => pieces.next(), holdSorted(sorter.bytes))
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
