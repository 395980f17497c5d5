/**
 * What an HTTP/1.1 message is once its bytes are understood: heads, content, ends.
 *
 * Strings taken from the wire are *octet strings*: one character (U+0000 to U+00FF) for each octet,
 * so that lengths and offsets count octets and nothing is lost in a character decoding.
 *
 * @module
 */

import type { Fields } from "./fields.ts";
import type { HttpError } from "./error.ts";
import type { FieldLine } from "./grammar.ts";

/** Which kind of message a peer sends: a server decodes requests, a client responses. */
export type MessageKind = "request" | "response";

/** The four forms of a request target (RFC 9112 §3.2). */
export type TargetForm = "origin" | "absolute" | "authority" | "asterisk";

/** A request line and its header section (RFC 9112 §3, §5), with what they say about the rest of the message. */
export interface RequestHead {
  /** Tells the events apart. */
  readonly kind: "request";
  /** The head exactly as received, one character an octet, including the empty line. */
  readonly text: string;
  /** The method as sent; methods are case-sensitive (RFC 9110 §9.1). */
  readonly method: string;
  /** The request target as sent. */
  readonly target: string;
  /** Which of its four forms the target has (RFC 9112 §3.2). */
  readonly form: TargetForm;
  /**
   * Host and port that the request is for: the target's own, else the Host field's (RFC 9112 §3.3); may be empty in
   * HTTP/1.0.
   */
  readonly authority: string;
  /** The target's path, still percent-encoded; empty in authority and asterisk form. */
  readonly path: string;
  /** What follows the target's `?`, still percent-encoded; `undefined` without one. */
  readonly query: string | undefined;
  /** The minor version: 0 or 1; a later HTTP/1.x counts as 1 (RFC 9110 §2.5). */
  readonly minor: 0 | 1;
  /** The header section. */
  readonly fields: Fields;
  /** Whether the connection may carry another message after this one and its answer (RFC 9112 §9.3). */
  readonly persistent: boolean;
  /** Octets of content to come; `undefined` when the chunked coding will tell. */
  readonly contentLength: number | undefined;
}

/** A status line and its header section (RFC 9112 §4, §5), with what they say about the rest of the message. */
export interface ResponseHead {
  /** Tells the events apart. */
  readonly kind: "response";
  /** The head exactly as received, one character an octet, including the empty line. */
  readonly text: string;
  /** The three-digit status code. */
  readonly status: number;
  /** The reason phrase as sent; may be empty. */
  readonly reason: string;
  /** The minor version: 0 or 1; a later HTTP/1.x counts as 1. */
  readonly minor: 0 | 1;
  /** The header section. */
  readonly fields: Fields;
  /** Whether the connection may carry another message after this one (RFC 9112 §9.3). */
  readonly persistent: boolean;
  /** Octets of content to come; `undefined` when the chunked coding or the connection's end will tell. */
  readonly contentLength: number | undefined;
}

/** A piece of content, in order, the transfer coding removed. */
export interface ContentPiece {
  /** Tells the events apart. */
  readonly kind: "content";
  /** The piece; a view of the decoder's input, valid until it is given more. */
  readonly bytes: Uint8Array;
}

/** The message is complete. */
export interface MessageEnd {
  /** Tells the events apart. */
  readonly kind: "end";
  /** The trailer section; empty without the chunked coding. Never merged into the header section (RFC 9110 §6.5.1). */
  readonly trailers: Fields;
}

/** The peer ended the connection between two messages. */
export interface ConnectionEnd {
  /** Tells the events apart. */
  readonly kind: "closed";
}

/** What a decoder finds in the bytes: for each message a head, any pieces of content, and its end. */
export type HttpEvent = RequestHead | ResponseHead | ContentPiece | MessageEnd | ConnectionEnd;

/** A request as a client makes it; the encoder adds what frames the content. */
export interface HttpRequest {
  /** The method, a token. */
  readonly method: string;
  /** The request target, percent-encoded already. */
  readonly target: string;
  /** The header section, without Content-Length and Transfer-Encoding. */
  readonly fields: readonly FieldLine[];
  /** The content; `undefined` for none. */
  readonly content?: Uint8Array;
}

/** Content that is made while it is sent: each piece, text or bytes, is asked for when the one before has left. */
export type ContentStream = AsyncIterable<string | Uint8Array>;

/** A response as a handler makes it; the encoder adds what frames the content, and Connection and Date. */
export interface HttpResponse {
  /** The three-digit status code (RFC 9110 §15). */
  readonly status: number;
  /** The content's media type; left out, there is no Content-Type. */
  readonly contentType?: string;
  /** The version of the representation: sent as the strong entity tag `"N"` (RFC 9110 §8.8.3). At most 2^53 - 1. */
  readonly etag?: number;
  /** The header section, without what the members above and the encoder write. */
  readonly fields?: readonly FieldLine[];
  /**
   * The content: text is sent as UTF-8; a stream is sent chunked, or to an HTTP/1.0 client until the connection's end.
   * Whoever is given a response ends its stream's iterator, read or not.
   */
  readonly content?: string | Uint8Array | ContentStream;
}

/** What a response's bytes depend on besides the response itself. */
export interface ResponseContext {
  /** The request's method: the response to HEAD has GET's header section and no content (RFC 9110 §9.3.2). */
  readonly method: string;
  /** The request's minor version: an HTTP/1.0 client is never sent the chunked coding (RFC 9112 §6.1). */
  readonly minor: 0 | 1;
  /** Whether the connection ends after this response. */
  readonly close: boolean;
  /** The Date field's value (RFC 9110 §6.6.1). */
  readonly date: string;
}

/** The client that a request comes from, as a service sees it. */
export interface Requester {
  /** Aborted once the client has left: what is being made for it is of no use any more. */
  readonly signal: AbortSignal;
  /** Whether the client has ended its side (FIN). It may have left, so its request goes on behind all others. */
  readonly halfClosed: boolean;
}

/** What a server serves: answers to requests, and the words for errors. */
export interface Service {
  /**
   * Refuses a request that is refused whatever its content. It is asked before 100 (Continue) is sent.
   *
   * @throws {HttpError}
   */
  precheck(request: RequestHead): void;
  /**
   * Answers a request.
   *
   * The content's bytes may be used until the response is there.
   *
   * @throws {HttpError} Thrown or rejected with, it is answered by {@linkcode Service.errorResponse}; anything else
   * becomes a 500.
   */
  answer(request: RequestHead, content: Uint8Array, requester: Requester): HttpResponse | Promise<HttpResponse>;
  /** The response to a message that broke a rule, or to a request that could not be answered. */
  errorResponse(error: HttpError): HttpResponse;
}
