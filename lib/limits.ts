/**
 * All limits and timeouts, each with its unit in its name.
 *
 * A peer, a file or a flag cannot make this program hold more than these limits allow. A limit that a user may change
 * names its flag of `serve`.
 *
 * @module
 */

// Messages

/** The limits of `serve` on requests, unless flags change them. */
export const REQUEST_LIMITS = {
  /** The start line and field lines together, line ends included (`--max-head`). Beyond it: 431. */
  maxHeadBytes: 16 * 1024,
  /** The request target; RFC 9112 §3 recommends at least 8000. Beyond it: 414. */
  maxTargetBytes: 8 * 1024,
  /** The method's name. Beyond it: 501, since no known method is that long (RFC 9112 §3). */
  maxMethodBytes: 32,
  /** Field lines in a header or trailer section. Beyond it: 431. */
  maxFieldLines: 128,
  /** Content after the chunked coding is removed, and a row as it is stored (`--max-body`). Beyond it: 413. */
  maxContentBytes: 1024 * 1024,
  /** One chunk-size line, its extensions and line end included. */
  maxChunkLineBytes: 1024,
  /** All chunk extensions of one message together; RFC 9112 §7.1.1 requires a total limit. */
  maxChunkExtensionsBytes: 8 * 1024,
  /** The trailer section, line ends included. Beyond it: 431. */
  maxTrailerBytes: 8 * 1024,
};

/** Limits on one HTTP message, applied by the decoder while it receives bytes. */
export type MessageLimits = { readonly [Limit in keyof typeof REQUEST_LIMITS]: number };

/** The limits of `connect` on responses. Content is passed on as it arrives, so its length is not limited. */
export const RESPONSE_LIMITS: MessageLimits = {
  ...REQUEST_LIMITS,
  maxHeadBytes: 64 * 1024,
  maxFieldLines: 512,
  maxContentBytes: Number.MAX_SAFE_INTEGER,
  maxChunkExtensionsBytes: 1024 * 1024,
};

/** Interim responses (1xx) to one request that `connect` accepts. */
export const MAX_INTERIM_RESPONSES: number = 100;
/** Octets of a head that `relay` holds until it is complete, if the codec refuses it. */
export const MAX_HELD_HEAD_OCTETS: number = 64 * 1024;

// Rows, and requests for them

/** A row's name, in bytes of UTF-8. */
export const MAX_NAME_BYTES: number = 256;
/** Fields in `--fields`. */
export const MAX_ROW_FIELDS: number = 64;
/** The length of a field's name in `--fields`, in characters. */
export const MAX_ROW_FIELD_CHARACTERS: number = 64;
/** Bytes of the field Row-Fields, which names them. */
export const MAX_ROW_FIELDS_LINE_BYTES: number = 4096;
/** Nesting of objects and arrays in a row, the row itself included. */
export const MAX_JSON_DEPTH: number = 64;
/** Members and elements in a row, those of nested objects and arrays included. */
export const MAX_ROW_MEMBERS: number = 100_000;
/** Entries of `errors` in one problem document. */
export const MAX_PROBLEM_ERRORS: number = 100;
/** How often a conditional write is retried when other clients write the same row meanwhile. */
export const MAX_WRITE_ATTEMPTS: number = 1000;
/** Members of an If-Match or If-None-Match list. */
export const MAX_ENTITY_TAGS: number = 100;
/** Parameters in the query of a listing. */
export const MAX_QUERY_PARAMETERS: number = 64;
/** Rows on one page of a listing (`_per_page`). */
export const MAX_ROWS_PER_PAGE: number = 10_000;
/** A query reads texts up to this many characters as numbers; a longer text compares as text. */
export const MAX_COMPARED_DIGITS: number = 400;
/** Fields that one listing may be sorted by. */
export const MAX_SORT_KEYS: number = 8;
/** Bytes of rows that a sorted listing may keep: of all that match, or of those up to the requested page's end. */
export const MAX_SORTED_BYTES: number = 128 * 1024 * 1024;
/** Sorted listings produced at a time, each within twice the limit above; more must wait. */
export const MAX_SORTS: number = 2;
/** Bytes held by all sorted listings together while they are sent. Beyond it: 503. */
export const MAX_SENT_SORTED_BYTES: number = 256 * 1024 * 1024;
/** Bytes of a filtered or sorted listing up to which it is held and sent whole; a longer one is streamed in pieces. */
export const LISTING_PIECE_BYTES: number = 64 * 1024;
/** Bytes that one request or listing may leave unused before the engine is asked to collect garbage. */
export const MAX_GARBAGE_BYTES: number = 32 * 1024 * 1024;

// A server

/** The limits of `serve`, unless flags change them. */
export const SERVER_LIMITS = {
  /** Connections at a time (`--max-connections`). One more is answered with 503 and closed. */
  maxConnections: 16_384,
  /** Connections being refused at a time, in addition to those above; one more is closed without a response. */
  maxRefusedConnections: 128,
  /** How long a connection without a request stays open (`--idle-timeout`). */
  idleTimeoutMs: 600_000,
  /** The time from the first byte of a head to its end (`--head-timeout`). Beyond it: 408. */
  headTimeoutMs: 10_000,
  /** The time from the end of a head to that of its content, extended by the next limit. Beyond it: 408. */
  contentTimeoutMs: 30_000,
  /** Bytes of content that extend the time by one second, so that slow clients can finish but dripping ones cannot. */
  minContentBytesPerSecond: 1024,
  /** The time a client has to read a response, extended by {@linkcode minSendBytesPerSecond}. */
  sendTimeoutMs: 30_000,
  /** Bytes of a response that extend the time by one second as the client reads them. */
  minSendBytesPerSecond: 16 * 1024,
  /** The most bytes passed to the system in one write, which counts as one step. */
  maxWriteBytes: 1024 * 1024,
  /**
   * Bytes of content being received, of responses not yet read, and of replaced rows that only listings hold, on all
   * connections together (`--max-buffered`). Beyond it the slowest listings are ended; without one: 503.
   */
  maxBufferedBytes: 256 * 1024 * 1024,
  /** How long every final response waits at most (`--delay`), those to one connection too many excepted. */
  delayMs: 0,
  /** How much less it may wait, at random. */
  delaySpreadMs: 0,
  /** How long the store may wait for others. As the delay, this is never taken from a client's time. */
  storeMs: 0,
  /** How long the request of a client that has closed its side may take until the first byte of the response. */
  halfClosedMs: 5_000,
  /** How long a client that is read from after its last response, so that no reset destroys it, may be silent. */
  lingerMs: 2_000,
  /** How long it is read from in all. */
  maxLingerMs: 30_000,
  /** During shutdown, how long a connection without a request may still send one. */
  shutdownIdleMs: 250,
  /** During shutdown, how long requests in flight may take. */
  shutdownMs: 4_000,
  /** The interval between checks of the timeouts above. */
  sweepMs: 250,
  /** How often in a row accepting may fail for an unknown reason before each further attempt is delayed. */
  maxAcceptFailures: 100,
  /** The delay after accepting has failed, for example because no file descriptor is free. */
  acceptRetryMs: 100,
  /** The size of a read buffer while a connection is quiet. */
  minReadBytes: 512,
  /** A read of this many bytes makes the connection yield to others. */
  minTurnBytes: 512,
  /** The size of a read buffer once a client fills it. */
  maxReadBytes: 64 * 1024,
  /** Responses to pipelined requests are sent when they reach this size, else all together. */
  maxGatheredBytes: 256 * 1024,
  /** Encoders, and decoders, kept for later connections. */
  maxSpareCodecs: 256,
};

/** Limits on a server's connections and on the duration of each part of an exchange. */
export type ServerLimits = { readonly [Limit in keyof typeof SERVER_LIMITS]: number };

/** Printed messages that may wait for a slow output, in bytes; beyond it messages are omitted and counted. */
export const MAX_UNPRINTED_BYTES: number = 8 * 1024 * 1024;

// The stores

/** Snapshots of different revisions that may be read from SQLite at a time. Beyond it: 503. */
export const MAX_SNAPSHOTS: number = 256;
/** How long the SQLite store waits for another program's lock on its file. */
export const FILE_LOCK_WAIT_MS: number = 5000;
/** How long a request to an etcd cluster is tried before it is answered with 503. */
export const CLUSTER_WAIT_MS: number = 10_000;
/** Bytes of a node's answer without a listing: the rows of one transaction, each as large as nodes usually take. */
export const CLUSTER_ANSWER_BYTES: number = 256 * 1024 * 1024;
/** Bytes of a node's answer with an error. */
export const CLUSTER_ERROR_BYTES: number = 64 * 1024;

// Flags, and the files that they name

/** Lines in the prompt's history. */
export const MAX_HISTORY_LINES: number = 1000;
/** Content that is sent from a file, and the largest `--max-body`: one string is limited to 2^29 characters. */
export const LARGEST_BODY_BYTES: number = 511 * 1024 * 1024;
/** How long `connect` waits for a server (`--timeout`). */
export const CLIENT_TIMEOUT_MS: number = 30_000;
/** Tokens in the file of `--token-file`. */
export const MAX_TOKENS: number = 100;
/** A file named by a flag, in bytes: certificates, keys, tokens, typed lines (`connect --history`). */
export const MAX_FLAG_FILE_BYTES: number = 1024 * 1024;

// A client

/** Characters in one line of piped input to `connect`. */
export const MAX_LINE_CHARACTERS: number = 1024 * 1024;
/** Lines of a pasted command of curl. */
export const MAX_CURL_LINES: number = 1000;
/** A problem document that `connect` holds until it knows whether rows are sent in pieces instead. */
export const MAX_PROBLEM_OCTETS: number = 64 * 1024;
/** Characters of a server's reason that `connect` shows; a longer one is not shown. */
export const MAX_DETAIL_CHARACTERS: number = 300;
/** JSON that `connect` holds to indent it, in octets; the rest is shown as received. */
export const MAX_HELD_CONTENT_OCTETS: number = 1024 * 1024;
/** Characters of indented JSON; JSON that would become longer is shown as received. */
export const MAX_INDENTED_CHARACTERS: number = 16 * 1024 * 1024;
/** Content that `connect` decodes from its codings for display, in bytes after decoding. */
export const MAX_DECODED_SHOWN_BYTES: number = 10 * 1024 * 1024;
/** Content codings, applied one after another, that `connect` decodes. */
export const MAX_CODINGS: number = 4;
/** Names of rows offered by Tab. */
export const MAX_SEEN_NAMES: number = 1000;
/** Characters that may be typed or pasted ahead of the prompt. */
export const MAX_TYPED_AHEAD_CHARACTERS: number = 4 * 1024 * 1024;
/** Octets that `connect` shows of a response that is not HTTP. */
export const MAX_SHOWN_INVALID_OCTETS: number = 1000;
/** Octets that the steps of one `raw` send. */
export const MAX_RAW_OCTETS: number = 16 * 1024 * 1024;
/** Steps of one `raw`. */
export const MAX_RAW_STEPS: number = 1000;
/** The longest pause of `raw`. */
export const MAX_RAW_WAIT_MS: number = 600_000;
/** Reads and writes of one raw exchange that are shown; more are counted. */
export const SHOWN_RAW_EVENTS: number = 1000;
/** Octets of one of them that are shown. */
export const SHOWN_RAW_OCTETS: number = 1024;
/** Octets of each content that `relay` prints; the rest is counted. */
export const SHOWN_RELAYED_OCTETS: number = 16 * 1024;

// Explanations

/** Bytes that `explain` reads from a file per read. */
export const EXPLAIN_READ_BYTES: number = 64 * 1024;
/** Columns of text that is not written to a terminal. */
export const FALLBACK_COLUMNS: number = 80;
/** Lines of a list of exchanges that wait for the end of one before them. */
export const MAX_LISTED_LINES: number = 100_000;
/** Characters of a method and target in such a line. */
export const LISTED_CHARACTERS: number = 160;
/** Numbers of connections that a line names; more are counted. */
export const SHOWN_NUMBERS: number = 10;
/** Entity tags of a connection that are remembered for what a 304 says of them. */
export const MAX_KNOWN_TAGS: number = 1000;
/** Requests of a file that may wait for their responses, where those follow in turn. */
export const MAX_WAITING_IN_TURN: number = 1000;
/** Octets of one message's content that `explain` shows, unless `--all` is given. */
export const SHOWN_CONTENT_OCTETS: number = 4096;
/** Chunks of one message that `explain` shows in rows of their own, unless `--all` is given. */
export const SHOWN_CHUNKS: number = 200;
/** Lines of one row's content in `explain`, unless `--all` is given. */
export const SHOWN_CONTENT_LINES: number = 16;
/** Octets shown on each side of an error in a long line. */
export const SHOWN_FAULT_OCTETS: number = 30;
/** Octets kept of those that are not read: after an error, or until an answer says what they are. */
export const UNREAD_KEPT_OCTETS: number = 64 * 1024;
/** Octets of a start line that is searched for where the start of a connection was not captured. */
export const MAX_SEARCHED_LINE_OCTETS: number = 9 * 1024;
/** Octets of one message's content that `explain --all` shows of a file with messages. */
export const MAX_SHOWN_CONTENT_OCTETS: number = 32 * 1024 * 1024;
/** Chunks of it that have rows of their own. */
export const MAX_SHOWN_CHUNKS: number = 100_000;
/** Packets or reads of one message that `explain` lists, unless `--all` is given. */
export const SHOWN_ORIGINS: number = 8;
/** Packets or reads of one message that `explain --all` lists. */
export const KEPT_ORIGINS: number = 10_000;

// Captures and recordings

/** Bytes of a recording that may wait for the disk; packets beyond that are left out. */
export const RECORD_WAITING_BYTES: number = 16 * 1024 * 1024;
/** Octets of one packet of a capture, as in Wireshark. A larger packet is left out. */
export const MAX_CAPTURED_PACKET_OCTETS: number = 256 * 1024;
/** Interfaces in one section of a capture. */
export const MAX_CAPTURE_INTERFACES: number = 1000;
/** Connections of a capture that are remembered though they have ended or have no octets: others do not count. */
export const MAX_QUIET_CONNECTIONS: number = 32_768;
/** Bytes of a capture that may wait for earlier ones, all connections together. Beyond it they are given up. */
export const MAX_REASSEMBLED_BYTES: number = 32 * 1024 * 1024;
/** Bytes of one direction of a connection that may wait, as in the largest window that a system usually has. */
export const MAX_REASSEMBLED_DIRECTION_BYTES: number = 8 * 1024 * 1024;
/** Bytes and characters that `explain` holds of connections of a capture that wait for those before them. */
export const MAX_EXPLAINED_BYTES: number = 32 * 1024 * 1024;
/** Octets of one message's content that `explain --all` shows of a capture. */
export const MAX_EXPLAINED_CONTENT_OCTETS: number = 1024 * 1024;
/** Chunks of one message that `explain --all` shows of a capture, each in a row of its own. */
export const MAX_EXPLAINED_CHUNKS: number = 10_000;
/** Octets of each answer's content that a replay keeps, to show where it differs from the recorded one. */
export const REPLAY_KEPT_CONTENT_OCTETS: number = 16 * 1024;
/** Entity tags for which a replay remembers the recorded one. */
export const REPLAY_KEPT_TAGS: number = 1000;
/** Connections of a recording that are replayed; of one with more, `--connection` picks one. */
export const MAX_REPLAYED_CONNECTIONS: number = 100_000;

// The page

/** Events of traffic that the page keeps, unless a flag (`--page-history`) says otherwise. */
export const PAGE_HISTORY_EVENTS: number = 10_000;
/** Bytes that the page keeps with them, and characters of exchanges and rows. */
export const PAGE_HISTORY_BYTES: number = 16 * 1024 * 1024;
/** Events that the page takes in a second; of more it counts those of whole connections that it leaves out. */
export const PAGE_EVENTS_PER_SECOND: number = 2000;
/** Octets that the page takes in a second, likewise. */
export const PAGE_BYTES_PER_SECOND: number = 1024 * 1024;
/** Bytes of content, or of a row, that the page parses: in one call, so that other clients do not notice. */
export const PAGE_CONTENT_BYTES: number = 32 * 1024;
/** Bytes of a table that the page shows; of a larger one it shows those rows that were touched last. */
export const PAGE_TABLE_BYTES: number = 8 * 1024 * 1024;
/** Rows of a table that the page shows; of a larger one it shows those that were touched last. */
export const PAGE_ROWS: number = 500;
/** Characters of a member's name, and of its value, that the page shows. */
export const PAGE_VALUE_CHARACTERS: number = 1024;
/** Characters of a row that the page shows, names included. */
export const PAGE_ROW_CHARACTERS: number = 4096;
/** Members of a row that the page shows. */
export const PAGE_ROW_MEMBERS: number = 50;
/** Octets of one message that the page labels and shows. */
export const PAGE_MESSAGE_OCTETS: number = 256 * 1024;
/** Pages that may follow at a time: with six streams a browser could send no command. */
export const PAGE_VIEWERS: number = 4;
/** Characters of a text that a page looks for. */
export const PAGE_FIND_CHARACTERS: number = 200;
/** Octets of a command from the page, which is parsed in one call. Steps of `raw` may repeat a string. */
export const PAGE_COMMAND_OCTETS: number = 64 * 1024;
