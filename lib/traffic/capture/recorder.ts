/**
 * Writes a recording: gathers blocks for a moment. Nobody has to wait for the disk, but a client may.
 *
 * @module
 */

import { ByteBuffer, type Sink } from "../../bytes.ts";
import { RECORD_GATHER_MS, RECORD_WAITING_BYTES } from "../../limits.ts";
import type { End, TrafficListener } from "../../traffic.ts";
import { Capture } from "./writer.ts";
import { recordingStart } from "./pcapng.ts";

/** The file of a recording. */
export interface RecordingFile extends Sink {
  /** Cuts the file off. */
  truncate(length: number): Promise<void>;
  /** Gives the file back. */
  close(): void;
}

/** What a recorder is made with. */
export interface RecorderOptions {
  /** The name of the program that records. */
  readonly program: string;
  /** The names of interfaces for the connections of each end, the server's first; by default there is one for all. */
  readonly interfaces?: Readonly<Record<End, string>>;
  /** The file's name, for what is reported. */
  readonly name: string;
  /** Receives a line where something is missing from the recording. */
  readonly report: (line: string) => void;
}

/** What users should know before they hand a recording on. */
export const RECORDING_NOTICE: string = "it holds all that is sent and received, tokens and passwords included";

const INITIAL_BYTES = 64 * 1024;

/** Records what a tap tells. */
export class Recorder {
  /** Receives what happens on connections. */
  readonly take: TrafficListener;
  readonly #file: RecordingFile;
  readonly #options: RecorderOptions;
  /** How many bytes may wait. A relay waits for the disk itself, with all its connections. */
  readonly #most: number;
  /** Whole blocks that wait to be written, and those that are being written. */
  #waiting = new ByteBuffer(INITIAL_BYTES);
  #writing = new ByteBuffer(INITIAL_BYTES);
  /** How long the file is. */
  #written = 0;
  #leftOut = 0;
  #reported = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing: Promise<void> | undefined;
  #ended = false;

  /** Starts a recording in an empty file. */
  constructor(file: RecordingFile, options: RecorderOptions) {
    this.#file = file;
    this.#options = options;
    const { program, interfaces } = options;
    this.#most = interfaces === undefined ? RECORD_WAITING_BYTES : Infinity;
    const capture = new Capture((block) => this.#add(block), interfaces);
    this.take = (event) => {
      if (!this.#ended) capture.tell(event);
    };
    this.#add(recordingStart(program, interfaces && Object.values(interfaces)));
  }

  /** Resolves once there is room again for what a client reads or writes at a time; `undefined` if there is. */
  room(): Promise<void> | undefined {
    const isHalfFull = this.#waiting.length + this.#writing.length > RECORD_WAITING_BYTES / 2;
    return isHalfFull && !this.#ended ? this.#flush() : undefined;
  }

  /** Writes what waits, and ends the recording. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    while (!this.#ended && (this.#waiting.length > 0 || this.#flushing !== undefined)) await this.#flush();
    this.#reportLeftOut();
    if (!this.#ended) this.#file.close();
    this.#ended = true;
  }

  #add(block: Uint8Array): void {
    if (this.#ended) return;
    if (this.#waiting.length + this.#writing.length + block.length > this.#most) {
      this.#leftOut++;
      return;
    }
    this.#waiting.append(block);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, RECORD_GATHER_MS);
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
        while (sent < bytes.length) sent += await this.#file.write(bytes.subarray(sent));
        this.#written += sent;
      } catch (error) {
        await this.#fail(error as Error, wholeBlocks(bytes, sent));
      }
      this.#writing.clear(INITIAL_BYTES);
    }
  }

  /** Ends the recording behind its last whole block. */
  async #fail({ message }: Error, whole: number): Promise<void> {
    this.#ended = true;
    this.#options.report(`The recording ${this.#options.name} ends here: ${message}`);
    try {
      await this.#file.truncate(this.#written + whole);
    } catch {
      // A reader takes a block that is cut off for the end.
    }
    this.#file.close();
  }

  #reportLeftOut(): void {
    const count = this.#leftOut - this.#reported;
    if (count === 0) return;
    this.#reported = this.#leftOut;
    const packets = count === 1 ? "1 packet is" : `${count} packets are`;
    this.#options.report(`The disk is too slow: ${packets} missing from the recording ${this.#options.name}`);
  }
}

/** How many of the first bytes are whole blocks. */
function wholeBlocks(bytes: Uint8Array, available: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let whole = 0;
  while (whole + 8 <= available && whole + view.getUint32(whole + 4, true) <= available) {
    whole += view.getUint32(whole + 4, true);
  }
  return whole;
}
