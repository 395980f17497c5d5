/** Writes a recording: gathers blocks for a moment. Nobody waits for the disk, except a relay's connections. */

import { ByteBuffer } from "../../bytes.ts";
import { RECORD_WAITING_BYTES } from "../../limits.ts";
import type { End, TrafficListener } from "../../traffic.ts";
import { CaptureWriter, recordingStart } from "./writer.ts";

export type RecordingFile = Pick<Deno.FsFile, "write" | "truncate" | "close">;

interface RecorderOptions {
  readonly program: string;
  /** The names of interfaces for the connections of each end, the server's first; by default there is one for all. */
  readonly interfaces?: Readonly<Record<End, string>>;
  readonly name: string;
  /** Receives a line where something is missing from the recording. */
  readonly note: (line: string) => void;
}

/** What users should know before they hand a recording on. */
export const RECORDING_NOTICE: string = "it holds all that is sent and received, tokens and passwords included";

const INITIAL_BYTES = 64 * 1024;
/** How long packets gather before they are written. */
const GATHER_MS = 200;

export class Recorder {
  readonly receive: TrafficListener;
  /** Whole blocks that wait to be written, and those that are being written. */
  #waiting = new ByteBuffer(INITIAL_BYTES);
  #writing = new ByteBuffer(INITIAL_BYTES);
  #written = 0;
  /** Packets left out that are not reported yet. */
  #leftOut = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing: Promise<void> | undefined;
  #ended = false;

  constructor(private readonly file: RecordingFile, private readonly options: RecorderOptions) {
    const { program, interfaces } = options;
    const capture = new CaptureWriter((block) => this.#add(block), interfaces);
    this.receive = (event) => {
      if (!this.#ended) capture.receive(event);
    };
    this.#add(recordingStart(program, interfaces && Object.values(interfaces)));
  }

  /** Resolves once there is room again for what a client reads or writes at a time; `undefined` if there is. */
  room(): Promise<void> | undefined {
    return this.#held > RECORD_WAITING_BYTES / 2 && !this.#ended ? this.#flush() : undefined;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    while (!this.#ended && (this.#waiting.length > 0 || this.#flushing !== undefined)) await this.#flush();
    this.#reportLeftOut();
    if (!this.#ended) this.file.close();
    this.#ended = true;
  }

  get #held(): number {
    return this.#waiting.length + this.#writing.length;
  }

  #add(block: Uint8Array): void {
    // A relay waits for the disk itself, with all its connections.
    const most = this.options.interfaces === undefined ? RECORD_WAITING_BYTES : Infinity;
    if (this.#held + block.length > most) return void this.#leftOut++;
    this.#waiting.append(block);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, GATHER_MS);
  }

  #flush(): Promise<void> {
    return this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined;
      this.#reportLeftOut();
    });
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#ended) {
      [this.#waiting, this.#writing] = [this.#writing, this.#waiting];
      const bytes = this.#writing.view();
      let sent = 0;
      try {
        while (sent < bytes.length) sent += await this.file.write(bytes.subarray(sent));
        this.#written += sent;
      } catch (error) {
        await this.#fail(error as Error, wholeBlocks(bytes, sent));
      }
      this.#writing.clear(INITIAL_BYTES);
    }
  }

  /** Ends the recording after its last complete block. */
  async #fail({ message }: Error, whole: number): Promise<void> {
    this.#ended = true;
    this.options.note(`The recording ${this.options.name} ends here: ${message}`);
    // A reader takes a block that is cut off for the end.
    await this.file.truncate(this.#written + whole).catch(() => {});
    this.file.close();
  }

  #reportLeftOut(): void {
    if (this.#leftOut === 0) return;
    const packets = this.#leftOut === 1 ? "1 packet is" : `${this.#leftOut} packets are`;
    this.#leftOut = 0;
    this.options.note(`The disk is too slow: ${packets} missing from the recording ${this.options.name}`);
  }
}

function wholeBlocks(bytes: Uint8Array, available: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let whole = 0;
  while (whole + 8 <= available && whole + view.getUint32(whole + 4, true) <= available) {
    whole += view.getUint32(whole + 4, true);
  }
  return whole;
}
