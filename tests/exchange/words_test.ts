import assert from "node:assert/strict";
import { FIELD_MEANINGS, METHOD_MEANINGS, STATUS_CLASSES, STATUS_MEANINGS } from "../../lib/exchange/words.ts";

Deno.test("methods, statuses and fields have one line and a section each", () => {
  const all = [...Object.values(METHOD_MEANINGS), ...Object.values(STATUS_MEANINGS), ...FIELD_MEANINGS.values()];
  for (const [text, rule] of [...all, ...STATUS_CLASSES]) {
    assert.match(text, /^\S[^\n]*[^.\s]$/);
    assert(text.length <= 64, text);
    assert.match(rule, / §[\dB]/);
  }
  assert.equal(Object.keys(METHOD_MEANINGS).length, 9);
  for (const name of FIELD_MEANINGS.keys()) assert.equal(name, name.toLowerCase());
});

Deno.test("every status of the registry has a meaning", () => {
  const ranges = [[100, 103], [200, 208], [226, 226], [300, 308], [400, 418], [421, 426], [428, 429], [431, 431]];
  const more = [[451, 451], [500, 508], [510, 511]];
  const registered = [...ranges, ...more].flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => first + i)
  );
  assert.deepEqual(Object.keys(STATUS_MEANINGS).map(Number), registered);
});

/** The fields of RFC 9110, 9111 and 9112 by section, and the well-known ones of other specifications. */
const SECTIONS: Readonly<Record<string, string>> = {
  "RFC 9110": "accept 12.5.1, accept-charset 12.5.2, accept-encoding 12.5.3, accept-language 12.5.4, " +
    "accept-ranges 14.3, allow 10.2.1, authentication-info 11.6.3, authorization 11.6.2, connection 7.6.1, " +
    "content-encoding 8.4, content-language 8.5, content-length 8.6, content-location 8.7, content-range 14.4, " +
    "content-type 8.3, date 6.6.1, etag 8.8.3, expect 10.1.1, from 10.1.2, host 7.2, if-match 13.1.1, " +
    "if-modified-since 13.1.3, if-none-match 13.1.2, if-range 13.1.5, if-unmodified-since 13.1.4, " +
    "last-modified 8.8.2, location 10.2.2, max-forwards 7.6.2, proxy-authenticate 11.7.1, " +
    "proxy-authentication-info 11.7.3, proxy-authorization 11.7.2, range 14.2, referer 10.1.3, retry-after 10.2.3, " +
    "server 10.2.4, te 10.1.4, trailer 6.6.2, upgrade 7.8, user-agent 10.1.5, vary 12.5.5, via 7.6.3, " +
    "www-authenticate 11.6.1",
  "RFC 9111": "age 5.1, cache-control 5.2, expires 5.3, pragma 5.4, warning 5.5",
  "RFC 9112": "transfer-encoding 6.1, mime-version B.1",
  "RFC 5789": "accept-patch 3.1",
  "RFC 6265": "cookie 4.2, set-cookie 4.1",
  "RFC 6454": "origin 7",
  "RFC 8288": "link 3",
  "RFC 7239": "forwarded 4, x-forwarded-for 7.4",
  "RFC 2068": "keep-alive 19.7.1",
  "RFC 6266": "content-disposition 4",
  "RFC 6797": "strict-transport-security 6.1",
  "RFC 7838": "alt-svc 3",
  "RFC 9218": "priority 5",
  "CSP Level 3": "content-security-policy 3.1",
  "Fetch": "access-control-allow-origin 3.3.3, access-control-request-method 3.3.2, x-content-type-options 3.6",
  "Fetch Metadata": "sec-fetch-dest 2.1, sec-fetch-mode 2.2, sec-fetch-site 2.3, sec-fetch-user 2.4",
};

for (const [specification, fields] of Object.entries(SECTIONS)) {
  Deno.test(`fields are explained with their sections of ${specification}`, () => {
    for (const field of fields.split(", ")) {
      const [name, section] = field.split(" ");
      assert.equal(FIELD_MEANINGS.get(name)?.[1], `${specification} §${section}`, name);
    }
  });
}
