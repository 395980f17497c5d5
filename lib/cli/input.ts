/** Reads files of any size, or the standard input, in pieces, and expands what gzip has compressed (RFC 1952). */

import type { Gunzip } from "node:zlib";
import { counted, NO_BYTES, readStart, type Source } from "../bytes.ts";
import { reasonOf } from "./files.ts";
import { quoteForShell } from "./program.ts";
import { Failure, MissingPermission } from "./values.ts";

/** A file, or the standard input, that is read in pieces. A read that fails throws a {@linkcode Failure}. */
export interface InputFile extends Source, Disposable {
  /** Goes back to the start; absent for pipes and the like. */
  readonly rewind?: () => Promise<unknown>;
  /** One line on how a gzip file ended before its end, if it did. */
  readonly damage?: string;
}

export async function openFile(file: string): Promise<InputFile> {
  const failed = (error: unknown) => {
    throw cannotRead(file, error);
  };
  const opened = file === "-" ? Deno.stdin : await Deno.open(file).catch((error) => {
    if (error instanceof Deno.errors.NotCapable) throw new MissingPermission(`Reading ${file} needs a permission`);
    return failed(error);
  });
  const source = { read: (bytes: Uint8Array) => opened.read(bytes).catch(failed) };
  let input = new Expanded(source);
  const rewind = async () => {
    await (opened as Deno.FsFile).seek(0, Deno.SeekMode.Start);
    input.close();
    input = new Expanded(source);
  };
  const canRewind = file !== "-" && await rewind().then(() => true, () => false);
  return {
    read: (bytes) => input.read(bytes),
    ...canRewind && { rewind },
    get damage() {
      return input.damage;
    },
    [Symbol.dispose]() {
      input.close();
      if (file !== "-") opened.close();
    },
  };
}

export function cannotRead(file: string, error: unknown): Failure {
  return new Failure(`Cannot read ${inputName(file)}: ${reasonOf(error)}`);
}

/** Creates the error for a file in a format that is not read: it says what makes of it one that is. */
export function otherFormat(file: string, { name, tool }: { readonly name: string; readonly tool: string }): Failure {
  const source = file === "-" ? "FILE" : quoteForShell(file);
  const target = file === "-" ? "FILE.pcapng" : quoteForShell(`${file.replace(/\.\w{1,6}$/, "")}.pcapng`);
  const command = tool === "tshark" ? `tshark -r ${source} -w ${target} converts` : `${tool} ${source} expands`;
  return new Failure(`${inputName(file)} is ${name}, expected pcapng or pcap, or one of them in gzip: ${command} it`);
}

/** @throws {Failure} If a capture does not have the connection that is asked for. */
export function requireConnection(file: string, asked: number | undefined, connections: number): void {
  if (asked === undefined || asked <= connections) return;
  throw new Failure(`${inputName(file)} has ${counted(connections, "connection")}, so there is no connection ${asked}`);
}

export function inputName(file: string): string {
  return file === "-" ? "The input" : file || '""';
}

const GZIP_MAGIC = "1f8b08";
/** Octets that are given to zlib, and that it returns, at a time. */
const EXPANDED_BYTES = 16 * 1024;
const SMALLEST_PIECE_BYTES = 8;

/**
 * The octets of a source, expanded if they are gzip. A few may expand to gigabytes, so 16 KiB are expanded at a time, and
 * more once those are read. (DecompressionStream expands all of a chunk at once, and ends at a second member.)
 */
class Expanded implements Source {
  readonly #source: Source;
  /** The next octets, at first those that show the format. */
  #rest: Uint8Array | undefined;
  #gunzip: Gunzip | undefined;
  /** Whether zlib has octets to expand. */
  #works = false;
  /** Whether zlib returns no more. */
  #hasEnded = false;
  #fed = 0;
  #wake = () => {};
  damage: string | undefined;

  constructor(source: Source) {
    this.#source = source;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.#rest ??= await this.#begin();
    while (this.#rest.length === 0) {
      if (this.#gunzip === undefined) return this.#source.read(buffer);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#rest = (this.#gunzip.read() as Uint8Array | null) ?? NO_BYTES;
      if (this.#rest.length > 0) break;
      if (this.#hasEnded) return null;
      if (this.#works) await promise;
      else await this.#feed();
    }
    const count = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  close(): void {
    this.#gunzip?.destroy();
  }

  async #begin(): Promise<Uint8Array> {
    const start = await readStart(this.#source, GZIP_MAGIC.length / 2);
    if (start.toHex() !== GZIP_MAGIC) return start;
    // Loaded on demand, because loading takes a noticeable part of the start.
    const { createGunzip } = await import("node:zlib");
    this.#gunzip = createGunzip({ chunkSize: EXPANDED_BYTES });
    this.#gunzip.on("readable", () => this.#wake());
    this.#gunzip.on("end", () => this.#end());
    this.#gunzip.on("error", ({ message }) => this.#end(message));
    this.#write(start);
    return NO_BYTES;
  }

  async #feed(): Promise<void> {
    // After an error, nothing of its piece is expanded, so a piece is a small part of what has come.
    const piece = new Uint8Array(Math.min(EXPANDED_BYTES, Math.max(SMALLEST_PIECE_BYTES, this.#fed >> 6)));
    const count = await this.#source.read(piece);
    this.#fed += count ?? 0;
    // What follows the last member is ignored.
    if (this.#hasEnded) return;
    if (count !== null) return this.#write(piece.subarray(0, count));
    this.#works = true;
    // Expands what a file has that is cut off, before zlib finds that its end is missing.
    this.#gunzip!.flush(() => this.#gunzip!.end());
  }

  #write(piece: Uint8Array): void {
    this.#works = true;
    this.#gunzip!.write(piece, () => {
      this.#works = false;
      this.#wake();
    });
  }

  #end(damage?: string): void {
    const isCut = damage === "unexpected end of file";
    if (damage !== undefined) this.damage ??= `the gzip file is ${isCut ? "cut off" : `damaged: ${damage}`}`;
    this.#hasEnded = true;
    this.#wake();
  }
}
