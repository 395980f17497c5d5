/**
 * The table as a few lines over a runtime's own server would have it: rows in a Map, serialised for each answer.
 */

export type Row = Record<string, unknown>;

export interface Reply {
  status: number;
  body: string;
  etag?: string;
}

export class PeerTable {
  readonly #rows = new Map<string, { row: Row; version: number }>();
  #version = 0;

  /** Answers GET of one row or all, and PUT. */
  async answer(method: string, path: string, body: () => Promise<string>): Promise<Reply> {
    if (path === "/") {
      const rows = Object.fromEntries([...this.#rows].map(([name, { row }]) => [name, row]));
      return { status: 200, body: JSON.stringify(rows) };
    }
    const name = decodeURIComponent(path.slice(1));
    if (method === "PUT") {
      const sent = JSON.parse(await body());
      return { status: 200, ...this.put(name, sent[name] ?? sent) };
    }
    const found = this.#rows.get(name);
    if (found === undefined) return { status: 404, body: "{}" };
    return { status: 200, body: JSON.stringify({ [name]: found.row }), etag: `"${found.version}"` };
  }

  put(name: string, row: Row): { body: string; etag: string } {
    this.#rows.set(name, { row, version: ++this.#version });
    return { body: JSON.stringify({ [name]: row }), etag: `"${this.#version}"` };
  }
}
