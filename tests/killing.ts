/**
 * Kills a server with an SQLite table repeatedly while many clients write, and checks each time that every acknowledged
 * write is present, and every other write complete or absent.
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { Random } from "./fuzzing.ts";
import { ServeProcess } from "./serve_process.ts";
import type { Peer, WholeResponse } from "./support.ts";

const WRITERS = 16;
const NAMES_OF_A_WRITER = 12;
const MOST_WRITES_BEFORE_A_KILL = 600;

/** A row as known to its writer; the tag is unknown if no response had it. */
interface Known {
  content: string;
  tag: string | undefined;
}

/** The effect of a write on rows: their contents afterwards; `undefined` for none. */
type Change = Map<string, string | undefined>;

/** The counts of all rounds. */
export interface Kills {
  kills: number;
  /** Acknowledged writes that were found. */
  answered: number;
  /** Writes without a response that are present. */
  unansweredDone: number;
  /** Writes without a response that are absent. */
  unansweredLost: number;
}

/** Runs this many rounds on a new file. */
export async function killAgainAndAgain(random: Random, file: string, rounds: number): Promise<Kills> {
  const seen: Kills = { kills: 0, answered: 0, unansweredDone: 0, unansweredLost: 0 };
  const tags = new Set<string>();
  const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`w${i}`, random, tags));
  for (; seen.kills < rounds; seen.kills++) {
    await using server = await start(file);
    await check(server, file, writers, seen);
    let left = 1 + random.below(MOST_WRITES_BEFORE_A_KILL);
    let killed: Promise<void> | undefined;
    const answered = () => {
      seen.answered++;
      if (--left === 0) killed = server.kill();
      return left > 0;
    };
    await Promise.all(writers.map((writer) => writer.write(server, answered)));
    await killed;
  }
  await using server = await start(file);
  await check(server, file, writers, seen);
  return seen;
}

function start(file: string): Promise<ServeProcess> {
  return ServeProcess.start(["--quiet", "--store", `sqlite:${file}`], ["--allow-net", "--allow-read", "--allow-write"]);
}

async function check(server: ServeProcess, file: string, writers: Writer[], seen: Kills): Promise<void> {
  for (const done of await Promise.all(writers.map((writer) => writer.check(server)))) {
    if (done === true) seen.unansweredDone++;
    else if (done === false) seen.unansweredLost++;
  }
  const peer = await server.connect();
  const { head } = await peer.exchange("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  peer.close();
  assert.equal(head.fields.get("x-total-count"), String(writers.reduce((sum, { count }) => sum + count, 0)));
  const database = new DatabaseSync(file, { readOnly: true });
  assert.deepEqual({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
  database.close();
}

/** A client that is the only writer of its rows and sends one request at a time, so it knows what must be present. */
class Writer {
  readonly #id: string;
  readonly #random: Random;
  /** All tags that any client was given. */
  readonly #tags: Set<string>;
  readonly #rows = new Map<string, Known>();
  /** The write without a response. */
  #unanswered: Change | undefined;
  #writes = 0;

  constructor(id: string, random: Random, tags: Set<string>) {
    this.#id = id;
    this.#random = random;
    this.#tags = tags;
  }

  /** The number of its rows. */
  get count(): number {
    return this.#rows.size;
  }

  /** Writes until `answered`, which is called for each response, returns that it is enough, or the server has ended. */
  async write(server: ServeProcess, answered: () => boolean): Promise<void> {
    const peer = await server.connect();
    try {
      do {
        const [request, change] = this.#nextWrite();
        this.#unanswered = change;
        const response = await exchange(peer, request);
        if (response === undefined) return;
        this.#note(change, response);
        this.#unanswered = undefined;
      } while (answered());
    } finally {
      peer.close();
    }
  }

  /**
   * Returns whether the write without a response was done; `undefined` if there is none. Fails if any other row
   * differs.
   */
  async check(server: ServeProcess): Promise<boolean | undefined> {
    const peer = await server.connect();
    const found = new Map<string, Known>();
    for (let i = 0; i < NAMES_OF_A_WRITER; i++) {
      const name = `${this.#id}-${i}`;
      const { head, content } = await peer.exchange(`GET /${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      if (head.status === 200) found.set(name, { content, tag: head.fields.get("etag") });
    }
    peer.close();

    const change = this.#unanswered ?? new Map();
    const done = [...change].map(([name, content]) => found.get(name)?.content === content);
    assert(new Set(done).size <= 1, `${this.#id}: half of a write was done`);
    for (const [name, { content, tag }] of this.#rows) {
      if (done[0] && change.has(name)) continue;
      assert.equal(found.get(name)?.content, content, `${name}: a write that was answered is lost`);
      if (tag !== undefined) assert.equal(found.get(name)?.tag, tag, `${name}: the version changed`);
    }
    for (const name of found.keys()) assert(this.#rows.has(name) || done[0], `${name}: nobody wrote this row`);
    for (const name of done[0] ? change.keys() : []) {
      const row = found.get(name);
      if (row?.tag !== undefined) this.#noteTag(row.tag);
    }
    this.#rows.clear();
    for (const [name, known] of found) this.#rows.set(name, known);
    const unanswered = this.#unanswered;
    this.#unanswered = undefined;
    return unanswered && done[0];
  }

  /** Returns a random write that must succeed, and its effect. */
  #nextWrite(): [request: string, change: Change] {
    const free = Array.from({ length: NAMES_OF_A_WRITER }, (_, i) => `${this.#id}-${i}`).filter((name) =>
      !this.#rows.has(name)
    );
    const names = [...this.#rows.keys()];
    const age = String(++this.#writes);
    const row = { type: "snail", age, leg: "0" };
    const content = (name: string) => JSON.stringify({ [name]: row });
    if (free.length > 3 && this.#random.below(4) === 0) {
      const several = free.slice(0, 3);
      const all = JSON.stringify(Object.fromEntries(several.map((name) => [name, row])));
      return [requestOf("POST", "/", all), new Map(several.map((name) => [name, content(name)]))];
    }
    if (names.length === 0 || free.length > 0 && this.#random.below(3) === 0) {
      const name = this.#random.pick(free);
      const method = this.#random.pick(["POST", "PUT"]);
      return [requestOf(method, `/${name}`, content(name)), new Map([[name, content(name)]])];
    }
    const name = this.#random.pick(names);
    const tag = this.#rows.get(name)!.tag ?? "*";
    switch (this.#random.below(4)) {
      case 0:
        return [requestOf("DELETE", `/${name}`), new Map([[name, undefined]])];
      case 1:
        return [requestOf("PATCH", `/${name}`, JSON.stringify({ age })), new Map([[name, content(name)]])];
      case 2:
        return [requestOf("PUT", `/${name}`, content(name), tag), new Map([[name, content(name)]])];
      default:
        return [requestOf("PUT", `/${name}`, content(name)), new Map([[name, content(name)]])];
    }
  }

  #note(change: Change, { head, content }: WholeResponse): void {
    assert(head.status >= 200 && head.status < 300, `${this.#id}: ${head.status} ${content}`);
    const tag = head.fields.get("etag");
    if (tag !== undefined) this.#noteTag(tag);
    for (const [name, content] of change) {
      if (content === undefined) this.#rows.delete(name);
      else this.#rows.set(name, { content, tag });
    }
  }

  #noteTag(tag: string): void {
    assert(!this.#tags.has(tag), `${tag} was given twice`);
    this.#tags.add(tag);
  }
}

/** Returns the octets of a request. */
export function requestOf(method: string, target: string, content?: string, ifMatch?: string): string {
  const fields = content === undefined ? "" : `Content-Type: application/json\r\nContent-Length: ${content.length}\r\n`;
  const condition = ifMatch === undefined ? "" : `If-Match: ${ifMatch}\r\n`;
  return `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${condition}${fields}\r\n${content ?? ""}`;
}

/** Returns the response; `undefined` if the server ended before it was complete. */
export async function exchange(peer: Peer, request: string): Promise<WholeResponse | undefined> {
  try {
    return await peer.exchange(request);
  } catch {
    return undefined;
  }
}
