/** Divides a message's head, which the decoder has accepted, into labelled rows. */

import { counted } from "../bytes.ts";
import type { OctetKind, OctetRow, Part } from "./explanation.ts";
import { readable } from "./octet_text.ts";
import { MEMBER, spelling, valueParts } from "./values.ts";
import { FIELD_MEANINGS, type FieldMeaning, METHOD_MEANINGS, STATUS_CLASSES, STATUS_MEANINGS } from "./words.ts";

const EXTENSION_METHOD: Meanings = ["an extension", "RFC 9110 §9.1"];
const EXTENSION_FIELD: FieldMeaning = ["an extension field", "RFC 9110 §16.3"];
const LINE_END = "\r\n";
/** What octets mean: their label, the section of the specification, and their parts. */
type Meanings = readonly [label: string, rule?: string, parts?: readonly Part[]];

/** Returns a row of octets that are all here. */
export function octetRow(kind: OctetKind, start: number, octets: string, [label, rule, parts]: Meanings): OctetRow {
  return { start, end: start + octets.length, kind, octets, label, rule, parts };
}

/** Divides a complete start line; a status line may end after its code. */
export function startLineRows(line: string, start: number, isRequest: boolean): OctetRow[] {
  const first = line.indexOf(" ") + 1;
  const space = line.indexOf(" ", first);
  const second = space < 0 ? line.length - LINE_END.length : space + 1;
  const meanings = isRequest
    ? requestMeanings(line.substring(0, first - 1), line.substring(first, second - 1), start + first)
    : statusMeanings(Number(line.substring(first, first + 3)), line.length - second > LINE_END.length);
  const cuts = [0, first, second, line.length];
  const rows: OctetRow[] = [];
  for (let i = 0; i < meanings.length; i++) {
    const octets = line.substring(cuts[i], cuts[i + 1]);
    if (octets !== "") rows.push(octetRow("start", start + cuts[i], octets, meanings[i]));
  }
  return rows;
}

function requestMeanings(method: string, target: string, start: number): Meanings[] {
  const [meaning, rule] = METHOD_MEANINGS[method] ?? EXTENSION_METHOD;
  const [form, section] = targetForm(method, target);
  return [
    [`method: ${meaning}`, rule],
    [`target, ${form} form`, section, targetParts(target, start)],
    ["version, line end", "RFC 9112 §2.3"],
  ];
}

function statusMeanings(status: number, hasReason: boolean): Meanings[] {
  const [meaning, rule] = STATUS_MEANINGS[status] ?? STATUS_CLASSES[Math.trunc(status / 100)] ?? STATUS_CLASSES[0];
  return [
    ["version", "RFC 9112 §2.3"],
    [`status: ${meaning}`, rule],
    [`${hasReason ? "" : "no "}reason phrase, line end`, "RFC 9112 §4"],
  ];
}

function targetForm(method: string, target: string): Meanings {
  if (method === "CONNECT") return ["authority", "RFC 9112 §3.2.3"];
  if (target.startsWith("/")) return ["origin", "RFC 9112 §3.2"];
  return target === "*" ? ["asterisk", "RFC 9112 §3.2.4"] : ["absolute", "RFC 9112 §3.2.2"];
}

/**
 * Returns authority, path and query parameters of a target, with what they spell; `undefined` if it is only a path that
 * is not percent-encoded. The space after the target belongs to its last part.
 */
function targetParts(target: string, start: number): Part[] | undefined {
  const [, origin = "", path, query] = /^((?!\/)(?:[^?]*?\/\/)?[^/?]*)?([^?]*)(.*)$/s.exec(target)!;
  const end = start + target.length + 1;
  if (query === "" && (origin === "" || !target.includes("://"))) {
    const label = spelling(target);
    return label === undefined ? undefined : [{ start, end, label }];
  }
  const parts: Part[] = [];
  let at = start;
  const add = (text: string, label: string, spelt?: string) => {
    if (text === "") return;
    parts.push({ start: at, end: at + text.length, label: spelt === undefined ? label : `${label}; ${spelt}` });
    at += text.length;
  };
  add(origin, "scheme and authority");
  add(path, "path", spelling(path));
  for (const parameter of query.match(/[?&][^&]*/g) ?? []) {
    const [name] = parameter.slice(1).split("=", 1);
    if (name === "") add(parameter, "empty query");
    else add(parameter, `query parameter ${readable(name)}`, spelling(parameter));
  }
  parts.push({ ...parts.pop()!, end });
  return parts;
}

/** Returns the row of a field line: the meaning of its name, and the parts of its value. */
export function fieldRow(line: string, start: number): OctetRow {
  const row = (...meanings: Meanings) => octetRow("field", start, line, meanings);
  if (/^[ \t]/.test(line)) return row("continues the field, as one space", "RFC 9112 §5.2");
  const colon = line.indexOf(":");
  const [label, rule, kind, member = MEMBER] = FIELD_MEANINGS.get(line.substring(0, colon).toLowerCase()) ??
    EXTENSION_FIELD;
  if (kind === undefined) return row(label, rule);
  const valueStart = colon + 1 + /^[ \t]*/.exec(line.substring(colon + 1))![0].length;
  const value = line.substring(valueStart, line.length - LINE_END.length);
  const values = valueParts(kind, value, start + valueStart, member);
  if (values.length > 1 || values.length === 1 && kind === "uri") {
    const end = start + line.length;
    const name = { start, end: start + valueStart, label: "" };
    return row(label, rule, [name, ...values, { start: end - LINE_END.length, end, label: "" }]);
  }
  const only = values[0]?.label ?? "";
  return row(only === "" || only === member ? label : `${label}; ${only}`, rule);
}

/** Labels a line of a header or trailer section. The line after the last chunk is the first one of the trailers. */
export function sectionRow(line: string, start: number, isTrailer: boolean, isFirst = false): OctetRow {
  if (line !== LINE_END) {
    const row = fieldRow(line, start);
    return isTrailer ? { ...row, label: `trailer, ${row.label}` } : row;
  }
  if (!isTrailer) return octetRow("end", start, line, ["the head ends", "RFC 9112 §2.1"]);
  return octetRow("end", start, line, isFirst ? ["no trailers"] : ["the trailer section ends", "RFC 9112 §7.1.2"]);
}

export function chunkLabel(line: string, number: number): string {
  const [, digits, rest] = /^([\dA-Fa-f]+)([^]*)\r\n$/.exec(line)!;
  const size = parseInt(digits, 16);
  const extensions = rest.replace(/^[ \t]*;[ \t]*/, "");
  const more = extensions === "" ? "" : `; extension${extensions.includes(";") ? "s" : ""} ${readable(extensions)}`;
  if (size === 0) return `the last chunk${more}`;
  const octets = counted(size, "octet");
  const words = digits === String(size) ? octets : `0x${digits} is ${octets}`;
  return `chunk ${number}: ${words}${more}`;
}
