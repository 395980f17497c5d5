/** Merge patches (RFC 7396) of text: what a patch does not name is copied unseen, so a small patch costs little. */

import { Buffer } from "node:buffer";
import { ByteBuffer, octetString } from "../bytes.ts";
import { JsonScanner } from "../json.ts";
import { canonicalString } from "./row_text.ts";

const OPEN_BRACE = 0x7b;
const NULL = 0x6e;

const ENCODER = new TextEncoder();
const EMPTY_OBJECT = ENCODER.encode("{}");
const [OPEN, COMMA, CLOSE, COLON] = ["{", ",", "}", ":"].map((mark) => ENCODER.encode(mark));

/**
 * Applies a merge patch to what is stored: null removes a member, an object is merged, another value replaces (RFC 7396
 * §2). A target that is no object is replaced.
 */
export function* mergePatch(target: Uint8Array, patch: Uint8Array): Generator<number, Uint8Array> {
  if (patch[0] !== OPEN_BRACE) return patch;
  const changes = new Map<string, Uint8Array>();
  for (const sent = new JsonScanner(patch); yield* nextMember(sent);) {
    changes.set(octetString(patch, sent.nameStart, sent.nameEnd), patch.subarray(sent.valueStart, sent.valueEnd));
  }
  const merged = new ByteBuffer(target.length + patch.length);
  const add = (...parts: Uint8Array[]) => {
    merged.append(merged.length === 0 ? OPEN : COMMA);
    for (const part of parts) merged.append(part);
  };
  const old = target[0] === OPEN_BRACE ? target : EMPTY_OBJECT;
  for (const kept = new JsonScanner(old); yield* nextMember(kept);) {
    const { nameStart, nameEnd, valueStart, valueEnd } = kept;
    const key = keyOf(octetString(old, nameStart, nameEnd));
    const change = changes.get(key);
    changes.delete(key);
    if (change === undefined) add(old.subarray(nameStart, valueEnd));
    else if (change[0] !== NULL) {
      add(old.subarray(nameStart, nameEnd), COLON, yield* mergePatch(old.subarray(valueStart, valueEnd), change));
    }
  }
  for (const [key, change] of changes) {
    if (change[0] !== NULL) add(Buffer.from(key, "latin1"), COLON, yield* mergePatch(EMPTY_OBJECT, change));
  }
  if (merged.length === 0) return EMPTY_OBJECT;
  merged.append(CLOSE);
  return merged.view();
}

function* nextMember(scanner: JsonScanner): Generator<number, boolean> {
  const scanned = yield* scanner.steps();
  if (scanned === "error") throw new TypeError("The row in the store is not JSON");
  return scanned === "member";
}

/** Returns a name as a patch has it. Another program may have written it with other escapes. */
function keyOf(name: string): string {
  return name.includes("\\") ? octetString(ENCODER.encode(canonicalString(Buffer.from(name, "latin1")))) : name;
}
