import assert from "node:assert/strict";
import { masked } from "../../lib/traffic/masking.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

const cases: [name: string, message: string, shown: string][] = [
  [
    "a token",
    "GET / HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n",
    "GET / HTTP/1.1\r\nAuthorization: **********\r\n\r\n",
  ],
  ["in any case, without a blank", "A\r\ncOOKIE:a=b\r\nX: y\r\n\r\n", "A\r\ncOOKIE:***\r\nX: y\r\n\r\n"],
  ["a cookie that is set", "A\r\nSet-Cookie: s=1\r\n\r\n", "A\r\nSet-Cookie: ***\r\n\r\n"],
  ["for a proxy", "A\r\nProxy-Authorization: q\r\n\r\n", "A\r\nProxy-Authorization: *\r\n\r\n"],
  ["bare line feeds", "A\nCookie: q\n\n", "A\nCookie: *\n\n"],
  ["a blank before the colon", "A\r\nCookie : q\r\n\r\n", "A\r\nCookie : *\r\n\r\n"],
  ["a folded line", "A\r\nCookie: q\r\n rs\r\nX: y\r\n\r\n", "A\r\nCookie: *\r\n **\r\nX: y\r\n\r\n"],
  ["a line that is cut off", "A\r\nCookie: secr", "A\r\nCookie: ****"],
  ["not content", "A\r\nX: y\r\n\r\nCookie: q\r\n", "A\r\nX: y\r\n\r\nCookie: q\r\n"],
  ["not another field", "A\r\nX-Cookie: q\r\n\r\n", "A\r\nX-Cookie: q\r\n\r\n"],
  ["no field line", "A\r\nCookie\r\nX: y\r\n\r\n", "A\r\nCookie\r\nX: y\r\n\r\n"],
];

for (const [name, message, shown] of cases) {
  Deno.test(`credentials are masked: ${name}`, () => {
    const octets = wireOctets(message);
    assert.equal(octetString(masked(octets)), shown);
    assert.equal(octetString(octets), message, "what is kept stays as it was");
  });
}
