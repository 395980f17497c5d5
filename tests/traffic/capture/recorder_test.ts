import assert from "node:assert/strict";
import { ByteBuffer } from "../../../lib/bytes.ts";
import { RECORD_WAITING_BYTES } from "../../../lib/limits.ts";
import type { TrafficEvent } from "../../../lib/traffic.ts";
import { Recorder, type RecordingFile } from "../../../lib/traffic/capture/recorder.ts";
import { TempFolder, until } from "../../support.ts";
import { TSHARK, tshark, withTshark } from "../../tshark.ts";

const ADDRESS = { hostname: "127.0.0.1", port: 1 };
const SEEN = { end: "server", connection: 1, time: 0 } as const;
const OPENED: TrafficEvent = { ...SEEN, kind: "opened", local: ADDRESS, remote: ADDRESS, secure: false };

/** A file in memory. */
class FakeFile implements RecordingFile {
  readonly content = new ByteBuffer(1024);
  /** How many bytes fit. */
  room = Infinity;
  /** Whether writes wait. */
  held: PromiseWithResolvers<void> | undefined;
  closed = 0;

  async write(bytes: Uint8Array): Promise<number> {
    await this.held?.promise;
    const fits = Math.min(bytes.length, this.room - this.content.length);
    if (fits <= 0) throw new Error("No space left on device");
    this.content.append(bytes.subarray(0, fits));
    return fits;
  }

  truncate(length: number): Promise<void> {
    this.content.length = length;
    return Promise.resolve();
  }

  close(): void {
    this.closed++;
  }

  /** The types of its blocks; throws if the last one is cut off. */
  get blocks(): number[] {
    const bytes = this.content.view();
    const view = new DataView(bytes.buffer, 0, bytes.length);
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
  const recorder = new Recorder(file, { program: "test", name: "r.pcapng", note: (line) => told.push(line) });
  return { recorder, told };
}

Deno.test("a recording starts with its section and its interface, and has all packets once it is closed", async () => {
  const file = new FakeFile();
  const { recorder, told } = recorderOf(file);
  recorder.receive(OPENED);
  await recorder.close();
  recorder.receive(OPENED);
  await recorder.close();
  assert.deepEqual(file.blocks, [0x0a0d0d0a, 1, 6, 6, 6]);
  assert.deepEqual([told, file.closed], [[], 1]);
});

Deno.test("a full disk ends the recording after a complete block, with one line", async () => {
  const file = new FakeFile();
  const { recorder, told } = recorderOf(file);
  recorder.receive(OPENED);
  file.room = 300;
  await recorder.close();
  recorder.receive(OPENED);
  assert.deepEqual(file.blocks, [0x0a0d0d0a, 1, 6, 6]);
  assert.deepEqual(told, ["The recording r.pcapng ends here: No space left on device"]);
  assert.equal(file.closed, 1);
});

Deno.test("packets that a slow disk cannot take are omitted, counted and reported", async () => {
  const file = new FakeFile();
  const { recorder, told } = recorderOf(file);
  file.held = Promise.withResolvers<void>();
  const bytes = new Uint8Array(60_000);
  recorder.receive(OPENED);
  const events = Math.floor(RECORD_WAITING_BYTES / bytes.length) + 10;
  for (let i = 0; i < events; i++) recorder.receive({ ...SEEN, kind: "read", bytes });
  file.held.resolve();
  await recorder.close();
  assert(file.content.length <= RECORD_WAITING_BYTES);
  const written = file.blocks.length;
  assert.deepEqual(told, [
    `The disk is too slow: ${2 + 3 + 2 * events - written} packets are missing from the recording r.pcapng`,
  ]);
});

Deno.test({
  name: withTshark("what a slow disk could not take is a gap in Wireshark"),
  ignore: !TSHARK,
  async fn() {
    const file = new FakeFile();
    const { recorder, told } = recorderOf(file);
    const bytes = new Uint8Array(65_000);
    const read = () => recorder.receive({ ...SEEN, kind: "read", bytes });
    recorder.receive({ ...OPENED, local: { ...ADDRESS, port: 9999 } });
    file.held = Promise.withResolvers<void>();
    // More than may wait at a time.
    for (let octets = 0; octets < 1.5 * RECORD_WAITING_BYTES; octets += bytes.length) read();
    file.held.resolve();
    await until(() => told.length > 0);
    read();
    await recorder.close();
    using folder = new TempFolder();
    await Deno.writeFile(folder.file("r.pcapng"), file.content.view());
    const gaps = await tshark(
      folder.file("r.pcapng"),
      [],
      "-Y",
      "tcp.analysis.lost_segment",
      "-T",
      "fields",
      "-e",
      "tcp.len",
    );
    assert.equal(gaps.trim(), String(bytes.length));
    assert.match(told.join(), /^The disk is too slow: \d+ packets are missing from the recording r\.pcapng$/);
  },
});

Deno.test("a client that waits for room loses nothing to a slow disk", async () => {
  const file = new FakeFile();
  const held = file.held = Promise.withResolvers<void>();
  const { recorder, told } = recorderOf(file);
  recorder.receive(OPENED);
  const bytes = new Uint8Array(1024 * 1024);
  let room: Promise<void> | undefined;
  for (let sent = 0; room === undefined; sent += bytes.length, room = recorder.room()) {
    assert(sent < RECORD_WAITING_BYTES);
    recorder.receive({ ...SEEN, kind: "read", bytes });
  }
  held.resolve();
  await room;
  assert.equal(recorder.room(), undefined);
  await recorder.close();
  assert.deepEqual(told, []);
});
