import assert from "node:assert/strict";
import { RECORD_WAITING_BYTES } from "../../lib/limits.ts";
import type { TrafficEvent } from "../../lib/traffic.ts";
import { Recorder, type RecordingFile } from "../../lib/traffic/recorder.ts";

const ADDRESS = { hostname: "127.0.0.1", port: 1 };
const SEEN = { end: "server", connection: 1, time: 0 } as const;
const OPENED: TrafficEvent = { ...SEEN, kind: "opened", local: ADDRESS, remote: ADDRESS, secure: false };

/** A file in memory. */
class FakeFile implements RecordingFile {
  bytes: number[] = [];
  /** How many bytes fit. */
  room = Infinity;
  /** Whether writes wait. */
  held: PromiseWithResolvers<void> | undefined;
  closed = 0;

  async write(bytes: Uint8Array): Promise<number> {
    await this.held?.promise;
    const fits = Math.min(bytes.length, this.room - this.bytes.length);
    if (fits <= 0) throw new Error("No space left on device");
    for (const byte of bytes.subarray(0, fits)) this.bytes.push(byte);
    return fits;
  }

  truncate(length: number): Promise<void> {
    this.bytes.length = length;
    return Promise.resolve();
  }

  close(): void {
    this.closed++;
  }

  /** The types of its blocks; throws if the last one is cut off. */
  get blocks(): number[] {
    const view = new DataView(Uint8Array.from(this.bytes).buffer);
    const types: number[] = [];
    for (let at = 0; at < view.byteLength;) {
      types.push(view.getUint32(at, true));
      const length = view.getUint32(at + 4, true);
      assert.equal(view.getUint32(at + length - 4, true), length);
      at += length;
    }
    return types;
  }
}

function recorderOf(file: FakeFile): { recorder: Recorder; told: string[] } {
  const told: string[] = [];
  const recorder = new Recorder(file, { program: "test", name: "r.pcapng", report: (line) => told.push(line) });
  return { recorder, told };
}

Deno.test("a recording starts with its section and its interface, and has all packets once it is closed", async () => {
  const file = new FakeFile();
  const { recorder, told } = recorderOf(file);
  recorder.take(OPENED);
  await recorder.close();
  recorder.take(OPENED);
  await recorder.close();
  assert.deepEqual(file.blocks, [0x0a0d0d0a, 1, 6, 6, 6]);
  assert.deepEqual([told, file.closed], [[], 1]);
});

Deno.test("a full disk ends the recording after a complete block, with one line", async () => {
  const file = new FakeFile();
  const { recorder, told } = recorderOf(file);
  recorder.take(OPENED);
  file.room = 300;
  await recorder.close();
  recorder.take(OPENED);
  assert.deepEqual(file.blocks, [0x0a0d0d0a, 1, 6, 6]);
  assert.deepEqual(told, ["The recording r.pcapng ends here: No space left on device"]);
  assert.equal(file.closed, 1);
});

Deno.test("packets that a slow disk cannot take are omitted, counted and reported", async () => {
  const file = new FakeFile();
  const { recorder, told } = recorderOf(file);
  file.held = Promise.withResolvers<void>();
  const bytes = new Uint8Array(60_000);
  recorder.take(OPENED);
  const events = Math.floor(RECORD_WAITING_BYTES / bytes.length) + 10;
  for (let i = 0; i < events; i++) recorder.take({ ...SEEN, kind: "read", bytes });
  file.held.resolve();
  await recorder.close();
  assert(file.bytes.length <= RECORD_WAITING_BYTES);
  const written = file.blocks.length;
  assert.deepEqual(told, [
    `The disk is too slow: ${2 + 3 + 2 * events - written} packets are missing from the recording r.pcapng`,
  ]);
});
