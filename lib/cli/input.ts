/** Reads files of any size, or the standard input, in pieces, and expands what gzip has compressed (RFC 1952). */

import { counted, NO_BYTES, readStart, type Source } from "../bytes.ts";
import { reasonOf } from "./files.ts";
import { quoteForShell } from "./program.ts";
import { Failure } from "./values.ts";

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
    if (error instanceof Deno.errors.NotCapable) throw new Deno.errors.NotCapable(`Reading ${file} needs a permission`);
    return failed(error);
  });
  const source = { read: (bytes: Uint8Array) => opened.read(bytes).catch(failed) };
  const found: Found = { isGzip: false };
  let rest: Uint8Array = NO_BYTES;
  let pieces = expanded(source, found);
  const rewind = async () => {
    await (opened as Deno.FsFile).seek(0, Deno.SeekMode.Start);
    await pieces.return();
    rest = NO_BYTES;
    pieces = expanded(source, found);
  };
  const canRewind = file !== "-" && await rewind().then(() => true, () => false);
  return {
    async read(bytes) {
      while (rest.length === 0) {
        const { done, value } = await pieces.next();
        if (done) return found.isGzip ? null : source.read(bytes);
        rest = value;
      }
      const count = Math.min(bytes.length, rest.length);
      bytes.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
    ...canRewind && { rewind },
    get damage() {
      return found.damage && `the gzip file is ${found.damage}`;
    },
    [Symbol.dispose]() {
      void pieces.return();
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

/** What {@linkcode expanded} finds out. */
interface Found {
  isGzip: boolean;
  damage?: string;
}

/**
 * Yields the octets of a source, expanded if they are gzip, else only the first. A few may expand to gigabytes, so they
 * are expanded 16 KiB at a time. (DecompressionStream expands all of a chunk at once, and ends at a second member.)
 */
async function* expanded(source: Source, found: Found): AsyncGenerator<Uint8Array, void> {
  let piece = await readStart(source, GZIP_MAGIC.length / 2);
  found.isGzip = piece.toHex() === GZIP_MAGIC;
  if (!found.isGzip) return yield piece;
  // Loaded on demand, because loading takes a noticeable part of the start.
  const { createGunzip } = await import("node:zlib");
  const gunzip = createGunzip({ chunkSize: EXPANDED_BYTES });
  let wake = () => {};
  let hasEnded = false;
  const end = (damage?: string) => {
    found.damage ??= damage;
    hasEnded = true;
    wake();
  };
  gunzip.on("readable", () => wake()).on("end", () => end()).on("error", ({ message }) => {
    end(message === "unexpected end of file" ? "cut off" : `damaged: ${message}`);
  });
  try {
    // What follows the last member is ignored.
    for (let fed = 0; !hasEnded;) {
      let isTaken = false;
      const taken = () => {
        isTaken = true;
        wake();
      };
      if (piece.length > 0) gunzip.write(piece, taken);
      // Expands what a file has that is cut off, before zlib finds that its end is missing.
      else gunzip.flush(() => gunzip.end());
      for (;;) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        // Some was expanded before an error, too.
        for (let more = gunzip.read(); more !== null; more = gunzip.read()) yield more;
        if (hasEnded || isTaken) break;
        await promise;
      }
      // After an error, nothing of its piece is expanded, so a piece is a small part of what has come.
      piece = new Uint8Array(Math.min(EXPANDED_BYTES, Math.max(SMALLEST_PIECE_BYTES, fed >> 6)));
      const count = await source.read(piece) ?? 0;
      fed += count;
      piece = piece.subarray(0, count);
    }
  } finally {
    gunzip.destroy();
  }
}
