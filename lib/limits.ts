/**
 * Every cap and every timeout, in one place, each with its unit in its name.
 *
 * A peer, a file or a flag never makes this program hold more than what stands here.
 * The caps that a user may want to move have a flag of `serve` (named beside them).
 *
 * @module
 */

/** Caps on one HTTP message, applied by the decoder while the bytes come in. */
export interface MessageLimits {
  /** Start line and field lines together, line ends included (`--max-head`). Beyond it: 431. */
  readonly maxHeadBytes: number;
  /** The request target alone; RFC 9112 §3 asks for 8000 at least. Beyond it: 414. */
  readonly maxTargetBytes: number;
  /** A method's name. Beyond it: 501, since no known method is as long (RFC 9112 §3). */
  readonly maxMethodBytes: number;
  /** Field lines in a header or trailer section. Beyond it: 431. */
  readonly maxFieldLines: number;
  /** Content after the chunked coding is removed (`--max-body`). Beyond it: 413. */
  readonly maxContentBytes: number;
  /** One chunk-size line with its extensions and its line end. */
  readonly maxChunkLineBytes: number;
  /** All chunk extensions of one message together; RFC 9112 §7.1.1 asks for a total limit. */
  readonly maxChunkExtensionsBytes: number;
  /** The trailer section, line ends included. Beyond it: 431. */
  readonly maxTrailerBytes: number;
}

/** What `serve` takes from a client unless flags say otherwise. */
export const REQUEST_LIMITS: MessageLimits = {
  maxHeadBytes: 16 * 1024,
  maxTargetBytes: 8 * 1024,
  maxMethodBytes: 32,
  maxFieldLines: 128,
  maxContentBytes: 1024 * 1024,
  maxChunkLineBytes: 1024,
  maxChunkExtensionsBytes: 8 * 1024,
  maxTrailerBytes: 8 * 1024,
};

/** What `connect` takes from a server. Content is passed on as it comes, so it has no cap of its own. */
export const RESPONSE_LIMITS: MessageLimits = {
  ...REQUEST_LIMITS,
  maxHeadBytes: 64 * 1024,
  maxFieldLines: 512,
  maxContentBytes: Number.MAX_SAFE_INTEGER,
  maxChunkExtensionsBytes: 1024 * 1024,
};
