/**
 * The parts of an HTTP/1.1 message: heads, content, ends.
 *
 * Strings from the wire are *octet strings*: one character (U+0000 to U+00FF) per octet. Lengths and offsets count
 * octets, and no character decoding loses information.
 */

import type { Fields } from "./fields.ts";
import type { HttpError } from "./error.ts";
import type { FieldLine } from "./grammar.ts";
import { STATUS_END } from "./start_line.ts";

/** The kind of message that a peer sends: a server decodes requests, a client responses. */
export type MessageKind = "request" | "response";

/** A start line and its header section, and what they imply for the rest of the message. */
export interface MessageHead {
  /** The head as received, one character per octet, including the empty line. */
  readonly text: string;
  /** The minor version: 0 or 1; a later HTTP/1.x counts as 1 (RFC 9110 §2.5). */
  readonly minor: 0 | 1;
  /** The header section (RFC 9112 §5). */
  readonly fields: Fields;
  /** Whether the connection persists after this message, and the response to a request (RFC 9112 §9.3). */
  readonly persistent: boolean;
  /** Octets of content that follow; `undefined` with the chunked coding, or if the content ends with the connection. */
  readonly contentLength: number | undefined;
}

/** The head of a request (RFC 9112 §3). */
export type RequestHead = MessageHead & {
  readonly kind: "request";
  /** The method as sent; methods are case-sensitive (RFC 9110 §9.1). */
  readonly method: string;
  /** The request target as sent. */
  readonly target: string;
  /** The host and port of the target, else of the Host field (RFC 9112 §3.3); may be empty in HTTP/1.0. */
  readonly authority: string;
  /** The target's path, still percent-encoded; empty in authority and asterisk form. */
  readonly path: string;
  /** The target's part after `?`, still percent-encoded; `undefined` without a `?`. */
  readonly query: string | undefined;
};

/** The head of a response (RFC 9112 §4). */
export type ResponseHead = MessageHead & {
  readonly kind: "response";
  readonly status: number;
  /** The reason phrase as sent; may be empty. */
  readonly reason: string;
};

/** A piece of content without the transfer coding: a view of the decoder's input, valid until that receives more. */
export type ContentPiece = { readonly kind: "content"; readonly bytes: Uint8Array };

/**
 * The end of a message, with its trailer section: empty without the chunked coding, and never merged into the header
 * section (RFC 9110 §6.5.1).
 */
export type MessageEnd = { readonly kind: "end"; readonly trailers: Fields };

/** The peer closed the connection between two messages. */
export type ConnectionEnd = { readonly kind: "closed" };

/** An event of a decoder: for each message a head, any pieces of content, and the end. */
export type HttpEvent = RequestHead | ResponseHead | ContentPiece | MessageEnd | ConnectionEnd;

/** A request to encode. The encoder adds the fields that frame the content. */
export interface HttpRequest {
  /** The method, a token. */
  readonly method: string;
  /** The request target, already percent-encoded. */
  readonly target: string;
  /** The header section, without Content-Length and Transfer-Encoding. */
  readonly fields: readonly FieldLine[];
  /** The content; `undefined` for none. */
  readonly content?: Uint8Array;
}

/** Content produced while it is sent, as text or octets. The next piece is requested once the previous one was sent. */
export type ContentStream = AsyncIterable<string | Uint8Array>;

/** A response to encode. The encoder adds Connection, Date, and the fields that frame the content. */
export interface HttpResponse {
  /** The three-digit status code (RFC 9110 §15). */
  readonly status: number;
  /** The content's media type; without one, there is no Content-Type. */
  readonly contentType?: string;
  /** The version of the representation: sent as the strong entity tag `"N"` (RFC 9110 §8.8.3). At most 2^53 - 1. */
  readonly etag?: number;
  /** Other fields of the header section. */
  readonly fields?: readonly FieldLine[];
  /**
   * The content: text is sent as UTF-8; a stream is sent chunked, or to an HTTP/1.0 client until the connection's end.
   *
   * The receiver must call the `return()` of a stream's iterator, whether it was read or not.
   */
  readonly content?: string | Uint8Array | ContentStream;
}

/** The properties of a request and its connection that a response depends on. */
export interface ResponseContext {
  /** The request's method: the response to HEAD has the header section of GET and no content (RFC 9110 §9.3.2). */
  readonly method: string;
  /** The request's minor version: the chunked coding is never sent to an HTTP/1.0 client (RFC 9112 §6.1). */
  readonly minor: 0 | 1;
  /** Whether the connection ends after this response. */
  readonly close: boolean;
  /** The Date field's value (RFC 9110 §6.6.1). */
  readonly date: string;
}

/** The client that sent a request, as seen by a service. */
export interface Requester {
  /** The number of its connection, from 1. */
  readonly connection: number;
  /** The number of its request on the connection, from 1. */
  readonly exchange: number;
  /** Aborted once the client has disconnected: its response is no longer needed. */
  readonly signal: AbortSignal;
  /** Closes the connection: the response cannot be continued, because the client reads it too slowly. */
  tooSlow?(): void;
}

/** Answers the requests of a server, and formats its errors. */
export interface Service {
  /** Refuses what is invalid whatever its content is, with an {@linkcode HttpError}: called before 100 (Continue). */
  precheck(request: RequestHead): void;
  /** Answers a request; its content is valid until then. An {@linkcode HttpError} becomes the answer, another a 500. */
  answer(request: RequestHead, content: Uint8Array, requester: Requester): HttpResponse | Promise<HttpResponse>;
  /** Returns the response for an error, an invalid message or a request that failed; by default a problem document. */
  errorResponse?(error: HttpError): HttpResponse;
}

/** What is accepted in a response, though it breaks a rule of this section. */
export type Accepted = { readonly text: string; readonly rule: string };

/** Returns what is accepted in a head, or in a trailer section; nothing in those of a request. */
export function acceptedIn(event: RequestHead | ResponseHead | MessageEnd): Accepted[] {
  const accepted: Accepted[] = [];
  if (event.kind === "response" && event.text[STATUS_END] === "\r") {
    accepted.push({ text: "accepted, though a space is missing after the status code", rule: "RFC 9112 §4" });
  }
  if ((event.kind === "end" ? event.trailers : event.fields).folded) {
    accepted.push({ text: "accepted, though a field is folded over several lines", rule: "RFC 9112 §5.2" });
  }
  return accepted;
}
