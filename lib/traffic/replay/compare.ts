/** Compares an answer with the recorded one. */

import { createHash } from "node:crypto";
import { ByteBuffer, counted, octetString } from "../../bytes.ts";
import type { FieldLine } from "../../http_message.ts";
import { REPLAY_KEPT_CONTENT_OCTETS, REPLAY_KEPT_TAGS, SHOWN_FAULT_OCTETS } from "../../limits.ts";

export interface Interim {
  readonly status: number;
  /** In the recording, whether the client had it before it sent more. */
  awaited: boolean;
}

/** A complete final response, and what came before it. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly FieldLine[];
  /** The content, without its transfer coding. */
  readonly content: ContentPrint;
  readonly trailers: readonly FieldLine[];
  /** Whether the connection stays open by the rules (RFC 9112 §9.3). */
  readonly stays: boolean;
  readonly interims: readonly Interim[];
}

/** Content as its length, its first octets and its digest. Memory does not depend on its length. */
export class ContentPrint {
  length = 0;
  readonly #hash = createHash("sha256");
  readonly #kept = new ByteBuffer(0);

  /** Appends octets, which are copied. */
  add(octets: Uint8Array): void {
    this.length += octets.length;
    this.#hash.update(octets);
    this.#kept.append(octets.subarray(0, REPLAY_KEPT_CONTENT_OCTETS - this.#kept.length));
  }

  /** The first octets, one character each. */
  get start(): string {
    return octetString(this.#kept.view());
  }

  get digest(): string {
    return this.#hash.copy().digest("hex");
  }
}

/** One difference from the recording. The texts have one character per octet, as sent by the server. */
export interface Difference {
  /** What differs: `status`, `field Location`, `content`. */
  readonly what: string;
  readonly recorded: string;
  readonly now: string;
}

/** Fields of the connection, of the server itself, or of the moment: these are no part of the answer. */
const IGNORED = new Set([
  ...["date", "age", "server", "via", "connection", "keep-alive"],
  ...["content-length", "transfer-encoding", "trailer", "te", "upgrade"],
]);
/** Fields whose values no two runs share: only whether they are there is compared. */
const VARYING = new Set(["etag", "last-modified", "expires", "set-cookie"]);
/** The text of what one side does not have. */
export const ABSENT = "none";
const CONTINUE = 100;

/** A tag of fewer characters may occur in content by chance. */
const LEAST_TAG_CHARACTERS = 6;

/** A replay's entity tags, each with the recorded one: each run has others, which content may name, as a 412's does. */
export class EntityTags {
  readonly #recorded = new Map<string, string>();

  learn(recorded: Answer, now: Answer): void {
    const [was, is] = [recorded, now].map(({ fields }) => opaqueTag(fields));
    if (was === undefined || is === undefined) return;
    this.#recorded.delete(is);
    this.#recorded.set(is, was);
    if (this.#recorded.size > REPLAY_KEPT_TAGS) this.#recorded.delete(this.#recorded.keys().next().value!);
  }

  /** Returns content with the recorded tags instead of these. */
  asRecorded(content: string): string {
    if (this.#recorded.size === 0) return content;
    const any = new RegExp([...this.#recorded.keys()].map(RegExp.escape).join("|"), "g");
    return content.replace(any, (tag) => this.#recorded.get(tag)!);
  }
}

/** Returns the text between the quotes of an answer's entity tag (RFC 9110 §8.8.3). */
function opaqueTag(fields: readonly FieldLine[]): string | undefined {
  const value = fields.find(([name]) => name.toLowerCase() === "etag")?.[1] ?? "";
  const tag = /^(?:W\/)?"([^"]*)"$/.exec(value)?.[1];
  return tag !== undefined && tag.length >= LEAST_TAG_CHARACTERS ? tag : undefined;
}

/** Returns what is different between the recorded answer and this one, in the order of a response. */
export function differences(recorded: Answer, now: Answer, tags: EntityTags): Difference[] {
  const texts = (what: string, textOf: (answer: Answer) => string) => {
    return difference(what, textOf(recorded), textOf(now));
  };
  return [
    ...texts("interim responses", ({ interims }) => {
      return interims.map(({ status }) => status).filter((status) => status !== CONTINUE).join(", ") || ABSENT;
    }),
    ...continueDifference(recorded.interims, now.interims),
    ...recorded.status === now.status ? [] : texts("status", statusText),
    ...fieldDifferences("field", recorded.fields, now.fields),
    ...contentDifference(recorded.content, now.content, tags),
    ...fieldDifferences("trailer", recorded.trailers, now.trailers),
    ...texts("connection", ({ stays }) => stays ? "stays open" : "ends"),
  ];
}

function difference(what: string, recorded: string, now: string): Difference[] {
  return recorded === now ? [] : [{ what, recorded, now }];
}

export function statusText({ status, reason }: Pick<Answer, "status" | "reason">): string {
  return reason === "" ? String(status) : `${status} ${reason}`;
}

/** A 100 (Continue) may be left out if content comes first (RFC 9110 §10.1.1): compared only if it was waited for. */
function continueDifference(recorded: readonly Interim[], now: readonly Interim[]): Difference[] {
  const isAwaited = recorded.some(({ status, awaited }) => status === CONTINUE && awaited);
  if (!isAwaited || now.some(({ status }) => status === CONTINUE)) return [];
  return [{ what: "100 (Continue)", recorded: "sent before the content", now: ABSENT }];
}

function fieldDifferences(what: string, recorded: readonly FieldLine[], now: readonly FieldLine[]): Difference[] {
  const [before, after] = [recorded, now].map((lines) => Map.groupBy(lines, ([name]) => name.toLowerCase()));
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    if (IGNORED.has(name) || VARYING.has(name) && was !== undefined && is !== undefined) return [];
    return difference(`${what} ${(was ?? is)!.at(-1)![0]}`, valueOf(was), valueOf(is));
  });
}

/** Joins the lines of a field in order (RFC 9110 §5.3). */
function valueOf(lines: readonly FieldLine[] | undefined): string {
  return lines?.map(([, value]) => value).join(", ") ?? ABSENT;
}

function contentDifference(recorded: ContentPrint, now: ContentPrint, tags: EntityTags): Difference[] {
  if (recorded.length === now.length && recorded.digest === now.digest) return [];
  const [was, is] = [recorded.start, now.start];
  const isWhole = was.length === recorded.length && is.length === now.length;
  if (isWhole && tags.asRecorded(is) === was) return [];
  const most = Math.min(was.length, is.length);
  let at = 0;
  while (at < most && was.charCodeAt(at) === is.charCodeAt(at)) at++;
  const beyond = at === most && most === REPLAY_KEPT_CONTENT_OCTETS;
  const where = beyond ? `, beyond octet ${most}` : at === 0 ? "" : `, from octet ${at} on`;
  return [{ what: `content${where}`, recorded: excerpt(recorded, was, at), now: excerpt(now, is, at) }];
}

/** Returns the octets around the first one that differs, and how many there are in all. */
function excerpt({ length }: ContentPrint, text: string, at: number): string {
  if (length === 0) return ABSENT;
  const from = at <= 2 * SHOWN_FAULT_OCTETS ? 0 : at - SHOWN_FAULT_OCTETS;
  const to = Math.min(text.length, at + 2 * SHOWN_FAULT_OCTETS);
  const octets = counted(length, "octet");
  return `${from > 0 ? "…" : ""}${text.slice(from, to)}${to < length ? "…" : ""} (${octets})`;
}
