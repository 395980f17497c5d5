/** What a table reports: what it did for each request, and all that it holds. */

import { type Fields, type HttpResponse, isStream, type Requester, type RequestHead } from "../http_message.ts";
import { JSON_PIECE_BYTES, UTF8 } from "../json.ts";
import { type Row, START, type Store } from "../store.ts";
import { Pacer } from "../turns.ts";
import { LINES_TYPE, mediaType } from "./resource.ts";
import { storedPages } from "./stored_rows.ts";

/** What a table did for a request. */
export interface TableReport {
  /** The row's name; `undefined` for rows that were created together, or the whole table. */
  readonly name: string | undefined;
  /** The row under its name, or the rows; `undefined` if there is no row of this name. */
  readonly content: Row["content"] | undefined;
  /** What happened to them. */
  readonly how: "created" | "replaced" | "removed" | "read";
}

/** Receives what a table did for a request, before its response is sent. Content is valid only during the call. */
export type TableListener = (requester: Requester, report: TableReport) => void;

/** Returns what was done for a request with this response; `undefined` if nothing was written, and no row read. */
export function reportOf(
  { method, query, fields }: RequestHead,
  name: string | undefined,
  sent: Uint8Array,
  { status, content, contentType, fields: made }: HttpResponse,
): TableReport | undefined {
  if (method === "DELETE") return { name, content: undefined, how: "removed" };
  const answered = content === undefined || isStream(content) ? undefined : content;
  if (name === undefined && method === "POST") {
    const location = made?.find(([field]) => field === "Location")?.[1];
    if (location === undefined) return { name, content: rowsIn(fields, sent), how: "created" };
    return { name: decodeURIComponent(location.slice(1)), content: answered, how: "created" };
  }
  // A listing that was selected, or is too long for one page of the store, does not show what the table holds.
  const isWhole = name !== undefined || !query && contentType !== LINES_TYPE;
  if (answered === undefined || method === "HEAD" || !isWhole) return undefined;
  return { name, content: answered, how: method === "GET" ? "read" : status === 201 ? "created" : "replaced" };
}

/** Returns the rows of a bulk POST as one object, unless they are long lines: nobody shows so many. */
function rowsIn(fields: Fields, sent: Uint8Array): string | Uint8Array {
  if (mediaType(fields) !== LINES_TYPE || sent.length > JSON_PIECE_BYTES) return sent;
  const lines = UTF8.decode(sent).split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return `{${lines.map((line) => line.slice(1, -1)).join()}}`;
}

/** What a table holds. */
export interface Contents {
  /** The rows, each in the form of {@linkcode Row.content}; `undefined` if there is too much of them. */
  readonly rows: readonly string[] | undefined;
  /** The number of rows. */
  readonly total: number;
}

/** Reads all rows, unless they are too many or have too many characters. */
export async function readContents(store: Store, mostRows: number, mostLength: number): Promise<Contents> {
  const snapshot = await store.snapshot();
  try {
    const { total } = snapshot;
    if (total > mostRows) return { rows: undefined, total };
    const rows: string[] = [];
    let length = 0;
    for await (const page of storedPages(snapshot, START, new Pacer())) {
      length += page.bytes.length;
      if (length > mostLength) return { rows: undefined, total };
      while (page.next()) rows.push(`{${UTF8.decode(page.row())}}`);
    }
    return { rows, total };
  } finally {
    snapshot.close();
  }
}
