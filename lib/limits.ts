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

/** A row's name, in bytes of UTF-8. */
export const MAX_NAME_BYTES: number = 256;
/** Fields that `--fields` may name. */
export const MAX_ROW_FIELDS: number = 64;
/** The length of a field's name in `--fields`, in characters. */
export const MAX_ROW_FIELD_CHARACTERS: number = 64;
/** Objects and arrays inside one another in a row, itself included. */
export const MAX_JSON_DEPTH: number = 64;
/** Members and elements in a row, those of objects and arrays inside it included. */
export const MAX_ROW_MEMBERS: number = 100_000;
/** Content up to this size is read in one go; of more, this much at a time, so that other clients have their turns. */
export const JSON_PIECE_BYTES: number = 64 * 1024;
/** Entries of `errors` in one problem document. */
export const MAX_PROBLEM_ERRORS: number = 100;
/** How often a conditional write is tried again when other clients write the same row in between. */
export const MAX_WRITE_ATTEMPTS: number = 1000;
/** Members of an If-Match or If-None-Match list. */
export const MAX_ENTITY_TAGS: number = 100;
/** Parameters in the query of a listing. */
export const MAX_QUERY_PARAMETERS: number = 64;
/** Rows on one page of a listing (`_per_page`). */
export const MAX_ROWS_PER_PAGE: number = 10_000;
/** Characters of a text up to which a query takes it for a number; a longer one compares as a text. */
export const MAX_COMPARED_DIGITS: number = 400;
/** Characters of a text up to which the engine's own search looks for it; for a longer one that can take too long. */
export const MAX_NATIVE_NEEDLE_CHARACTERS: number = 256;
/** Fields that one listing may be sorted by. */
export const MAX_SORT_KEYS: number = 8;
/**
 * Characters of rows that a sorted listing may keep: of all that match, or of all up to the end of the page asked for.
 */
export const MAX_SORTED_CHARACTERS: number = 16 * 1024 * 1024;
/** Sorted listings that are made at a time, each within twice the limit above; more wait. */
export const MAX_SORTS: number = 4;
/** Characters of sorted listings that are held while they are sent, of all together. Beyond it: 503. */
export const MAX_SENT_SORTED_CHARACTERS: number = 128 * 1024 * 1024;
/** What a row counts for toward that beside its own characters: its place in memory, and in each key. */
export const SORTED_ROW_CHARACTERS: number = 64;
/** Rows that a sorted listing may gather beyond twice those it keeps, before it sorts and lets go of the rest. */
export const MAX_SORT_SLACK_ROWS: number = 1000;
/**
 * Characters of rows up to which a filtered or sorted listing is held and sent whole; a longer one is streamed in such
 * pieces.
 */
export const MAX_HELD_LISTING_CHARACTERS: number = 64 * 1024;
/** Bytes of rows that are read at a time from the store in memory, give or take one row. */
export const MEMORY_PAGE_BYTES: number = 64 * 1024;

/** Work for one request between two looks at the clock, in characters read or what takes as long. */
export const MAX_WORK_BETWEEN_TURNS: number = 16 * 1024;

/** Caps on a server's connections and on the time each part of an exchange may take. */
export interface ServerLimits {
  /** Connections at a time (`--max-connections`). One more is answered with 503 and closed. */
  readonly maxConnections: number;
  /** Connections at a time that are being refused, beyond those above; one more is closed without an answer. */
  readonly maxRefusedConnections: number;
  /** A connection without a request is closed after this long (`--idle-timeout`). */
  readonly idleTimeoutMs: number;
  /** A head must be complete this long after its first byte (`--head-timeout`). Beyond it: 408. */
  readonly headTimeoutMs: number;
  /**
   * Content must be complete this long after its head, with the time that {@linkcode minContentBytesPerSecond} adds.
   * Beyond it: 408.
   */
  readonly contentTimeoutMs: number;
  /** Bytes of content that buy another second, so that slow clients finish and dripping ones do not. */
  readonly minContentBytesPerSecond: number;
  /** How long a client may take to read a response, with the time that {@linkcode minSendBytesPerSecond} adds. */
  readonly sendTimeoutMs: number;
  /** Bytes of a response that buy the client that takes them another second. */
  readonly minSendBytesPerSecond: number;
  /** Bytes that are handed to the system in one write, and so count as one step. */
  readonly maxWriteBytes: number;
  /**
   * Bytes of content being received and of responses not yet taken, on all connections together (`--max-buffered`).
   * Beyond it: 503.
   */
  readonly maxBufferedBytes: number;
  /** How long a request of a client that has ended its side may go on before the first byte of its response. */
  readonly halfClosedMs: number;
  /**
   * After the last answer, how long the client's remaining bytes are read and ignored, so that no reset destroys it.
   */
  readonly lingerMs: number;
  /** When shutting down, how long a connection without a request may still bring one. */
  readonly shutdownIdleMs: number;
  /** When shutting down, how long requests in flight may take. */
  readonly shutdownMs: number;
  /** How often the timeouts above are looked at, all in one sweep. */
  readonly sweepMs: number;
  /** After accepting failed (no file descriptor is free), how long until it is tried again. */
  readonly acceptRetryMs: number;
  /** A read buffer's size while a connection is quiet. */
  readonly minReadBytes: number;
  /** Others may have their turn after a read that brought so much. */
  readonly minTurnBytes: number;
  /** A read buffer's size once a client fills it. */
  readonly maxReadBytes: number;
  /** Answers to pipelined requests are sent once they are this large, else all together. */
  readonly maxGatheredBytes: number;
  /** Encoders, and decoders, that are kept for connections to come. */
  readonly maxSpareCodecs: number;
}

/** What `serve` does unless flags say otherwise. */
export const SERVER_LIMITS: ServerLimits = {
  maxConnections: 16_384,
  maxRefusedConnections: 128,
  idleTimeoutMs: 600_000,
  headTimeoutMs: 10_000,
  contentTimeoutMs: 30_000,
  minContentBytesPerSecond: 1024,
  sendTimeoutMs: 30_000,
  minSendBytesPerSecond: 16 * 1024,
  maxWriteBytes: 1024 * 1024,
  maxBufferedBytes: 256 * 1024 * 1024,
  halfClosedMs: 5_000,
  lingerMs: 2_000,
  shutdownIdleMs: 250,
  shutdownMs: 4_000,
  sweepMs: 250,
  acceptRetryMs: 100,
  minReadBytes: 512,
  minTurnBytes: 512,
  maxReadBytes: 64 * 1024,
  maxGatheredBytes: 256 * 1024,
  maxSpareCodecs: 256,
};

/** How long clients that always have more to send or to take are served before all others have their turn. */
export const MAX_TURN_MS: number = 10;

/** Bytes of printed messages that may wait for a slow output; beyond it messages are left out, and counted. */
export const MAX_UNPRINTED_BYTES: number = 8 * 1024 * 1024;
/** How long printed messages are gathered before they are written, all at once. */
export const PRINT_DELAY_MS: number = 10;
/** How long to wait before printing is tried again after it has failed, as on a full disk. */
export const PRINT_RETRY_MS: number = 1000;

/** Characters in one line of piped input to `connect`. */
export const MAX_LINE_CHARACTERS: number = 1024 * 1024;
/** Bytes of output that `connect` gathers before it waits for them to be written. */
export const GATHERED_OUTPUT_BYTES: number = 64 * 1024;
/** Bytes of JSON that `connect` holds to show it indented; more is shown as it comes. */
export const MAX_HELD_CONTENT_BYTES: number = 1024 * 1024;
/** How long it holds them. */
export const MAX_HELD_CONTENT_MS: number = 1000;
/** Bytes of content by which it is told whether that is text. */
export const SNIFFED_CONTENT_BYTES: number = 1024;
/** Bytes of content with a coding that are held and decoded to be shown, before and after decoding. */
export const MAX_DECODED_SHOWN_BYTES: number = 10 * 1024 * 1024;
/** Names of rows that Tab completes. */
export const MAX_SEEN_NAMES: number = 1000;
/** Bytes of a file, or of the standard input, that a command may send. */
export const MAX_SENT_FILE_BYTES: number = 511 * 1024 * 1024;
/** Characters that may be typed, or pasted, before they are asked for. */
export const MAX_TYPED_AHEAD_CHARACTERS: number = 4 * 1024 * 1024;
/** Lines that the prompt remembers. */
export const MAX_HISTORY_LINES: number = 1000;
/** Bytes that `connect` shows of what is no response. */
export const MAX_SHOWN_INVALID_BYTES: number = 1000;
/** Interim responses (1xx) to one request that `connect` takes. */
export const MAX_INTERIM_RESPONSES: number = 100;
/** The most that `--max-body` allows: content is read as one string, and those have fewer than 2^29 characters. */
export const MAX_BODY_FLAG_BYTES: number = 511 * 1024 * 1024;
/** How long `connect` waits for a server, unless a flag (`--timeout`) says otherwise. */
export const CLIENT_TIMEOUT_MS: number = 30_000;
/** How long `serve` does not report a problem again that lasts. */
export const REPORT_AGAIN_MS: number = 10_000;
/** Bytes in a file that a flag names: certificates, keys, tokens. */
export const MAX_FLAG_FILE_BYTES: number = 1024 * 1024;

/** Octets that `explain` reads from a file at a time. */
export const EXPLAIN_READ_BYTES: number = 64 * 1024;
/** Columns of text that does not go to a terminal. */
export const FALLBACK_COLUMNS: number = 80;
/** Octets of the last exchange that are kept as they are until somebody asks what they mean. */
export const KEPT_EXCHANGE_BYTES: number = 64 * 1024;
/** Octets of one message's content that `explain` keeps to show, unless `--all` is given. */
export const SHOWN_CONTENT_BYTES: number = 4096;
/** Chunks of one message that have rows of their own in `explain`, unless `--all` is given. */
export const SHOWN_CHUNKS: number = 200;
/** Lines of one row's content in `explain`, unless `--all` is given. */
export const SHOWN_CONTENT_LINES: number = 16;
/** Octets shown on each side of a fault in a long line. */
export const SHOWN_FAULT_OCTETS: number = 30;
/** Octets behind a fault that are kept to find out what lenient receivers would take them for. */
export const UNREAD_KEPT_BYTES: number = 64 * 1024;

/** Writes that one transaction of the SQLite store holds; more wait for the next. */
export const MAX_BATCH_WRITES: number = 10_000;
/** Characters of rows that one transaction of the SQLite store holds, give or take one write. */
export const MAX_BATCH_CHARACTERS: number = 16 * 1024 * 1024;
/** Writes that may wait for the SQLite store; one more is refused with 503. */
export const MAX_WAITING_WRITES: number = 100_000;
/** Rows that are read at a time from the SQLite store, at most. */
export const SQLITE_PAGE_ROWS: number = 1000;
/** Bytes of rows that are read at a time from the SQLite store, give or take one row. */
export const SQLITE_PAGE_BYTES: number = 1024 * 1024;
/** Snapshots of different revisions that may be read at a time from SQLite; one more is refused with 503. */
export const MAX_SNAPSHOTS: number = 256;
/** Bytes of the SQLite store's log (WAL) that stay when it has been longer. */
export const MAX_KEPT_LOG_BYTES: number = 16 * 1024 * 1024;
/** Bytes of that log beyond which no snapshot starts until it is short again. */
export const MAX_LOG_BYTES: number = 64 * 1024 * 1024;
/** How long snapshots that keep the log from getting short may still be read then. */
export const SNAPSHOT_GRACE_MS: number = 5_000;
/** How often it is looked whether the SQLite file is still the one that is open, while nothing is written. */
export const FILE_CHECK_MS: number = 1_000;
/** Rows that are handed to the thread that writes at a time; others have their turn in between. */
export const SQLITE_PIECE_ROWS: number = 500;
/** Connections to the SQLite file that are kept for the next snapshots. */
export const MAX_KEPT_READERS: number = 4;
/** How long the SQLite store waits for another program's lock on its file. */
export const FILE_LOCK_WAIT_MS: number = 5000;

/** How long one node of an etcd cluster may take for one request, before the next node is asked. */
export const CLUSTER_TRY_MS: number = 2_000;
/** How long it may take for a page of a listing. */
export const CLUSTER_PAGE_TRY_MS: number = 10_000;
/** How long a request to an etcd cluster is tried before it is answered with 503. */
export const CLUSTER_WAIT_MS: number = 10_000;
/** How long to wait after every node has failed once. */
export const CLUSTER_ROUND_MS: number = 100;
/** How often a cluster that does not answer is asked whether it is there again. */
export const CLUSTER_PROBE_MS: number = 500;
/** How often, where it has refused the user: each time costs it a slow hash. */
export const CLUSTER_DENIED_PROBE_MS: number = 5_000;
/** Bytes of a request to a cluster that buy each of the times above another millisecond. */
export const CLUSTER_BYTES_PER_MS: number = 1000;
/** Operations in one etcd transaction, unless the nodes have another `--max-txn-ops`. */
export const CLUSTER_TXN_OPERATIONS: number = 128;
/** Bytes of rows that share one transaction; a single row may have more. The nodes take 1.5 MiB unless told otherwise. */
export const CLUSTER_BATCH_BYTES: number = 1024 * 1024;
/** Transactions that write, and those that read, which are under way at a time. */
export const CLUSTER_LANES: number = 2;
/** Writes that are looked at for one transaction: those to a row that is being written have to wait. */
export const CLUSTER_LOOKED_AT_WRITES: number = 4_000;
/** Bytes of rows that one transaction reads, as far as they can be told from those read before. */
export const CLUSTER_READ_BYTES: number = 8 * 1024 * 1024;
/** Rows on the first page of a listing from a cluster. */
export const CLUSTER_FIRST_PAGE_ROWS: number = 256;
/** How many times as many rows a page may have as the page before it. */
export const CLUSTER_PAGE_GROWTH: number = 4;
/** Rows on a page: each page costs the nodes as much as all rows behind it. */
export const CLUSTER_PAGE_ROWS: number = 10_000;
/** Bytes of rows on a page, give or take one row. */
export const CLUSTER_PAGE_BYTES: number = 1024 * 1024;
/** Bytes that are read of a node's answer with a page; the rest is asked for again. */
export const CLUSTER_PAGE_ANSWER_BYTES: number = 4 * 1024 * 1024;
/** How long a marker of a lane that nobody uses stays in the cluster. */
export const CLUSTER_MARKER_MS: number = 7 * 24 * 60 * 60 * 1000;

/** A read buffer's size where the connection is tapped: what a client sends at once is one read. */
export const TAPPED_READ_BYTES: number = 16 * 1024;

/** Events of traffic that the page keeps, unless a flag (`--page-history`) says otherwise. */
export const PAGE_HISTORY_EVENTS: number = 10_000;
/** Octets that the page keeps with them. */
export const PAGE_HISTORY_BYTES: number = 16 * 1024 * 1024;
/** Events that the page takes in a second; of more it counts those of whole connections that it leaves out. */
export const PAGE_EVENTS_PER_SECOND: number = 2000;
/** Octets that the page takes in a second, likewise. */
export const PAGE_BYTES_PER_SECOND: number = 1024 * 1024;
/** Bytes of content up to which the page follows what it does to the table. */
export const PAGE_CONTENT_BYTES: number = 1024 * 1024;
/** Rows of a table that the page shows; of a larger one it shows those that were touched last. */
export const PAGE_ROWS: number = 500;
/** Characters of a value, and members of a row, that the page shows. */
export const PAGE_VALUE_CHARACTERS: number = 1024;
/** Members of a row that the page shows. */
export const PAGE_ROW_MEMBERS: number = 50;
/** Octets of one message that the page labels and shows. */
export const PAGE_MESSAGE_BYTES: number = 256 * 1024;
/** Pages that may be open at a time: with six streams a browser could send no command. */
export const PAGE_VIEWERS: number = 4;
/** Bytes of events that are sent to a page at a time, give or take one event. */
export const PAGE_PIECE_BYTES: number = 64 * 1024;
/** How long events gather before they are sent to the pages. */
export const PAGE_GATHER_MS: number = 16;
/** How often a quiet stream of events says that it is there. */
export const PAGE_HEARTBEAT_MS: number = 15_000;
/** Octets of a command from the page. */
export const PAGE_COMMAND_BYTES: number = 16 * 1024 * 1024;

/** Bytes of a file with typed lines (`connect --history`). */
export const MAX_HISTORY_BYTES: number = 1024 * 1024;

/** Octets that the steps of one `raw` send. */
export const MAX_RAW_BYTES: number = 16 * 1024 * 1024;
/** Steps of one `raw`. */
export const MAX_RAW_STEPS: number = 1000;
/** The longest pause of `raw`. */
export const MAX_RAW_WAIT_MS: number = 600_000;
/** How long `raw` waits for the server's FIN once all responses are here and the connection ends by the rules. */
export const RAW_END_MS: number = 1_000;
/** Reads and writes of one raw exchange that are shown; more are counted. */
export const SHOWN_RAW_EVENTS: number = 1000;
/** Octets of one of them that are shown. */
export const SHOWN_RAW_OCTETS: number = 1024;

/** Bytes of a recording that may wait for the disk; packets beyond that are left out. */
export const RECORD_WAITING_BYTES: number = 16 * 1024 * 1024;
/** How long packets of a recording gather before they are written. */
export const RECORD_GATHER_MS: number = 200;
