import assert from "node:assert/strict";
import {
  credentialsIn,
  credentialsWithin,
  isCredentialField,
  maskCredentials,
  maskQuery,
  maskTarget,
  placeInMasked,
  starCredentials,
} from "../lib/masking.ts";
import { octetString, wireOctets } from "./wire_cases.ts";

const cases: [octets: string, masked: string, starred: string][] = [
  ["Authorization: Bearer abc", "Authorization: Bearer (3 octets)", "Authorization: **********"],
  ["authorization:Basic  YTpi\r\nX: y", "authorization:Basic  (4 octets)\r\nX: y", "authorization:***********\r\nX: y"],
  ["Authorization: abc def", "Authorization: (7 octets)", "Authorization: *******"],
  ["Authorization: ", "Authorization: ", "Authorization: "],
  ["A\r\nCookie: a=b; c\r\n\r\n", "A\r\nCookie: (6 octets)\r\n\r\n", "A\r\nCookie: ******\r\n\r\n"],
  ["SET-COOKIE: a b\nX: c", "SET-COOKIE: (3 octets)\nX: c", "SET-COOKIE: ***\nX: c"],
  ["Proxy-Authorization: Digest a", "Proxy-Authorization: Digest (1 octet)", "Proxy-Authorization: ********"],
  ["X-Api-Key: Basic", "X-Api-Key: (5 octets)", "X-Api-Key: *****"],
  // Continued lines, whatever they begin with.
  [
    "Cookie: a\r\n b\r\n\tcd\r\nX: y",
    "Cookie: (1 octet)\r\n (1 octet)\r\n\t(2 octets)\r\nX: y",
    "Cookie: *\r\n *\r\n\t**\r\nX: y",
  ],
  ["Cookie:\r\n Host: b", "Cookie:\r\n (7 octets)", "Cookie:\r\n *******"],
  ["Cookie\r\n ab", "Cookie\r\n (2 octets)", "Cookie\r\n **"],
  // What is no field, but looks like one.
  ["Cookie : ab", "Cookie : (2 octets)", "Cookie : **"],
  ["Cookie\tab", "Cookie\t(2 octets)", "Cookie\t**"],
  ["Cookie ab", "Cookie (2 octets)", "Cookie **"],
  ["Cookie\0: ab", "Cookie\0: (2 octets)", "Cookie\0: **"],
  ["X: y\r\n Cookie: ab", "X: y\r\n Cookie: (2 octets)", "X: y\r\n Cookie: **"],
  ["\t\0Cookie: ab", "\t\0Cookie: (2 octets)", "\t\0Cookie: **"],
  ["\xef\xbb\xbfCookie: ab", "\xef\xbb\xbfCookie: (2 octets)", "\xef\xbb\xbfCookie: **"],
  ["X: y\rCookie: ab\r\n", "X: y\rCookie: (2 octets)\r\n", "X: y\rCookie: **\r\n"],
  ["Cookie: a\rb\r\nX: y", "Cookie: (3 octets)\r\nX: y", "Cookie: ***\r\nX: y"],
  ["Cookie: a\0b\x01", "Cookie: (4 octets)", "Cookie: ****"],
  ["A\r\n\r\nCookie: ab", "A\r\n\r\nCookie: (2 octets)", "A\r\n\r\nCookie: **"],
  ["Authorization Bearer HTTP/1.1", "Authorization Bearer (8 octets)", "Authorization ***************"],
  // A password before a host.
  ["GET http://me:ab@c/ HTTP/1.1", "GET http://me:(2 octets)@c/ HTTP/1.1", "GET http://me:**@c/ HTTP/1.1"],
  ["CONNECT me:a@b@c:1 HTTP/1.1", "CONNECT me:(3 octets)@c:1 HTTP/1.1", "CONNECT me:***@c:1 HTTP/1.1"],
  ["GET /?a=http://:ab@c HTTP/1.1", "GET /?a=http://:(2 octets)@c HTTP/1.1", "GET /?a=http://:**@c HTTP/1.1"],
  ["Host:me:ab@c", "Host:me:(2 octets)@c", "Host:me:**@c"],
  ["Location: https://me:ab@c/", "Location: https://me:(2 octets)@c/", "Location: https://me:**@c/"],
  ["GET http://me:a1", "GET http://me:(2 octets)", "GET http://me:**"],
  ["CONNECT me:ab", "CONNECT me:(2 octets)", "CONNECT me:**"],
  ["Cookie: //me:ab@c", "Cookie: (9 octets)", "Cookie: *********"],
];
const unchanged = [
  "WWW-Authenticate: Basic realm=a\r\nProxy-Authenticate: Bearer\r\nSec-WebSocket-Key: a\r\n",
  "GET /Cookie: HTTP/1.1\r\nHost: a\r\nUser-Agent: a (mailto:b@c)\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT",
  "GET /me:ab@c HTTP/1.1\r\nHost: a:1\r\nFrom: a@b",
  "AUTH /a HTTP/1.1\r\n",
  "GET http://a:80",
  "CONNECT a:80",
  "ETag: a:b",
  '{"token":"a","session":"b"}',
];

for (const [octets, text, starred] of cases) {
  Deno.test(`credentials are masked in ${JSON.stringify(octets)}`, () => {
    assert.equal(maskCredentials(octets), text);
    const bytes = wireOctets(octets);
    assert.equal(octetString(starCredentials(bytes, credentialsIn(octets))), starred);
    assert.equal(octetString(bytes), octets, "what is kept stays as it was");
  });
}

for (const octets of unchanged) {
  Deno.test(`nothing is masked in ${JSON.stringify(octets)}`, () => assert.equal(maskCredentials(octets), octets));
}

const names: [isOne: boolean, names: string][] = [
  [
    true,
    "Authorization Cookie2 Authentication-Info X-Auth-Token X_API_KEY Key ApiKey X-CSRFToken X-Amz-Signature PHPSESSION",
  ],
  [
    false,
    "Host WWW-Authenticate Proxy-Authenticate Sec-WebSocket-Key Authority X-Author X-Monkey Keep-Alive Idempotency-Key",
  ],
  [false, "X-RateLimit-Limit-Tokens Access-Control-Allow-Headers Content-Type ETag"],
];

for (const [isOne, list] of names) {
  for (const name of list.split(" ")) {
    Deno.test(`${name} is ${isOne ? "a" : "no"} field with credentials`, () => {
      assert.equal(isCredentialField(name), isOne);
      assert.equal(isCredentialField(name.toLowerCase()), isOne);
      assert.equal(maskCredentials(`${name}: a\r\n`) !== `${name}: a\r\n`, isOne);
    });
  }
}

const targets: [target: string, masked: string][] = [
  ["http://me:ab@c/", "http://me:(2 octets)@c/"],
  ["me:ab@c:1", "me:(2 octets)@c:1"],
  ["/me:ab@c", "/me:ab@c"],
  ["/?u=http://me:ab@c", "/?u=http://me:(2 octets)@c"],
];

for (const [target, masked] of targets) {
  Deno.test(`the target ${target} is told as ${masked}`, () => assert.equal(maskTarget(target), masked));
}

const places: [name: string, line: string, at: number, place: number][] = [
  ["before a credential", "Cookie : abc", 6, 6],
  ["of a credential", "Cookie: abc", 9, 8],
  ["of a scheme", "Authorization: Basic abc", 17, 17],
  ["after a scheme", "Authorization: Basic abc", 23, 21],
  ["behind a credential", "Cookie: abcdefghijkl\n", 20, 19],
  ["behind a scheme", "Authorization: Basic abcdefghijkl\n", 33, 32],
  ["behind all", "Cookie: abcdefghijkl", 20, 19],
  ["behind two", "GET //a:b@c?d=//a:b@c \0", 22, 38],
  ["of a line without one", "A: b\r\n", 4, 4],
];

for (const [name, line, at, place] of places) {
  Deno.test(`the place in a masked line of an octet ${name}`, () => {
    const found = credentialsIn(line);
    assert.equal(placeInMasked(line, found, at), place);
    if (at < line.length && !found.some(({ start, end }) => start <= at && at < end)) {
      assert.equal(maskCredentials(line, found)[place], line[at]);
    }
  });
}

Deno.test("parts of credentials count from the start of what is shown", () => {
  const found = credentialsIn("Cookie: abc\r\n de");
  assert.deepEqual(found, [{ start: 8, end: 11 }, { start: 14, end: 16 }]);
  assert.deepEqual(credentialsWithin(found, 10, 15), [{ start: 0, end: 1 }, { start: 4, end: 5 }]);
  assert.deepEqual(credentialsWithin(found, 11, 14), []);
});

Deno.test("the time to find credentials grows only with the octets", () => {
  // With anything quadratic, any of these would take minutes.
  const lines = [
    "a",
    "//",
    "\r\n",
    " ",
    "\t\0",
    "Cookie: a\r\n",
    "//a:",
    "//a:b@\n",
    "\n \n",
    "X\n://",
    "auth",
    "host:",
  ];
  for (const line of lines) credentialsIn(`${line.repeat(2 ** 20 / line.length)}@`);
});

Deno.test("credentials in a query are told by their length, by their names", () => {
  assert.equal(
    maskQuery("/token=a?x=1&access_token=abc&api%5Fkey=d&y=token"),
    "/token=a?x=1&access_token=(3 octets)&api%5Fkey=(1 octet)&y=token",
  );
});
