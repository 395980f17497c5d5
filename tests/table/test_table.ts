/** A table that tests send requests to, in process. */

import { HttpError } from "../../lib/http/error.ts";
import type { HttpResponse } from "../../lib/http/message.ts";
import { problemResponse } from "../../lib/server/errors.ts";
import type { Store } from "../../lib/store.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { RowSchema, Table, type TableOptions } from "../../lib/table.ts";
import { requestOf, textOf } from "../support.ts";

export const SNAIL = '{"type":"snail","age":"1","leg":"0"}';
export const PINGPING = `{"Pingping":${SNAIL}}`;
const SHAPE = RowSchema.parse("type,age,leg");

export interface Answer {
  status: number;
  contentType?: string;
  fields: Record<string, string>;
  content: string;
}

/** Creates a table whose revisions start at 1, with Pingping in it. */
export class TestTable {
  readonly store: Store;
  readonly table: Table;

  constructor(options: Partial<TableOptions> = {}, store: Store = new MemoryStore(0)) {
    this.store = store;
    this.table = new Table(store, { schema: SHAPE, ...options });
  }

  static async withPingping(options: Partial<TableOptions> = {}): Promise<TestTable> {
    const table = new TestTable(options);
    await table.store.put({ name: "Pingping", json: SNAIL });
    return table;
  }

  /** Sends a request: its first line without the version, field lines, content. */
  async send(line: string, content = "", ...fields: string[]): Promise<Answer> {
    if (content !== "" && !fields.some((field) => /^content-type/i.test(field))) {
      fields.push("Content-Type: application/json");
    }
    const request = requestOf(`${line} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`);
    let response: HttpResponse;
    try {
      response = await this.table.answer(request, new TextEncoder().encode(content));
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      response = problemResponse(error);
    }
    return {
      status: response.status,
      contentType: response.contentType,
      fields: {
        ...Object.fromEntries(response.fields ?? []),
        ...response.etag !== undefined && { ETag: `"${response.etag}"` },
      },
      content: await textOf(response.content),
    };
  }
}

/** Returns the detail of a problem document. */
export function detailOf({ content }: Answer): string {
  return JSON.parse(content).detail;
}
