/**
 * Random valid and invalid captures, and properties that must hold for all of them.
 */

import assert from "node:assert/strict";
import { CaptureExplainer, type Explained } from "../lib/traffic/capture/explainer.ts";
import { type CaptureEvent, CaptureReader } from "../lib/traffic/capture/reader.ts";
import { CaptureError } from "../lib/traffic/capture/packet_file.ts";
import { brokenMessages, inPieces, type Random } from "./fuzzing.ts";
import { Blocks, ipPacket, joined, type SegmentSpec, talk, type Turn } from "./traffic/captures.ts";

/** Link types, with what stands before the IP header. */
const LINKS: readonly (readonly [linkType: number, header: string])[] = [
  [101, ""],
  [1, "0000000000000000000000000800"],
  [1, "0000000000000000000000008100000508" + "00"],
  [0, "02000000"],
  [108, "00000002"],
  [113, "00000304000600000000000000000800"],
  [276, "0800000000000001030400060000000000000000"],
  [105, ""],
];

/** Returns a capture whose segments are lost, late or repeated, and that often has octets which are wrong. */
export function randomCapture(random: Random): Uint8Array {
  const file = joined([...blocksOf(random, disturbed(random, conversations(random)))]);
  return random.below(2) === 0 ? file : damaged(random, file);
}

function conversations(random: Random): SegmentSpec[] {
  const all = Array.from({ length: 1 + random.below(4) }, () => {
    const turns = Array.from({ length: random.below(8) }, (): Turn => {
      const [arrow, kind] = random.pick([[">", "request"], ["<", "response"]] as const);
      const lost = random.below(12) === 0 ? "x " : " ";
      const what = random.pick([
        () => brokenMessages(random, kind),
        () => brokenMessages(random, kind).slice(0, 1 + random.below(60)),
        () => random.octets(1 + random.below(40)),
        () => random.pick(["FIN", "RST"]),
      ]);
      return `${arrow}${lost}${what()}`;
    });
    return talk(turns, 40_000 + random.below(3));
  });
  // They take turns, without losing their own order.
  const mixed: SegmentSpec[] = [];
  while (all.some(({ length }) => length > 0)) mixed.push(...random.pick(all).splice(0, 1 + random.below(4)));
  return mixed;
}

function disturbed(random: Random, segments: SegmentSpec[]): SegmentSpec[] {
  if (random.below(3) > 0) return segments;
  const disturbed: SegmentSpec[] = [];
  for (const segment of segments) {
    const at = random.pick([disturbed.length, disturbed.length, Math.max(0, disturbed.length - 1 - random.below(4))]);
    const copies = random.pick([0, 1, 1, 1, 1, 1, 1, 2]);
    disturbed.splice(at, 0, ...Array(copies).fill(segment));
  }
  return disturbed;
}

function* blocksOf(random: Random, segments: readonly SegmentSpec[]): Generator<Uint8Array> {
  const blocks = new Blocks(random.below(2) === 0);
  const [linkType, header] = random.pick(LINKS);
  const link = Uint8Array.fromHex(header);
  yield blocks.section();
  yield blocks.interface(linkType, random.below(2) === 0 ? [[9, [random.below(256)]]] : []);
  for (const [i, segment] of segments.entries()) {
    yield blocks.packet(joined([link, ipPacket(segment)]), { time: BigInt(i * 1000) });
    if (random.below(10) === 0) yield blocks.block(random.below(12) + 7, [1, 2, 3]);
  }
}

function damaged(random: Random, file: Uint8Array): Uint8Array {
  let bytes = file;
  for (let changes = 1 + random.below(5); changes > 0; changes--) {
    const at = random.below(bytes.length + 1);
    const change = random.pick([
      () => bytes.with(Math.min(at, bytes.length - 1), random.below(256)),
      () => bytes.with(Math.min(at, bytes.length - 1), random.pick([0, 1, 4, 0x7f, 0x80, 0xff])),
      () => joined([bytes.subarray(0, at), bytes.subarray(at + 4 * random.below(20))]),
      () => joined([bytes.subarray(0, at), bytes.subarray(at - 4 * random.below(20))]),
      () => bytes.subarray(0, at),
    ]);
    bytes = change();
    if (bytes.length === 0) return file.slice(0, 5);
  }
  return bytes;
}

/** What is read of a file: events with copies of their octets, then notes or the error. */
function read(pieces: Iterable<Uint8Array>): { events: CaptureEvent[]; end: readonly string[] } {
  const events: CaptureEvent[] = [];
  const reader = new CaptureReader((event) => {
    events.push("bytes" in event ? { ...event, bytes: event.bytes.slice() } : event);
  });
  try {
    for (const piece of pieces) reader.receive(piece);
  } catch (error) {
    assert(error instanceof CaptureError, String(error));
    return { events, end: [error.message, ...reader.end()] };
  }
  return { events, end: reader.end() };
}

/** Returns the text of a capture and its end, read in as many passes as it takes. */
function explained(file: Uint8Array, maxHeld?: number): { text: string; ends: Explained[]; connections: number } {
  const ends: Explained[] = [];
  let text = "";
  let connections = 0;
  for (let from: number | undefined = 1; from !== undefined; from = ends.at(-1)!.leftOut) {
    const explainer: CaptureExplainer = new CaptureExplainer({
      width: 80,
      all: false,
      painter: (_style, text) => text,
      print: (piece) => text += piece,
      from,
      again: true,
      maxHeld,
    });
    try {
      explainer.receive(file);
    } catch (error) {
      assert(error instanceof CaptureError, String(error));
    }
    ends.push(explainer.end());
    connections = explainer.reader.connections;
    assert(ends.length <= 10, "a pass explains at least one connection");
  }
  return { text: text.replace(/\n+/g, "\n"), ends, connections };
}

/** Checks what must hold for all captures. */
export function checkCapture(random: Random, file: Uint8Array): void {
  const whole = read([file]);
  // The memory of a piece is used again.
  const pieces = function* () {
    const buffer = new Uint8Array(1000);
    for (const piece of inPieces(random, file)) {
      buffer.set(piece);
      yield buffer.subarray(0, piece.length);
    }
  };
  const why = file.toHex();
  assert.deepEqual(read(pieces()), whole, why);
  const octets = whole.events.reduce((sum, event) => sum + ("bytes" in event ? event.bytes.length : 0), 0);
  assert(octets <= file.length, why);
  checkOrder(whole.events, why);
  const { text, connections } = explained(file);
  const named = [...text.matchAll(/^connection (\d+): \S+ to /gm)].map(([, number]) => Number(number));
  // A connection that is opened again after a reset is named again.
  assert.deepEqual(
    [...new Set(named)].toSorted((a, b) => a - b),
    Array.from({ length: connections }, (_, i) => i + 1),
    why,
  );
  const inPasses = explained(file, 3000);
  // What is opened again stands where there is room.
  const isOpenedAgain = named.length > connections;
  if (!inPasses.text.includes("it needs too much memory") && !isOpenedAgain) assert.equal(inPasses.text, text, why);
  assert.equal(inPasses.connections, connections, why);
}

/**
 * Each connection is opened, has octets, and is closed, in this order; a side has none after its FIN. After a reset it
 * may be opened again.
 */
function checkOrder(events: readonly CaptureEvent[], why: string): void {
  const states = new Map<number, Set<string>>();
  for (const event of events) {
    let seen = states.get(event.connection) ?? new Set();
    if (event.kind === "opened") {
      assert(!states.has(event.connection) || seen.has("closed"), why);
      seen = new Set();
    }
    if (event.kind !== "opened") assert(seen.has("opened") && !seen.has("closed"), why);
    if (event.kind === "read") assert(!seen.has("FIN client"), why);
    if (event.kind === "write") assert(!seen.has("FIN server"), why);
    states.set(event.connection, seen.add(event.kind === "fin" ? `FIN ${event.by}` : event.kind));
  }
}
