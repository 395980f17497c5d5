import assert from "node:assert/strict";
import { type Completion, helpOn, pageHelpOn, SeenNames } from "../../lib/client/help.ts";
import { splitLine } from "../../lib/client/words.ts";
import { MAX_SEEN_NAMES } from "../../lib/limits.ts";

const completions: [line: string, completion: Completion][] = [
  ["de", [["delete "], "de"]],
  ["cu", [["curl "], "cu"]],
  ["he", [["head ", "header ", "help "], "he"]],
  ["x", [[], "x"]],
  ["get ", [["all ", "Momo ", "Mimi\\ 2 ", "O\\'Hara "], ""]],
  ["GET  M", [["Momo ", "Mimi\\ 2 "], "M"]],
  ["put Mimi\\ ", [["Mimi\\ 2 "], "Mimi\\ "]],
  ["header M", [[], "M"]],
  ["help pu", [["put "], "pu"]],
  ["get Momo M", [[], "get Momo M"]],
];

for (const [line, completion] of completions) {
  Deno.test(`Tab after ${JSON.stringify(line)}`, () => {
    const names = new SeenNames();
    for (const name of ["Momo", "Mimi 2", "all", "/path", "*", "O'Hara", "a\nb"]) names.add(name);
    assert.deepEqual(names.complete(line), completion);
    for (const word of completion[0]) assert(splitLine(`get ${word}`).length <= 2, "a name is one word");
  });
}

Deno.test("the help of a page is on what works there: no files, no settings", () => {
  for (const topic of [undefined, "all"]) {
    const help = pageHelpOn(topic);
    assert.deepEqual(help.match(/^(?:get|head|post|put|raw) [A-Z]+/gm), [
      "get NAME",
      "head NAME",
      "post NAME",
      "put NAME",
      "raw STEP",
    ]);
    assert.doesNotMatch(help, /FILE|^header|^explain/m);
  }
  assert.match(helpOn("all"), /, @FILE[^]*^header /m);
  assert.equal(pageHelpOn("raw"), helpOn("raw"));
});

Deno.test("the rows of a listing are seen, members that are no rows are not", () => {
  const names = new SeenNames();
  for (const json of ['{"a":{"type":"cat"},"b":1,"c":null,"d":[]}', '[{"e":{}}]', "no JSON", "null", '"text"']) {
    names.addListing(json);
  }
  assert.deepEqual(names.complete("get ")[0], ["all ", "a "]);
});

Deno.test("names that change what a terminal shows are not completed", () => {
  const names = new SeenNames();
  for (
    const character
      of "\x00\t\n\r\x1b\x7f\x85\x9b\x9d\xad\u061c\u200b\u2028\u2029\u202e\u2066\ufeff\ufffd\u{e0041}\ud800"
  ) {
    names.add(`a${character}b`);
    names.addListing(JSON.stringify({ [`${character}c`]: {} }));
  }
  assert.deepEqual(names.complete("get ")[0], ["all "]);
  for (const name of ["핑핑", "🐌", "👩\u200d🔬", "naïve"]) names.add(name);
  assert.deepEqual(names.complete("get ")[0], ["all ", "핑핑 ", "🐌 ", "👩\u200d🔬 ", "naïve "]);
});

Deno.test("only so many names are kept", () => {
  const names = new SeenNames();
  for (let i = 0; i <= MAX_SEEN_NAMES; i++) names.add(`name${i}`);
  assert.equal(names.complete("get ")[0].length, 1 + MAX_SEEN_NAMES);
});

Deno.test("the help on a page has what works there: values are not asked for, and no file is read", () => {
  const text = pageHelpOn(undefined);
  assert.match(text, /^post NAME values {4}a new row$/m);
  assert.doesNotMatch(text, /@FILE/);
});
