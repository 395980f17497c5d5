import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { MAX_ROW_MEMBERS } from "../../lib/limits.ts";
import { Pacer } from "../../lib/turns.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { readRow, requireSchema, storedText } from "../../lib/table/row_text.ts";
import { Random } from "../fuzzing.ts";
import { CountedTurns } from "../support.ts";
import { JSON_PIECE_BYTES } from "../../lib/json.ts";

const ANY = RowSchema.parse("*");
const ENCODER = new TextEncoder();

/** Returns the row read from content, or the error. */
async function read(content: string | Uint8Array, schema = ANY): Promise<unknown> {
  const bytes = typeof content === "string" ? ENCODER.encode(content) : content;
  const pacer = new Pacer();
  try {
    const value = await pacer.run(readRow(bytes, "a", schema));
    requireSchema(value, schema);
    return JSON.parse(new TextDecoder().decode(value));
  } catch (error) {
    if (error instanceof HttpError) return `${error.status} ${error.message}`;
    throw error;
  }
}

const contents: [content: string | Uint8Array, refusal: RegExp][] = [
  ["", /^400 The content is empty/],
  ["{", /^400 The content is not JSON: /],
  ["\ufeff", /^400 The content is empty/],
  ["\ufeff\ufeff{}", /^400 The content is not JSON: /],
  ["{'a':1}", /^400 The content is not JSON: /],
  ['{"a":"\x1f"}', /^400 The content is not JSON: /],
  [new Uint8Array([0x22, 0xff, 0x22]), /^400 The content is not UTF-8/],
  ["[]", /^422 The content must be a JSON object, saw an array/],
  ["null", /^422 .* saw null/],
  ['"a"', /^422 .* saw "a"/],
];

for (const [content, expected] of contents) {
  Deno.test(`the content ${JSON.stringify(content)} is refused`, async () => {
    assert.match(String(await read(content)), expected);
  });
}

/** Blanks that make content too long for one call of the parser. */
const LONG = " ".repeat(JSON_PIECE_BYTES);

for (const blanks of ["", LONG]) {
  const kind = blanks === "" ? "short" : "long";

  Deno.test(`${kind} content is read bare or wrapped, to a depth of 64`, async () => {
    const nested = (depth: number): string => '{"b":'.repeat(depth - 1) + "{}" + "}".repeat(depth - 1);
    for (const wrap of [(row: string) => row, (row: string) => `{"a":${row}}`]) {
      assert.deepEqual(await read(blanks + wrap('{"b":[1,null]}')), { b: [1, null] });
      assert.deepEqual(await read(blanks + wrap(nested(64))), JSON.parse(nested(64)));
      assert.match(String(await read(blanks + wrap(nested(65)))), /^422 .* has objects or arrays more than 64 deep$/);
    }
  });

  Deno.test(`${kind} content may begin with a byte order mark`, async () => {
    for (const row of ['{"b":1}', '{"a":{"b":1}}', '{"b" :1}']) {
      assert.deepEqual(await read(`\ufeff${row}${blanks}`), { b: 1 });
    }
  });

  Deno.test(`${kind} content with a member twice is refused`, async () => {
    for (const row of ['{"b":1,"b":2}', '{"c":{"b":1,"b":1}}', '{"a":{"b":1,"b":2}}']) {
      assert.equal(String(await read(blanks + row)), "422 The row does not fit the table: b is given twice");
    }
    const wrappers = '{"a":{"b":1},"a":{"b":2}}';
    assert.equal(String(await read(blanks + wrappers)), "422 The row does not fit the table: a is given twice");
  });

  Deno.test(`${kind} content with a number that would change is refused`, async () => {
    for (const number of ["1e400", "123456789012345678901234567890", "1e-400"]) {
      for (const content of [`{"b":${number}}`, `{"a":{"b":${number}}}`, `{"b":[{"c":[${number}]}],"d":1}`]) {
        assert.match(
          String(await read(blanks + content)),
          /^422 The row does not fit the table: b is an? (number|integer)/,
        );
      }
    }
    assert.deepEqual(await read(`${blanks}{"b":0.10000000000000001}`), { b: 0.1 });
  });

  Deno.test(`${kind} content that is no JSON object is refused as what it is`, async () => {
    assert.match(String(await read(`${blanks}{"b":1e400,`)), /^400 The content is not JSON: /);
    assert.match(String(await read(` ${blanks}\ufeff{}`)), /^400 The content is not JSON: /);
    assert.match(String(await read(`\ufeff{"b":1,${blanks}}`)), /^400 The content is not JSON: /);
    assert.match(String(await read(`${blanks}[]`)), /^422 .* saw an array/);
    const notUtf8 = ENCODER.encode(`${blanks}{"b":"x`);
    assert.match(String(await read(new Uint8Array([...notUtf8, 0xff]))), /^400 The content is not UTF-8/);
  });
}

Deno.test("a row may be sent bare or wrapped under its name", async () => {
  const schema = RowSchema.parse("type,age");
  const row = { type: "x", age: 1 };
  assert.deepEqual(await read(JSON.stringify({ a: row }), schema), row);
  assert.deepEqual(await read(JSON.stringify(row), schema), row);
  assert.match(
    String(await read(JSON.stringify({ Woo: row }), schema)),
    /^422 .* named "Woo", but the target names "a"/,
  );
  assert.match(String(await read('{"type":{}}', schema)), /^422 .* type must be .*, saw an object, and 1 more/);
  assert.deepEqual(await read(JSON.stringify({ Woo: row })), { Woo: row });
});

Deno.test("invalid fields are refused one by one, but not thousands", async () => {
  const schema = RowSchema.parse("type,age");
  assert.match(String(await read("{}", schema)), /^422 .*: type is missing: .*, and 1 more \(see errors\)/);
  const names = Array.from({ length: 90_000 }, (_, i) => `"n${i}":1`).join();
  for (const row of [`{${names}}`, `{"type":"x","age":{${names}}}`]) {
    assert.match(String(await read(row, schema)), /^422 .*: \* has the fields type,age, saw 9000[02] members/);
  }
});

Deno.test("content is read in one call up to the limit", async () => {
  const broken = (length: number) => `{"b":"${"x".repeat(length - 8)}",`;
  // Only content parsed in one call has the parser's own message.
  assert.match(String(await read(broken(JSON_PIECE_BYTES))), /^400 The content is not JSON: Expected/);
  assert.match(String(await read(broken(JSON_PIECE_BYTES + 1))), /^400 .* unexpected octet or end at 65537$/);
});

Deno.test("a row has at most 100,000 members and elements", async () => {
  const most = Array(MAX_ROW_MEMBERS - 1).fill("1").join();
  for (const wrap of [(row: string) => row, (row: string) => `{"a":${row}}`]) {
    assert.equal(typeof await read(wrap(`{"b":[${most}]}`)), "object");
    assert.match(
      String(await read(wrap(`{"b":[${most},1]}`))),
      /^422 .* has at most 100000 members and elements, saw 100001$/,
    );
  }
  // A syntax error comes first.
  assert.match(String(await read(`{"b":[${most},1,1]`)), /^400 /);
});

Deno.test("an object of 9,000,000 members, which would crash the process, is refused", async () => {
  const content = ENCODER.encode(`{"a":{${'"":0,'.repeat(9_000_000)}"":0}}`);
  assert.match(String(await read(content)), /^422 .* saw 9000001$/);
});

const DECODER = new TextDecoder();

function stored(text: string, turns = new CountedTurns()): string {
  return DECODER.decode(new Pacer(undefined, turns).run(storedText(ENCODER.encode(text))) as Uint8Array);
}

const texts: [sent: string, stored: string][] = [
  ["{}", "{}"],
  [' { "a" : [ 1 , true ,null ] }\r\n\t', '{"a":[1,true,null]}'],
  ['{"a":"핑 \\u0041\\/\\"\\ud800"}', '{"a":"핑 A/\\"\\ud800"}'],
  ['{"\\u0061" :"\\\\"}', '{"a":"\\\\"}'],
  ['{"10":1,"9":2}', '{"10":1,"9":2}'],
  [
    "[9e15,1.50,1E2,1e21,0.0000001,-1,123456789012345678]",
    "[9000000000000000,1.5,100,1e+21,1e-7,-1,123456789012345680]",
  ],
  ["[-0,-0.0,-0e5,0,0.0]", "[-0,-0,-0,0,0]"],
  ['["a b","  ", " "]', '["a b","  "," "]'],
];

for (const [sent, result] of texts) {
  Deno.test(`${JSON.stringify(sent)} is stored as ${result}`, () => assert.equal(stored(sent), result));
}

Deno.test("text that is as it is stored is not copied", () => {
  const octets = ENCODER.encode('{"a":{"b":[1,"핑",true]},"c":null}');
  assert.equal(new Pacer().run(storedText(octets)), octets);
});

const twice: [text: string, name: string][] = [
  ['{"age":"3","age":"99"}', "age"],
  ['{"a":{"b":1,"b":1}}', "b"],
  ['{"a":[{"b":1},{"b":{"c":1},"x":1,"b" :2}]}', "b"],
  ['{"a":1,"\\u0061":2}', "a"],
  ['{"핑":1,"핑":2}', "핑"],
  ['{"":1,"":2}', ""],
  ['{"__proto__":1,"__proto__":2}', "__proto__"],
];

for (const [text, name] of twice) {
  Deno.test(`${text} has a member twice`, () => {
    assert.throws(() => stored(text), (error: HttpError) => {
      assert.deepEqual([error.status, error.rule], [422, "RFC 8259 §4"]);
      assert.deepEqual(error.errors, [{ field: name, detail: "is given twice" }]);
      return true;
    });
  });
}

Deno.test("one name in several objects is not given twice", () => {
  const text = '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"c":{"a":"a"}}';
  assert.equal(stored(text), text);
});

function randomText(random: Random, depth: number): string {
  const blank = random.pick(["", "", " ", "\n "]);
  const kind = random.below(depth > 0 ? 4 : 2);
  const items = Array.from({ length: kind < 2 ? 0 : random.below(4) }, () => randomText(random, depth - 1));
  const value = kind === 0
    ? random.pick(["0", "-1", "1.50", "1e3", "-2.5E-3", "true", "false", "null", "1234567890123456"])
    : kind === 1
    ? random.pick(['"x"', '"\\n\\u00e9"', '"핑🐌"', '""', '"\\\\"', '"\\""', '"{,}:"'])
    : kind === 2
    ? `[${items.join()}]`
    : `{${items.map((item, i) => `"n${i}"${blank}:${item}`).join()}}`;
  return `${blank}${value}${blank}`;
}

Deno.test("random text is stored as JSON.stringify writes it", () => {
  const random = new Random(8259);
  for (let i = 0; i < 5000; i++) {
    const text = randomText(random, 4);
    assert.equal(stored(text), JSON.stringify(JSON.parse(text)), text);
  }
});

Deno.test("long text is stored in turns", () => {
  const turns = new CountedTurns();
  const text = `{${Array.from({ length: 20_000 }, (_, i) => `"name${i}":${i}`).join()}}`;
  assert.equal(stored(text, turns), text);
  assert(turns.asked >= Math.floor(text.length / JSON_PIECE_BYTES), `${turns.asked} turns`);
});
