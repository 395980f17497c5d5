/**
 * Remembers the entity tags of a connection's responses, to say which one a 304 (Not Modified) is about.
 *
 * @module
 */

import type { RequestHead, ResponseHead } from "../http_message.ts";
import { MAX_KNOWN_TAGS } from "../limits.ts";
import type { Finding } from "./explanation.ts";
import type { Exchange } from "./messages.ts";
import { readable } from "./octet_text.ts";

/** An entity tag without its mark of weakness: conditions compare it so (RFC 9110 §8.8.3.2). */
const OPAQUE = /"[^"]*"/g;

/** The entity tags that were seen on a connection. */
export class KnownTags {
  /** The number of the exchange whose response had a tag last, by the tag and the target that it is of. */
  readonly #numbers = new Map<string, number>();

  /** Receives the head of a response. Returns what a 304 says of an earlier one. */
  finding({ request, number }: Exchange, { status, fields }: ResponseHead): Finding | undefined {
    const asked = request?.head;
    if (asked === undefined || asked.method === "POST") return undefined;
    const tags = fields.get("etag")?.match(OPAQUE) ?? undefined;
    if (status === 304) return this.#held(tags ?? asked.fields.get("if-none-match")?.match(OPAQUE) ?? [], asked);
    if (tags === undefined || status < 200 || status > 299) return undefined;
    const key = keyOf(tags[0], asked);
    this.#numbers.delete(key);
    this.#numbers.set(key, number);
    if (this.#numbers.size > MAX_KNOWN_TAGS) this.#numbers.delete(this.#numbers.keys().next().value!);
  }

  #held(tags: readonly string[], asked: RequestHead): Finding | undefined {
    for (const tag of tags) {
      const number = this.#numbers.get(keyOf(tag, asked));
      if (number === undefined) continue;
      return { text: `the tag ${readable(tag)} of response ${number} still holds`, rule: "RFC 9110 §15.4.5" };
    }
  }
}

function keyOf(tag: string, { authority, target }: RequestHead): string {
  return `${tag} ${authority ?? ""} ${target}`;
}
