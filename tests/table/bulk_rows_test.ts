import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { MAX_PROBLEM_ERRORS, MAX_ROW_MEMBERS } from "../../lib/limits.ts";
import { BareRow, readLines, readRows } from "../../lib/table/bulk_rows.ts";
import { Pacer } from "../../lib/turns.ts";
import { RowSchema } from "../../lib/table/row_schema.ts";
import { CountedTurns, REQUESTER } from "../support.ts";
import { JSON_PIECE_BYTES } from "../../lib/json.ts";

const ANY = RowSchema.parse("*");
const ENCODER = new TextEncoder();

async function read(content: string, schema = ANY, pacer = new Pacer()): Promise<{ name: string; json: string }[]> {
  return (await Array.fromAsync(readRows(ENCODER.encode(content), { schema, maxRowBytes: 1e9 }, pacer))).flat().map(
    ({ name, json, content }) => {
      if (content !== undefined) assert.equal(new TextDecoder().decode(content), `{${JSON.stringify(name)}:${json}}`);
      return { name, json };
    },
  );
}

async function refusal(content: string, schema = ANY): Promise<HttpError> {
  try {
    await read(content, schema);
  } catch (error) {
    if (error instanceof HttpError) return error;
    throw error;
  }
  throw new Error("Expected an error");
}

Deno.test("rows are taken from their content unchanged", async () => {
  assert.deepEqual(await read('{"b":{"x":1.50}, "a\\u0062":{ "핑":"🐌" } ,"핑":{"10":1,"9":2}}'), [
    { name: "b", json: '{"x":1.5}' },
    { name: "ab", json: '{"핑":"🐌"}' },
    { name: "핑", json: '{"10":1,"9":2}' },
  ]);
  assert.deepEqual(await read(" {} "), []);
});

Deno.test("canonical rows stay parts of the content until they are used", async () => {
  const schema = RowSchema.parse("type,age");
  const rows = [
    '{"type":"달팽이","age":1}',
    '{"type": "달팽이","age":1}',
    '{"age":1,"type":"달팽이"}',
    '{"type":"🐌","age":1.0}',
  ];
  assert.deepEqual(await read(`{${rows.map((row, i) => `"${i}핑":${row}`).join()}}`, schema), [
    { name: "0핑", json: '{"type":"달팽이","age":1}' },
    { name: "1핑", json: '{"type":"달팽이","age":1}' },
    { name: "2핑", json: '{"age":1,"type":"달팽이"}' },
    { name: "3핑", json: '{"type":"🐌","age":1}' },
  ]);
});

Deno.test("many pieces are one list, in ASCII and beyond", async () => {
  for (const text of ["snail", "달팽이🐌"]) {
    const rows = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`${text}${i}`, { text, i, more: [text] }]));
    const content = JSON.stringify(rows);
    assert(content.length > 2 * JSON_PIECE_BYTES);
    const expected = Object.entries(rows).map(([name, row]) => ({ name, json: JSON.stringify(row) }));
    assert.deepEqual(await read(content), expected);
  }
});

Deno.test("long content is read in turns, counted by its octets", async () => {
  const turns = new CountedTurns();
  await read(`{"a":{"b":"${"x".repeat(100 * JSON_PIECE_BYTES)}"}}`, ANY, new Pacer(undefined, turns));
  assert(turns.asked >= 100, `${turns.asked} turns for one long row`);
  turns.asked = 0;
  const row = '{"type":"snail"}';
  const content = `{${Array.from({ length: 20_000 }, (_, i) => `"n${i}":${row}`).join()}}`;
  await read(content, ANY, new Pacer(undefined, turns));
  assert(turns.asked >= content.length / JSON_PIECE_BYTES - 1, `${turns.asked} turns for many rows`);
});

Deno.test("reading is aborted once the client has disconnected", async () => {
  const left = new AbortController();
  const pacer = new Pacer({ ...REQUESTER, signal: left.signal }, new CountedTurns(() => left.abort()));
  const content = ENCODER.encode(`{"a":{"b":"${"x".repeat(3 * JSON_PIECE_BYTES)}"}}`);
  await assert.rejects(Array.fromAsync(readRows(content, { schema: ANY, maxRowBytes: 1e6 }, pacer)), {
    name: "AbortError",
  });
});

Deno.test("a syntax error anywhere outranks problems of rows", async () => {
  const filler = "x".repeat(JSON_PIECE_BYTES);
  for (const bad of ['"b/c":{}', '"a":{"b":1e400}', `"a":{"b":"${filler}"},"a":{}`]) {
    assert.equal((await refusal(`{${bad}}`)).status, 422);
    const { status, message } = await refusal(`{${bad},}`);
    assert.equal(status, 400);
    assert.match(message, /^The content is not JSON: /);
  }
});

Deno.test("up to one piece, a syntax error has the parser's own message", async () => {
  const broken = (length: number) => `{"b":{"b":"${"x".repeat(length - 14)}"},`;
  assert.match((await refusal(broken(JSON_PIECE_BYTES))).message, /^The content is not JSON: Expected/);
  assert.match((await refusal(broken(JSON_PIECE_BYTES + 1))).message, /unexpected octet or end at 65537$/);
});

Deno.test("content that is not an object is refused", async () => {
  assert.equal((await refusal("")).message, "The content is empty: expected a JSON object");
  assert.match((await refusal("[]")).message, /saw an array$/);
  assert.match((await refusal('[{"a":{"b":1}}]')).message, /saw an array$/);
  assert.match((await refusal(" 1 ")).message, /saw 1$/);
  assert.match((await refusal(`"${"x".repeat(2 * JSON_PIECE_BYTES)}"`)).message, /saw "x{39}$/);
  assert.match((await refusal(" \ufeff{}")).message, /^The content is not JSON/);
});

Deno.test("content may begin with a byte order mark", async () => {
  assert.deepEqual(await read('\ufeff{"b":{"x":1}}'), [{ name: "b", json: '{"x":1}' }]);
});

Deno.test("a member given twice is refused with its row", async () => {
  for (const row of ['{"x":1,"x":2}', '{"y":[{"x":1,"x":1}]}']) {
    const { status, message, errors } = await refusal(`{"b":{"x":1},"c":${row}}`);
    assert.equal(status, 422);
    assert.match(message, /^No row was created: 1 is invalid, the first one "c"/);
    assert.deepEqual(errors, [{ field: "c", detail: "has a wrong field: x is given twice" }]);
  }
});

Deno.test("each row has its own limits", async () => {
  const most = Array(MAX_ROW_MEMBERS - 1).fill("1").join();
  assert.equal((await read(`{"a":{"x":[${most}]},"b":{"x":[${most}]}}`)).length, 2);
  assert.match(
    (await refusal(`{"a":{"x":[${most},1]}}`)).message,
    /it has at most 100000 members and elements, saw 100001/,
  );
  const nested = (depth: number): string => '{"b":'.repeat(depth - 1) + "{}" + "}".repeat(depth - 1);
  assert.equal((await read(`{"a":${nested(64)}}`)).length, 1);
  assert.match((await refusal(`{"a":${nested(65)}}`)).message, /it has objects or arrays more than 64 deep/);
  const { status, errors } = await refusal('{"a":{"b":1},"c":{"d":{"e":12345678901234567890}}}');
  assert.equal(status, 422);
  assert.match(errors![0].detail, /^has a wrong field: d is an integer beyond 2\^53 - 1/);
});

Deno.test("only the first problems are kept, and all are counted", async () => {
  const content = (count: number) => `{${Array.from({ length: count }, (_, i) => `"n${i}/":{}`).join()}}`;
  for (const count of [MAX_PROBLEM_ERRORS, MAX_PROBLEM_ERRORS + 1]) {
    const { message, errors } = await refusal(content(count));
    assert.match(
      message,
      new RegExp(`^No row was created: ${count} are invalid, the first one "n0/": it must not contain`),
    );
    assert.equal(errors!.length, MAX_PROBLEM_ERRORS);
  }
});

Deno.test("content with a member that is no object is one row, unless it cannot be one", async () => {
  for (const content of ['{"a":1}', '{"a":{},"b":null}', '{"a":[{}]}']) {
    await assert.rejects(read(content), BareRow);
  }
  const declared = RowSchema.parse("a");
  await assert.rejects(read('{"a":1}', declared), BareRow);
  await assert.rejects(read('{"a":{"a":1},"b":1}', declared), /"b": it must be an object with the row's fields$/);
});

/** Reads lines, and returns the rows or the refusal. */
async function lines(content: string, schema = ANY): Promise<unknown> {
  try {
    const parts = await Array.fromAsync(readLines(ENCODER.encode(content), { schema, maxRowBytes: 1e6 }, new Pacer()));
    return parts.flat().map(({ name, json }) => `${name} ${json}`);
  } catch (error) {
    const { status, message, errors } = error as HttpError;
    return [status, message, errors?.map(({ field, detail }) => `${field} ${detail}`)];
  }
}

Deno.test("a line is one row; blank lines, CR LF and a mark are no rows", async () => {
  const rows = ["10 {}", '2 {"a":1}', 'é {"b":"\\n"}'];
  const content = '{"10":{}}\n{ "2" : {"a":1} }\n\n \t\n{"é":{"b":"\\n"}}';
  for (const text of [content, `${content}\n`, `\ufeff${content}`, content.replaceAll("\n", "\r\n")]) {
    assert.deepEqual(await lines(text), rows);
  }
  assert.deepEqual(await lines(""), []);
});

Deno.test("a refusal of lines names the line", async () => {
  const [status, message] = await lines('{"a":{}}\n\n{"b":{}\n') as [number, string];
  assert.equal(status, 400);
  assert.match(message, /^Line 3 is not JSON: /);
  assert.deepEqual(await lines('{"a":{},"b":{}}\n{}\n[1]\n{"c":1}\n{"d":{"e":1e400}}\n{"f":{}}\n{"f":{}}'), [
    422,
    'No row was created: 6 are invalid, the first one "line 1": it must be one object with one member, saw 2 members',
    [
      "line 1 must be one object with one member, saw 2 members",
      "line 2 must be one object with one member, saw no row",
      "line 3 must be one object with one member, saw no row",
      "c must be an object with the row's fields (line 4)",
      "d has a wrong field: e is a number beyond the range that can be stored: send it as a string (line 5)",
      "f is given twice (line 7)",
    ],
  ]);
});

Deno.test("many lines are read in turns, a part after the other", async () => {
  const turns = new CountedTurns();
  const content = Array.from({ length: 20_000 }, (_, i) => `{"n${i}":{"a":"${i}"}}\n`).join("");
  const parts = await Array.fromAsync(
    readLines(ENCODER.encode(content), { schema: ANY, maxRowBytes: 1000 }, new Pacer(undefined, turns)),
  );
  assert(parts.length > 5, `${parts.length} parts`);
  assert.deepEqual(parts.flat().map(({ name }) => name), Array.from({ length: 20_000 }, (_, i) => `n${i}`));
  assert(turns.asked >= 5, `${turns.asked} turns`);
});

Deno.test("a name is given twice also far behind, and whether or not it has escapes", async () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `"name${i % 10_000}"`);
  const others = ['"a"', '"ab"', '"핑"', '"\ufeffa"', '"__proto__"'];
  const escaped = ['"\\u0061"', '"\\""', '"\\u0022"', '"\\\\"', '"\\u005c"', '"\\"a"', '"\\u0022\\u0061"', '"\\ud551"'];
  const rows = (names: string[]) => `{${names.map((name) => `${name}:{}`).join()}}`;
  assert.equal((await read(rows([...names.slice(0, 10_000), ...others]))).length, 10_005);
  assert.match((await refusal(rows([...names, ...others, ...others]))).message, /: 10005 are invalid/);
  const { errors } = await refusal(rows([...others, ...escaped]));
  assert.deepEqual(errors!.map(({ field, detail }) => [field, detail]), [
    ["a", "is given twice"],
    ['"', "is given twice"],
    ["\\", "is given twice"],
    ['"a', "is given twice"],
    ["핑", "is given twice"],
  ]);
});
