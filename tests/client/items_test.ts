import assert from "node:assert/strict";
import { makeOrder, readItem, requestOf } from "../../lib/client/items.ts";
import { splitLine, WrongInput } from "../../lib/client/words.ts";
import { FREE } from "./command_support.ts";

const made = (method: string, words: ReturnType<typeof splitLine>) =>
  requestOf(makeOrder(method, "/x", words.map((word) => readItem(word, FREE))), [], FREE).request;

Deno.test("a form takes texts as they are, and JSON as it is written", () => {
  const words = splitLine(`- - Content-Type:application/x-www-form-urlencoded;charset=utf-8 a=핑 b:='[1, 2]' c:='"d"'`)
    .slice(2);
  assert.equal(new TextDecoder().decode(made("POST", words).content), "a=%ED%95%91&b=%5B1%2C+2%5D&c=d");
});

Deno.test("an unknown method may have content; GET, HEAD and the like may not", () => {
  const words = splitLine("- - a=b").slice(2);
  assert.equal(new TextDecoder().decode(made("SEARCH", words).content), '{"a":"b"}');
  for (const method of ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]) {
    assert.throws(() => made(method, words), WrongInput);
  }
});
