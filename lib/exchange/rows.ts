/**
 * Divides a message's head into labelled rows.
 *
 * The decoder has accepted these octets, so nothing is checked again.
 *
 * @module
 */

import type { Part, Row } from "./explanation.ts";
import { readable } from "./octet_text.ts";
import { MEMBER, spelling, valueParts } from "./values.ts";
import { FIELD_MEANINGS, type Meaning, METHOD_MEANINGS, STATUS_CLASSES, STATUS_MEANINGS } from "./words.ts";

const EXTENSION_METHOD: Meaning = ["an extension", "RFC 9110 §9.1"];
const EXTENSION_FIELD: Meaning = ["an extension field", "RFC 9110 §16.3"];
const LINE_END = "\r\n";

/** Divides a complete start line. */
export function startLineRows(rows: Row[], line: string, start: number, isRequest: boolean): void {
  const first = line.indexOf(" ") + 1;
  const space = line.indexOf(" ", first);
  // A status line may end after its code.
  const second = space < 0 ? line.length - LINE_END.length : space + 1;
  const add = (from: number, to: number, label: string, rule: string, parts?: readonly Part[]) => {
    if (from === to) return;
    const octets = line.substring(from, to);
    rows.push({ start: start + from, end: start + to, kind: "start", octets, label, rule, parts });
  };
  if (isRequest) {
    const method = line.substring(0, first - 1);
    const [meaning, rule] = METHOD_MEANINGS[method] ?? EXTENSION_METHOD;
    add(0, first, `method: ${meaning}`, rule);
    const target = line.substring(first, second - 1);
    const parts = targetParts(target, start + first, second - first);
    const [form, section] = targetForm(method, target);
    add(first, second, `target, ${form} form`, section, parts);
    add(second, line.length, "version, line end", "RFC 9112 §2.3");
  } else {
    const status = Number(line.substring(first, first + 3));
    const [meaning, rule] = STATUS_MEANINGS[status] ?? STATUS_CLASSES[Math.trunc(status / 100)] ?? STATUS_CLASSES[0];
    add(0, first, "version", "RFC 9112 §2.3");
    add(first, second, `status: ${meaning}`, rule);
    const reason = line.length - second > LINE_END.length;
    add(second, line.length, reason ? "reason phrase, line end" : "no reason phrase, line end", "RFC 9112 §4");
  }
}

function targetForm(method: string, target: string): Meaning {
  if (method === "CONNECT") return ["authority", "RFC 9112 §3.2.3"];
  if (target.startsWith("/")) return ["origin", "RFC 9112 §3.2"];
  return target === "*" ? ["asterisk", "RFC 9112 §3.2.4"] : ["absolute", "RFC 9112 §3.2.2"];
}

/**
 * Returns authority, path and query parameters of a target, with what they spell; `undefined` if it is only a path that
 * is not percent-encoded.
 */
function targetParts(target: string, start: number, length: number): Part[] | undefined {
  const query = target.indexOf("?");
  const scheme = target.startsWith("/") ? 0 : target.indexOf("//") + 2;
  if (query < 0 && (scheme === 0 || !target.includes("://"))) {
    const label = spelling(target);
    return label === undefined ? undefined : [{ start, end: start + length, label }];
  }
  const spelt = (label: string, text: string) => [label, spelling(text) ?? []].flat().join("; ");
  const mark = query < 0 ? target.length : query;
  const path = scheme === 0 ? 0 : target.indexOf("/", scheme);
  const parts: Part[] = [];
  const hasPath = path >= 0 && path < mark;
  if (scheme > 0) parts.push({ start, end: start + (hasPath ? path : mark), label: "scheme and authority" });
  if (hasPath) {
    parts.push({ start: start + path, end: start + mark, label: spelt("path", target.substring(path, mark)) });
  }
  for (let at = mark; at < target.length;) {
    const next = target.indexOf("&", at + 1);
    const end = next < 0 ? target.length : next;
    const name = target.substring(at + 1, end).split("=", 1)[0];
    parts.push({
      start: start + at,
      end: start + end,
      label: name === "" ? "empty query" : spelt(`query parameter ${readable(name)}`, target.substring(at, end)),
    });
    at = end;
  }
  // The space after the target belongs to its last part.
  parts.push({ ...parts.pop()!, end: start + length });
  return parts;
}

/** Returns the row of a field line: the meaning of its name, and the parts of its value. */
export function fieldRow(line: string, start: number): Row {
  const colon = line.indexOf(":");
  const meaning = FIELD_MEANINGS.get(line.substring(0, colon).toLowerCase());
  const end = start + line.length;
  if (/^[ \t]/.test(line)) {
    return {
      start,
      end,
      kind: "field",
      octets: line,
      label: "continues the field, as one space",
      rule: "RFC 9112 §5.2",
    };
  }
  if (meaning === undefined) {
    const [label, rule] = EXTENSION_FIELD;
    return { start, end, kind: "field", octets: line, label, rule };
  }
  const [label, rule, kind, member = MEMBER] = meaning;
  if (kind === undefined) return { start, end, kind: "field", octets: line, label, rule };
  const valueStart = colon + 1 + /^[ \t]*/.exec(line.substring(colon + 1))![0].length;
  const values = valueParts(
    kind,
    line.substring(valueStart, line.length - LINE_END.length),
    start + valueStart,
    member,
  );
  if (values.length < 2 && (kind !== "uri" || values.length === 0)) {
    const more = values.length === 1 && values[0].label !== "" && values[0].label !== member
      ? `; ${values[0].label}`
      : "";
    return { start, end, kind: "field", octets: line, label: label + more, rule };
  }
  const parts = [
    { start, end: start + valueStart, label: "" },
    ...values,
    { start: end - LINE_END.length, end, label: "" },
  ];
  return { start, end, kind: "field", octets: line, label, rule, parts };
}

/** Divides the complete lines of a header or trailer section that starts at `from`. Returns where it stopped. */
export function sectionRows(rows: Row[], text: string, from: number, start: number, endLabel: string): number {
  let at = from;
  for (;;) {
    const end = text.indexOf("\n", at) + 1;
    if (end === 0) return at;
    const line = text.substring(at, end);
    if (line !== LINE_END) {
      const row = fieldRow(line, start + at - from);
      rows.push(endLabel === HEAD_END ? row : { ...row, label: `trailer, ${row.label}` });
    } else {
      const first = start + at - from;
      rows.push({ start: first, end: first + 2, kind: "end", octets: line, label: endLabel, rule: endRule(endLabel) });
      return end;
    }
    at = end;
  }
}

function endRule(label: string): string | undefined {
  return label === NO_TRAILERS ? undefined : label === TRAILERS_END ? "RFC 9112 §7.1.2" : "RFC 9112 §2.1";
}

/** The label of the empty line after a head. */
export const HEAD_END = "the head ends";
/** The label of the empty line after the last chunk. */
export const NO_TRAILERS = "no trailers";
/** The label of the empty line after trailers. */
export const TRAILERS_END = "the trailer section ends";

/** Returns the label of a chunk line. */
export function chunkLabel(line: string, number: number): string {
  const [, digits, rest] = /^([\dA-Fa-f]+)([^]*)\r\n$/.exec(line)!;
  const size = parseInt(digits, 16);
  const extensions = rest.replace(/^[ \t]*;[ \t]*/, "");
  const more = extensions === "" ? "" : `; extension${extensions.includes(";") ? "s" : ""} ${readable(extensions)}`;
  if (size === 0) return `the last chunk${more}`;
  const octets = size === 1 ? "octet" : "octets";
  const words = digits === String(size) ? `${size} ${octets}` : `0x${digits} is ${size} ${octets}`;
  return `chunk ${number}: ${words}${more}`;
}
