import assert from "node:assert/strict";
import { Feed } from "../../../lib/traffic/live/feed.ts";
import { Journal } from "../../../lib/traffic/live/journal.ts";

function feedOf(maxEvents = 100, heartbeatMs = 60_000) {
  const journal = new Journal({ askTable: () => Promise.resolve({ rows: [], total: 0 }), maxEvents });
  const feed = new Feed(journal, { about: { table: "http://t" }, process: "abc", gatherMs: 0, heartbeatMs });
  const add = (time: number) => journal.history.add({ kind: "fin", time, connection: 1, end: "server", by: "client" });
  return { journal, feed, add };
}

function follow(feed: Feed, lastId?: string) {
  const abort = new AbortController();
  const pieces = feed.stream(lastId, abort.signal)[Symbol.asyncIterator]();
  return { pieces, abort, next: async () => (await pieces.next()).value as string };
}

/** The data of each event in a piece. */
function dataOf(piece: string) {
  return [...piece.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json));
}

Deno.test("a page starts with what is kept, and goes on with what comes", async () => {
  const { feed, add, journal } = feedOf();
  add(1);
  const { next, pieces } = follow(feed);
  const start = await next();
  assert.match(start, /^retry: 2000\nevent: start\nid: abc-0\n/);
  assert.equal(dataOf(start)[0].table, "http://t");
  const first = await next();
  assert.match(first, /^id: abc-1\n/);
  const pending = next();
  journal.receive({
    kind: "opened",
    time: 9,
    connection: 1,
    end: "server",
    secure: false,
    local: { hostname: "a", port: 1 },
    remote: { hostname: "b", port: 2 },
  });
  assert.deepEqual(dataOf(await pending).map(({ number, kind }) => [number, kind]), [[2, "opened"]]);
  await pieces.return!();
});

const resumes: [name: string, id: string, kinds: string][] = [
  ["goes on behind its last event", "abc-2", "3 4"],
  ["has them all already", "abc-4", ""],
  ["was here in another process", "abd-2", "start 3 4"],
  ["was away for too long", "abc-1", "start 3 4"],
  ["knows what has not happened", "abc-5", "start 3 4"],
  ["sends something else", "nonsense", "start 3 4"],
];

for (const [name, id, expected] of resumes) {
  Deno.test(`a page that comes back ${name}`, async () => {
    const { feed, add } = feedOf(2);
    for (let i = 1; i <= 4; i++) add(i);
    const { next, pieces, abort } = follow(feed, id);
    let text = await next();
    if (expected !== "") text += await next();
    assert.equal(dataOf(text).map((data) => data.number ?? "start").join(" "), expected);
    abort.abort();
    await pieces.return!();
  });
}

Deno.test("a page that is overtaken starts over, and is told how many events it missed", async () => {
  const { feed, add } = feedOf(3);
  const { next, pieces } = follow(feed);
  assert.equal(dataOf(await next())[0].missed, 0);
  for (let i = 1; i <= 10; i++) add(i);
  const [start, ...events] = dataOf(await next());
  assert.deepEqual([start.missed, start.first], [7, 8]);
  assert.deepEqual(events.map(({ number }) => number), [8, 9, 10]);
  await pieces.return!();
});

Deno.test("a quiet stream says that it is there", async () => {
  const { feed } = feedOf(10, 1);
  const { next, pieces } = follow(feed);
  await next();
  assert.equal(await next(), ": still here\n\n");
  await pieces.return!();
});

Deno.test("a fifth page takes the oldest one's place, which is told so and ends", async () => {
  const { feed, add } = feedOf();
  const pages = Array.from({ length: 4 }, () => follow(feed));
  for (const { next } of pages) assert.match(await next(), /event: start/);
  // One of them waits for what comes, one reads nothing.
  const [waits, stalls] = pages;
  const pending = waits.next();
  pages.push(follow(feed));
  assert.equal(await pending, "event: replaced\ndata: {}\n\n");
  assert.equal((await waits.pieces.next()).done, true);
  await waits.pieces.return!();
  for (let i = 1; i <= 3; i++) add(i);
  pages.push(follow(feed));
  assert.equal(await stalls.next(), "event: replaced\ndata: {}\n\n", "and nothing of what it has missed");
  assert.equal((await stalls.pieces.next()).done, true);
  // A page that has left makes room.
  await pages[2].pieces.return!();
  pages.push(follow(feed));
  for (const page of pages.slice(3)) {
    let text = "";
    while (!text.includes('"number":3')) text += await page.next();
    assert.doesNotMatch(text, /replaced/);
    await page.pieces.return!();
  }
});

Deno.test("streams end when the page has left, and all of them when told to", async () => {
  const { feed } = feedOf();
  const left = follow(feed);
  const stays = follow(feed);
  await left.next();
  await stays.next();
  const ends = [left.pieces.next(), stays.pieces.next()];
  left.abort.abort();
  assert.equal((await ends[0]).done, true);
  feed.stop();
  assert.equal((await ends[1]).done, true);
});

Deno.test("a stream that is ended has all that happened before", async () => {
  const { feed, add } = feedOf();
  const { next, pieces } = follow(feed);
  assert.equal(dataOf(await next()).length, 1);
  for (let i = 1; i <= 3; i++) add(i);
  feed.stop();
  assert.deepEqual(dataOf(await next()).map(({ number }) => number), [1, 2, 3]);
  assert.equal((await pieces.next()).done, true);
});
