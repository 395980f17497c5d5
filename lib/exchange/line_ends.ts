/** Converts the line ends of text, as editors and shells write it, to those of HTTP. */

import { ByteBuffer, octetString } from "../bytes.ts";
import { LF } from "../http_message.ts";

/** The line end of HTTP (RFC 9112 §2.2). */
export const CRLF: Uint8Array = new Uint8Array([13, 10]);

/**
 * Returns requests with CR LF for each bare LF of heads, chunk lines and trailer sections; content stays as it is.
 *
 * The requests may be broken in other ways, because they may be meant to be sent so: their framing is read leniently, by
 * the first rule of RFC 9112 §6.3 that applies.
 */
export function withLineEnds(octets: Uint8Array): Uint8Array {
  const converted = new ByteBuffer(octets.length);
  let at = 0;
  const takeContent = (length: number) => {
    converted.append(octets.subarray(at, at + length));
    at += length;
  };
  const takeLine = () => {
    const lf = octets.indexOf(LF, at);
    const line = octetString(octets, at, lf < 0 ? octets.length : lf).replace(/\r$/, "");
    if (lf < 0) takeContent(Infinity);
    else {
      takeContent(line.length);
      converted.append(CRLF);
      at = lf + 1;
    }
    return line;
  };
  const takeSize = () => {
    const size = parseInt(takeLine(), 16);
    // Without a valid size, the content has no end.
    return size >= 0 ? size : Infinity;
  };
  while (at < octets.length) {
    // Empty lines before a request are ignored (RFC 9112 §2.2).
    if (takeLine() === "") continue;
    let length = 0;
    let chunked = false;
    for (let field = takeLine(); field !== ""; field = takeLine()) {
      const [, name, value] = /^([^:]*?)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(field.toLowerCase()) ?? [];
      if (name === "content-length") length = Number(/^\d+/.exec(value)?.[0] ?? 0);
      if (name === "transfer-encoding") chunked = /(?:^|[, \t])chunked$/.test(value);
    }
    if (chunked) {
      for (let size = takeSize(); size > 0 && at < octets.length; size = takeSize()) {
        takeContent(size);
        takeLine();
      }
      while (takeLine() !== "");
    } else takeContent(length);
  }
  return converted.view();
}
