import assert from "node:assert/strict";
import { holdsCredentials, linesAfter, parseArguments, parseLine } from "../../lib/client/command.ts";
import { PLAIN, showCommand, showOrder } from "./command_support.ts";

Deno.test("words of a shell are raw's steps after raw alone", () => {
  assert.deepEqual(parseArguments(["RAW", '"a"', "fin"], PLAIN), parseLine('raw "a" fin', PLAIN));
  assert.equal(showCommand(parseArguments(["get", "raw"], PLAIN)), "GET /raw");
});

const withCredentials: [line: string, holds: boolean][] = [
  ["auth joe:pass", true],
  ["auth -", false],
  ["header Authorization: Bearer x", true],
  ["header X-Auth-Token:x", true],
  ["header proxy-authorization: x", true],
  ["header Referer: http://joe:secret@h/", true],
  ["header -Authorization", false],
  ["header Authorization:", false],
  ["header WWW-Authenticate: Basic", false],
  ["header Proxy-Authenticate: Basic", false],
  ["header Sec-WebSocket-Key: x", false],
  ["header X-Author: x", false],
  ["get a X-Api-Key:x", true],
  ['get a "Authorization":x', true],
  ['get a "Auth"orization:x', true],
  ["get a Cookie:id=1", true],
  ["get a Set-Cookie:id=1", true],
  ["get a If-Match:x", false],
  ["get /a access_token==x", true],
  ["get /a?api_key=x", true],
  ["get /a?b=authors", false],
  ["get //joe:secret@h/", true],
  ["post Kim X-Api-Key:x", true],
  ["post Kim access_token==x", true],
  ["post Kim X-A:x", false],
  ["post /login user=kim password=x", true],
  ['post /login {"user":"kim","password":"x"}', true],
  ['put Kim login:={"password":"x"}', true],
  ["post /x age=3 author=x", false],
  ["post Kim snail 1 0 Cookie:x", true],
  ['raw "GET / HTTP/1.1\\r\\nAuthorization: x\\r\\n\\r\\n"', true],
  [String.raw`raw "GET / HTTP/1.1\r\nAuthorization: x\r\n\r\n"`, true],
  [String.raw`raw "GET / HTTP/1.1\r\nX-Api-" 1s "Key: x\r\n\r\n" fin`, true],
  [String.raw`raw "GET / HTTP/1.1\r\nAuth\x6frization: x"`, true],
  [String.raw`raw "GET /cookie HTTP/1.1\r\nHost: h\r\n\r\n" fin`, false],
  ["curl localhost:9999/x", false],
  ["curl -u a:b localhost:9999/x", true],
  ["curl -b id=1 localhost:9999/x", true],
  ["curl -H 'X-Api-Key: x' localhost:9999/x", true],
  ["curl a:b@localhost:9999/x", true],
  ["curl 'localhost:9999/x?api_key=x'", true],
  ["curl -d 'user=a&password=b' localhost:9999/x", true],
  [`curl --json '{"password":"b"}' localhost:9999/x`, true],
  ["curl -d a=b localhost:9999/x", false],
  ["get http://a:b@localhost:9999/x", true],
  ["get / Referer:http://a:b@c/", true],
  ["get / Referer:http://c/", false],
  ["get authors", false],
  ["get token", false],
  ["curl", false],
  ["", false],
];

for (const [line, holds] of withCredentials) {
  Deno.test(`${holds ? "credentials" : "no credentials"} are in the command ${JSON.stringify(line)}`, () => {
    assert.equal(holdsCredentials(parseLine(line, PLAIN)), holds);
  });
}

Deno.test("a pasted command of curl has its method and content in its order", () => {
  const command = parseLine("$ curl -X DELETE -d a=1 http://localhost:9999/x", PLAIN);
  assert(command.kind === "request");
  assert.equal(
    showOrder(command.order),
    "DELETE /x (Host: localhost:9999) (Content-Type: application/x-www-form-urlencoded) a=1",
  );
  assert.equal(showCommand(parseLine(" CURL ", PLAIN)), "curl");
  assert.throws(() => parseLine("curl -X foo localhost:9999", PLAIN), { message: /^"foo" is not a command/ });
});

const unfinished: [text: string, rest: string | undefined, lines: number][] = [
  ["curl -X PUT \\", undefined, 1],
  ["curl -d '{", "}' h", 1],
  ["curl -d 'a' h", "get b", 0],
  ["curl -d $(a 'b", undefined, 0],
  ["post /x {", undefined, 0],
  ["post /x {", '"a": [\n1]\n}\nget all', 3],
  ["post /x {", '"a": "}"', 1],
  ["post /x", "{\n}\nget all", 2],
  ["PUT A X-A:b", '\n{"a":1}', 2],
  ["post /x {}", "{}", 0],
  ["post /x '{}'", "get all", 0],
  ["get all", "[x]", 1],
  ["header X: {", "}", 0],
  ["help", "{", 0],
  ["post 'x", "{", 0],
];

for (const [text, rest, lines] of unfinished) {
  Deno.test(`${lines} lines follow ${JSON.stringify(text)} before ${JSON.stringify(rest)}`, () => {
    assert.equal(linesAfter(text, rest), lines);
  });
}
