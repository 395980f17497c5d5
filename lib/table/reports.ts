/**
 * What a table tells of itself: what it did for each request, and all that it holds.
 *
 * @module
 */

import { type HttpResponse, isStream, type Requester, type RequestHead } from "../http_message.ts";
import { type Page, type Row, START, type Store } from "../store.ts";
import { StoredRows } from "./stored_rows.ts";

const ENCODER = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

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
export type TableObserver = (requester: Requester, report: TableReport) => void;

/** Returns what was done for a request with this response; `undefined` if nothing was written, and no row read. */
export function reportOf(
  { method, query }: RequestHead,
  name: string | undefined,
  sent: Uint8Array,
  { status, content, contentType }: HttpResponse,
): TableReport | undefined {
  if (method === "DELETE") return { name, content: undefined, how: "removed" };
  if (name === undefined && method === "POST") return { name, content: sent, how: "created" };
  // A listing that was selected, or is too long for one page of the store, does not tell what the table holds.
  const isWhole = name !== undefined || !query && contentType === "application/json";
  if (content === undefined || isStream(content) || method === "HEAD" || !isWhole) return undefined;
  return { name, content, how: method === "GET" ? "read" : status === 201 ? "created" : "replaced" };
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
    for (let cursor: number | undefined = START; cursor !== undefined;) {
      const { content, next }: Page<string | Uint8Array> = await snapshot.json(cursor);
      length += content.length;
      if (length > mostLength) return { rows: undefined, total };
      const page = new StoredRows(typeof content === "string" ? ENCODER.encode(content) : content);
      while (page.next()) rows.push(`{${UTF8.decode(page.row())}}`);
      cursor = next;
    }
    return { rows, total };
  } finally {
    snapshot.close();
  }
}
