import assert from "node:assert/strict";
import { boundaryOf, formOf, mediaType, multipart, typeOfFile } from "../../lib/client/request_content.ts";

const encode = (text: string) => new TextEncoder().encode(text);

const files: [name: string, content: string, type: string | undefined][] = [
  ["photo.PNG", "", "image/png"],
  ["a/b.json", "no JSON", "application/json"],
  ["rows.ndjson", "", "application/x-ndjson"],
  ["backup", ' {"a":1}\n', "application/json"],
  ["backup.constructor", "\ufeff[1]", "application/json"],
  ["-", "12", "application/json"],
  ["-", "", undefined],
  ["note.unknown", "hello", undefined],
  [".json", "hello", undefined],
  ["json", "hello", undefined],
];

for (const [name, content, type] of files) {
  Deno.test(`the file ${name} with ${JSON.stringify(content)} has ${type ?? "no type"}`, () => {
    assert.equal(typeOfFile(name, encode(content)), type);
  });
}

Deno.test("what is no UTF-8 is no JSON", () => {
  assert.equal(typeOfFile("a", Uint8Array.of(0x22, 0xe9, 0x22)), undefined);
});

Deno.test("a media type is compared without case and parameters; its boundary may be quoted", () => {
  assert.equal(mediaType([["X", "a/b"], ["content-TYPE", "Text/HTML ; charset=x"]]), "text/html");
  assert.equal(mediaType([]), "");
  assert.equal(boundaryOf([["Content-Type", 'a/b; x=y; Boundary="a b"']]), "a b");
  assert.equal(boundaryOf([["Content-Type", "a/b;boundary=ab;x=y"]]), "ab");
  assert.equal(boundaryOf([["Content-Type", "a/b"]]), undefined);
});

Deno.test("a form keeps repeated names, and JSON as it is written", () => {
  const members = [["a", '"1"'], ["a", '"\\u00e9"'], ["b", " [1, 2]"], ["c", ' "d"']];
  assert.equal(
    formOf(members.map(([name, json]) => ({ name, json, isPath: false }))),
    "a=1&a=%C3%A9&b=+%5B1%2C+2%5D&c=d",
  );
});

Deno.test("the parts of a form are what a decoder of forms reads", async () => {
  const octets = Uint8Array.of(0, 0xff, 0x0d, 0x0a);
  const members = [{ name: 'a"b', json: '"é"', isPath: false }, { name: "f", json: "", isPath: false, file: "핑.png" }];
  const body = multipart(members, new Map([["핑.png", octets]]), "B");
  const headers = { "Content-Type": "multipart/form-data; boundary=B" };
  const form = await new Response(body as Uint8Array<ArrayBuffer>, { headers }).formData();
  assert.equal(form.get("a%22b") ?? form.get('a"b'), "é");
  const file = form.get("f") as File;
  assert.deepEqual([file.name, file.type, await file.bytes()], ["핑.png", "image/png", octets]);
});
