import assert from "node:assert/strict";
import { HttpError } from "../../../lib/http/error.ts";
import { PageAccess, SECURITY_FIELDS } from "../../../lib/traffic/live/access.ts";
import { requestOf } from "../../support.ts";

const access = new PageAccess(9998, "k3y");

/** The status of a request, or whether it brings the key. */
function check(target: string, fields = "", host = "127.0.0.1:9998"): number | boolean {
  try {
    return access.check(requestOf(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`));
  } catch (error) {
    assert(error instanceof HttpError);
    return error.status;
  }
}

const COOKIE = "Cookie: a=b; wiretable-9998=k3y\r\n";
const cases: [name: string, outcome: number | boolean, ...Parameters<typeof check>][] = [
  ["files need no key", false, "/"],
  ["the key may come with the page", true, "/?key=k3y"],
  ["a wrong key is refused for the page", 403, "/?key=other"],
  ["a wrong key is refused for a file", 403, "/page.css?key=k3yy"],
  ["one of two keys may not be wrong", 403, "/?key=k3y&key=x"],
  ["what is live needs the key", 403, "/live/events"],
  ["the cookie is the key", false, "/live/events", COOKIE],
  ["the key in the query is", true, "/live/events?key=k3y"],
  ["a wrong cookie is refused", 403, "/live/events", "Cookie: wiretable-9998=no\r\n"],
  ["another port's cookie is none", 403, "/live/events", "Cookie: wiretable-9997=k3y\r\n"],
  ["another host is refused for a file", 421, "/page.js", "", "evil.example:9998"],
  ["another host is refused with the key", 421, "/live/events?key=k3y", "", "evil.example"],
  ["another port is another host", 421, "/", "", "127.0.0.1:9999"],
  ["localhost is this one", false, "/", "", "LOCALHOST:9998"],
  ["another origin is refused", 403, "/live/events", `${COOKIE}Origin: http://127.0.0.1:9999\r\n`],
  ["its other name is another origin", 403, "/live/events", `${COOKIE}Origin: http://localhost:9998\r\n`],
  ["no origin at all is refused", 403, "/live/events", `${COOKIE}Origin: null\r\n`],
  ["its own origin is not", false, "/live/events", `${COOKIE}Origin: http://127.0.0.1:9998\r\n`],
  ["another port's page is refused", 403, "/live/events", `${COOKIE}Sec-Fetch-Site: same-site\r\n`],
  ["another site's page is refused", 403, "/live/events", `${COOKIE}Sec-Fetch-Site: cross-site\r\n`],
  ["an https target is refused", 421, "https://127.0.0.1:9998/"],
  ["an http target is not", false, "http://127.0.0.1:9998/"],
  ["its own page is not", false, "/live/events", `${COOKIE}Sec-Fetch-Site: same-origin\r\n`],
];

for (const [name, outcome, ...request] of cases) {
  Deno.test(`access to the page: ${name}`, () => assert.equal(check(...request), outcome));
}

Deno.test("the cookie goes to what is live only, and to no other site", () => {
  assert.deepEqual(access.cookie, [
    "Set-Cookie",
    "wiretable-9998=k3y; HttpOnly; SameSite=Strict; Path=/live/",
  ]);
});

Deno.test("a page on port 80 has that port without its number, too", () => {
  const access = new PageAccess(80, "k3y");
  for (const host of ["127.0.0.1", "localhost", "127.0.0.1:80", "localhost:"]) {
    const origin = `http://${host.replace(/:.*/, "")}`;
    const request = requestOf(`GET /live/events?key=k3y HTTP/1.1\r\nHost: ${host}\r\nOrigin: ${origin}\r\n\r\n`);
    assert(access.check(request));
  }
  for (const host of ["127.0.0.1:9998", "127.0.0.1:8080", "evil.example"]) {
    const request = requestOf(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    assert.throws(() => access.check(request), { status: 421 });
  }
  assert.throws(() => new PageAccess(8080, "k3y").check(requestOf("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")), {
    status: 421,
  });
});

Deno.test("a browser is told to run and to show the page's own files only", () => {
  const [[, policy], ...others] = SECURITY_FIELDS;
  assert.equal(
    policy,
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
      "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  );
  assert.deepEqual(others.map((field) => field.join(": ")), [
    "X-Content-Type-Options: nosniff",
    "Cache-Control: no-store",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Resource-Policy: same-origin",
  ]);
});
