import assert from "node:assert/strict";
import type { FieldLine } from "../../../lib/http_message.ts";
import { REPLAY_KEPT_CONTENT_OCTETS, REPLAY_KEPT_TAGS } from "../../../lib/limits.ts";
import {
  type Answer,
  ContentPrint,
  differences,
  EntityTags,
  type Interim,
} from "../../../lib/traffic/replay/compare.ts";
import { wireOctets } from "../../wire_cases.ts";

function printOf(text: string): ContentPrint {
  const content = new ContentPrint();
  // In two pieces, as it may come.
  for (const piece of [text.slice(0, 3), text.slice(3)]) content.add(wireOctets(piece));
  return content;
}

function answer(changes: Partial<Omit<Answer, "content">> & { content?: string } = {}): Answer {
  const { content = "ok", ...others } = changes;
  const fields: FieldLine[] = [["Content-Type", "text/plain"]];
  const common = { status: 200, reason: "OK", fields, trailers: [], stays: true, interims: [] };
  return { ...common, ...others, content: printOf(content) };
}

/** An answer with these fields. */
function withFields(...fields: FieldLine[]): Answer {
  return answer({ fields });
}

const waited: Interim = { status: 100, awaited: true };
const unwaited: Interim = { status: 100, awaited: false };

const cases: [what: string, recorded: Answer, now: Answer, found: [what: string, recorded: string, now: string][]][] = [
  ["the same", answer(), answer(), []],
  ["another reason phrase", answer(), answer({ reason: "Fine" }), []],
  ["another status", answer(), answer({ status: 404, reason: "Not Found" }), [["status", "200 OK", "404 Not Found"]]],
  ["another field", withFields(["A", "1"]), withFields(["A", "2"]), [["field A", "1", "2"]]],
  ["a field in other letters", withFields(["Allow", "GET"]), withFields(["allow", "GET"]), []],
  ["a field in two lines", withFields(["A", "1, 2"]), withFields(["A", "1"], ["B", "x"], ["A", "2"]), [
    ["field B", "none", "x"],
  ]],
  ["an absent field", withFields(["Location", "/a"]), withFields(), [["field Location", "/a", "none"]]],
  [
    "values that no two runs share",
    withFields(["ETag", '"1"'], ["Last-Modified", "a"], ["Expires", "b"], ["Set-Cookie", "c=d"]),
    withFields(["ETag", '"2"'], ["Last-Modified", "e"], ["Expires", "f"], ["Set-Cookie", "g=h"]),
    [],
  ],
  ["an absent entity tag", withFields(["ETag", '"1"']), withFields(), [["field ETag", '"1"', "none"]]],
  [
    "fields of the moment, the server and the connection",
    withFields(["Date", "a"], ["Age", "1"], ["Server", "b"], ["Via", "c"], ["Connection", "d"], [
      "Content-Length",
      "2",
    ]),
    withFields(["Keep-Alive", "e"], ["Transfer-Encoding", "chunked"]),
    [],
  ],
  ["other content", answer({ content: "abcdef" }), answer({ content: "abcxyz!" }), [
    ["content, from octet 3 on", "abcdef (6 octets)", "abcxyz! (7 octets)"],
  ]],
  ["no content", answer({ content: "a" }), answer({ content: "" }), [["content", "a (1 octet)", "none"]]],
  [
    "content that differs far behind its start",
    answer({ content: `${"x".repeat(1000)}1${"y".repeat(1000)}` }),
    answer({ content: `${"x".repeat(1000)}2${"y".repeat(1000)}` }),
    [[
      "content, from octet 1000 on",
      `…${"x".repeat(30)}1${"y".repeat(59)}… (2001 octets)`,
      `…${"x".repeat(30)}2${"y".repeat(59)}… (2001 octets)`,
    ]],
  ],
  [
    "content that differs beyond what is kept",
    answer({ content: `${"x".repeat(REPLAY_KEPT_CONTENT_OCTETS)}1` }),
    answer({ content: `${"x".repeat(REPLAY_KEPT_CONTENT_OCTETS)}2` }),
    [[
      `content, beyond octet ${REPLAY_KEPT_CONTENT_OCTETS}`,
      `…${"x".repeat(30)}… (${REPLAY_KEPT_CONTENT_OCTETS + 1} octets)`,
      `…${"x".repeat(30)}… (${REPLAY_KEPT_CONTENT_OCTETS + 1} octets)`,
    ]],
  ],
  ["another trailer", answer({ trailers: [["Sum", "1"]] }), answer({ trailers: [["Sum", "2"]] }), [
    ["trailer Sum", "1", "2"],
  ]],
  ["a connection that ends", answer(), answer({ stays: false }), [["connection", "stays open", "ends"]]],
  ["a 100 that was waited for", answer({ interims: [waited] }), answer(), [
    ["100 (Continue)", "sent before the content", "none"],
  ]],
  ["a 100 that was not waited for", answer({ interims: [unwaited] }), answer(), []],
  ["a 100 that nobody asked for", answer(), answer({ interims: [unwaited] }), []],
  ["other interim responses", answer({ interims: [{ status: 103, awaited: false }] }), answer({ interims: [waited] }), [
    ["interim responses", "103", "none"],
  ]],
];

for (const [what, recorded, now, found] of cases) {
  Deno.test(`an answer is compared with the recorded one: ${what}`, () => {
    const texts = differences(recorded, now, new EntityTags()).map(({ what, recorded, now }) => [what, recorded, now]);
    assert.deepEqual(texts, found);
  });
}

Deno.test("content is kept only at its start", () => {
  const content = new ContentPrint();
  for (let i = 0; i < 100; i++) content.add(new Uint8Array(1024).fill(65));
  assert.deepEqual([content.length, content.start.length], [100 * 1024, REPLAY_KEPT_CONTENT_OCTETS]);
});

Deno.test("content that names an entity tag is the same if that tag replaces the recorded one", () => {
  const tags = new EntityTags();
  const tagged = (tag: string, content = "") => answer({ fields: [["ETag", tag]], content });
  tags.learn(tagged('"1234567"'), tagged('W/"7654321"'));
  const told = (tag: string) => tagged('"other"', `the tag is ${tag}.`);
  assert.deepEqual(differences(told("1234567"), told("7654321"), tags), []);
  assert.equal(differences(told("1234567"), told("7654322"), tags).length, 1);
  // A tag of one digit is everywhere.
  tags.learn(tagged('"1"'), tagged('"2"'));
  assert.equal(differences(told("1"), told("2"), tags).length, 1);
  // As many tags as are known push out the first.
  for (let i = 0; i < REPLAY_KEPT_TAGS; i++) tags.learn(tagged(`"recorded${i}"`), tagged(`"now${i + 100}"`));
  assert.equal(differences(told("1234567"), told("7654321"), tags).length, 1);
});
