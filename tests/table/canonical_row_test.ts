import assert from "node:assert/strict";
import type { HttpResponse } from "../../lib/http/message.ts";
import { MemoryStore } from "../../lib/store/memory.ts";
import { Pacer } from "../../lib/turns.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import {
  canonicalIntegerEnd,
  CanonicalRows,
  plainStringEnd,
  readRow,
  requireSchema,
} from "../../lib/table/row_text.ts";
import { Table } from "../../lib/table.ts";
import { Random } from "../fuzzing.ts";
import { requestOf } from "../support.ts";
import { JSON_PIECE_BYTES } from "../../lib/json.ts";

const ENCODER = new TextEncoder();

function recognised(content: string | Uint8Array, fields: string, name = "a"): boolean {
  const bytes = typeof content === "string" ? ENCODER.encode(content) : content;
  return new CanonicalRows(RowSchema.parse(fields)).read(bytes, name) !== undefined;
}

const yes: [content: string, fields: string, name?: string][] = [
  ['{"a":{"b":"c"}}', "b"],
  ['{"a":{"b":0,"c":-1}}', "b,c"],
  ['{"a":{"b":999999999999999}}', "b:integer"],
  ['{"a":{"b":true,"c":false,"d":null}}', "b,c:boolean,d"],
  ['{"a":{"b":"\u007f핑🐌\u2028"}}', "b:string"],
  ['{"a":{"10":1,"9":1}}', "10,9"],
  ['{"b":"c"}', "b"],
  ['{"b":1,"a":"핑"}', "b,a"],
];

for (const [content, fields, name] of yes) {
  Deno.test(`${content} is as it is stored`, () => assert.equal(recognised(content, fields, name), true));
}

const no: [content: string, fields: string, name?: string][] = [
  ['{"a":{"b":"c"}} ', "b"],
  ['{"a": {"b":"c"}}', "b"],
  ['{"b":"c"}{', "b"],
  ['{"b":"c"}}', "b"],
  ['{"a":"c"}', "a"],
  ['{"b":{"b":"c"}}', "b"],
  ['[{"b":"c"}}', "b"],
  ['{"a":{"b":"c"}', "b"],
  ['{"a":{"b":"c"', "b"],
  ['{"a":{"b":"c"}}}', "b"],
  ['{"a":{"b":"c"}]', "b"],
  ['{"a":{"b":"\\n"}}', "b"],
  ['{"a":{"b":"\n"}}', "b"],
  ['{"a":{"b":1.5}}', "b"],
  ['{"a":{"b":1e3}}', "b"],
  ['{"a":{"b":-0}}', "b"],
  ['{"a":{"b":01}}', "b"],
  ['{"a":{"b":-}}', "b"],
  ['{"a":{"b":}}', "b"],
  ['{"a":{"b":1234567890123456}}', "b"],
  ['{"a":{"b":[]}}', "b"],
  ['{"a":{"b":"1"}}', "b:integer"],
  ['{"a":{"b":1}}', "b:string"],
  ['{"a":{"b":null}}', "b:boolean"],
  ['{"a":{"b":tru}}', "b"],
  ['{"a":{"c":1,"b":1}}', "b,c"],
  ['{"a":{"b":1}}', "b,c"],
  ['{"a":{"b":1}}', "*"],
  ['{"핑":{"b":1}}', "b", "핑"],
];

for (const [content, fields, name] of no) {
  Deno.test(`${content} is not certainly as rows of ${fields} are stored`, () => {
    assert.equal(recognised(content, fields, name), false);
  });
}

Deno.test("the ends of plain strings and integers are found", () => {
  const at = (text: string, find: (bytes: Uint8Array, start: number) => number) => find(ENCODER.encode(` ${text}`), 1);
  const strings = ['""', '"a",', '"a', '"\\n"', '"\n"', '" "', '"\x1f"', '"\x7f"'];
  assert.deepEqual(strings.map((text) => at(text, plainStringEnd)), [3, 4, 0, 0, 0, 4, 0, 4]);
  assert.deepEqual(
    ["0", "01", "-0", "-1,", "12}", "-", "", "123456789012345", "1234567890123456", "-123456789012345"]
      .map((text) => at(text, canonicalIntegerEnd)),
    [2, 2, 0, 3, 3, 0, 0, 16, 0, 0],
  );
});

Deno.test("only content of at most one piece is recognised", () => {
  const content = (length: number) => `{"a":{"b":"${"x".repeat(length - 14)}"}}`;
  assert.equal(recognised(content(JSON_PIECE_BYTES), "b"), true);
  assert.equal(recognised(content(JSON_PIECE_BYTES + 1), "b"), false);
});

Deno.test("invalid UTF-8 is not canonical", () => {
  const octets = ENCODER.encode('{"a":{"b":"xx"}}');
  for (const bad of [[0xff, 0x41], [0xed, 0xa0], [0xc3, 0x28]]) {
    octets.set(bad, 11);
    assert.equal(recognised(octets, "b"), false);
  }
});

/** Returns what is stored of the content after parsing; `undefined` if it is refused. */
async function parsed(content: Uint8Array, name: string, schema: RowSchema): Promise<string | undefined> {
  const pacer = new Pacer();
  try {
    const value = await pacer.run(readRow(content, name, schema));
    requireSchema(value, schema);
    return new TextDecoder().decode(value);
  } catch {
    return undefined;
  }
}

const NAMES = ["a", "b", "a b", 'q"', "b\\", "핑", "10", "__proto__"];
const FIELDS = ["b", "a", "10", "c:integer", "c:number", "s:string", "t:boolean", "constructor", "핑", 'q"'];
const VALUES = [
  '"x"',
  '""',
  '"핑🐌"',
  '"\\n"',
  '"\\u0041"',
  '"\u007f"',
  "0",
  "-0",
  "7",
  "-12",
  "1.0",
  "1e2",
  "999999999999999",
]
  .concat(["9007199254740993", "true", "false", "null", "[]", "{}", '"\t"', "tru", "01", ""]);

Deno.test("canonical and parsed rows are equal for random rows", async () => {
  const random = new Random(9);
  let recognisedRows = 0;
  for (let i = 0; i < 30_000; i++) {
    const fields = [...new Set(Array.from({ length: 1 + random.below(3) }, () => random.pick(FIELDS)))];
    const schema = RowSchema.parse([...new Map(fields.map((field) => [field.split(":")[0], field])).values()].join());
    const name = random.pick(NAMES);
    const members = schema.fields!.map((field) => `${JSON.stringify(field.name)}:${random.pick(VALUES)}`);
    if (random.below(10) === 0) members.reverse();
    if (random.below(20) === 0) members.push(random.pick(members));
    const isBare = random.below(2) === 0;
    let text = `{${members.join()}}`;
    if (!isBare) text = `{${JSON.stringify(random.below(20) === 0 ? random.pick(NAMES) : name)}:${text}}`;
    if (random.below(20) === 0) text = text.replace(random.pick([",", ":", "}", "{"]), random.pick(["", " ", ", "]));
    const content = ENCODER.encode(text);
    if (random.below(20) === 0) content[random.below(content.length)] = random.below(256);
    const row = new CanonicalRows(schema).read(content, name);
    if (row === undefined) continue;
    recognisedRows++;
    assert.equal(await parsed(content, name, schema), row.json, text);
    assert.deepEqual(ENCODER.encode(`{${JSON.stringify(name)}:${row.json}}`), row.content);
    if (isBare) assert.equal(row.json, new TextDecoder().decode(content));
    else assert.equal(row.content, content);
  }
  assert(recognisedRows > 1000, `${recognisedRows} rows were recognised`);
});

Deno.test("a PUT of either kind has the same response, and stores the same", async () => {
  for (const content of ['{"a":{"b":"핑","c":1}}', '{"a":{"b":"핑","c":1.0}}', '{"b":"핑","c":1}']) {
    const store = new MemoryStore(0);
    const table = new Table(store, { schema: RowSchema.parse("b,c") });
    const octets = ENCODER.encode(content);
    const request = requestOf("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n");
    const response: HttpResponse = await table.answer(request, octets);
    const stored = store.get("a")!.content;
    assert.equal(typeof stored === "string" ? stored : new TextDecoder().decode(stored), '{"a":{"b":"핑","c":1}}');
    assert.equal(response.status, 201);
    const tag = response.fields!.find(([field]) => field === "ETag")?.[1];
    assert.equal(tag, content === '{"a":{"b":"핑","c":1}}' ? '"1"' : undefined);
    // The client may reuse the content's memory.
    octets.fill(0);
    assert.notEqual((store.get("a")!.content as Uint8Array)[0], 0);
  }
});
