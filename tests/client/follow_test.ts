import assert from "node:assert/strict";
import { type Done, followUp } from "../../lib/client/follow.ts";

const ENDPOINT = { secure: false, host: "127.0.0.1", port: 9999 };
const FIELDS = [["Host", "h"], ["Authorization", "s"], ["Cookie", "c"], ["Content-Type", "t"], ["X-A", "1"], [
  "Accept",
  "*/*",
]] as const;

function followed(
  method: string,
  status: number,
  location: string | undefined,
  target = "/a/b?c",
  endpoint = ENDPOINT,
) {
  const request = { method, target, fields: [...FIELDS] as [string, string][], content: new Uint8Array(1) };
  const done: Done = { endpoint, request, status, locations: location === undefined ? [] : [location] };
  const next = followUp(done);
  const { secure, host, port } = next.endpoint;
  const names = next.request.fields.map(([name]) => name).join(" ");
  return `${next.request.method} ${secure ? "s " : ""}${host} ${port} ${next.request.target} ${names}${
    next.request.content ? " +" : ""
  }`;
}

const SAME = "Authorization Cookie X-A Accept";
const cases: [what: string, shown: string, expected: string][] = [
  ["a new row", followed("POST", 201, "/x"), `GET 127.0.0.1 9999 /x ${SAME}`],
  ["303 (See Other)", followed("PUT", 303, "/x?y"), `GET 127.0.0.1 9999 /x?y ${SAME}`],
  ["303 of HEAD", followed("HEAD", 303, "/x"), `HEAD 127.0.0.1 9999 /x Authorization Cookie Content-Type X-A Accept +`],
  ["301 of POST", followed("POST", 301, "/x"), `GET 127.0.0.1 9999 /x ${SAME}`],
  ["302 of PUT", followed("PUT", 302, "/x"), `PUT 127.0.0.1 9999 /x Authorization Cookie Content-Type X-A Accept +`],
  ["307 of POST", followed("POST", 307, "/x"), `POST 127.0.0.1 9999 /x Authorization Cookie Content-Type X-A Accept +`],
  ["308", followed("POST", 308, "/x"), `POST 127.0.0.1 9999 /x Authorization Cookie Content-Type X-A Accept +`],
  [
    "a relative place",
    followed("GET", 302, "d"),
    `GET 127.0.0.1 9999 /a/d Authorization Cookie Content-Type X-A Accept +`,
  ],
  ["a place without a path", followed("POST", 303, "?d"), `GET 127.0.0.1 9999 /a/b?d ${SAME}`],
  ["another host", followed("POST", 303, "http://x.example/y"), "GET x.example 80 /y Accept"],
  ["another port", followed("POST", 303, "http://127.0.0.1:1/y"), "GET 127.0.0.1 1 /y Accept"],
  ["another scheme", followed("POST", 303, "https://127.0.0.1:9999/y"), "GET s 127.0.0.1 9999 /y Accept"],
  ["IPv6", followed("POST", 303, "http://[::1]:8/y"), "GET ::1 8 /y Accept"],
  ["UTF-8", followed("POST", 303, "/\xc3\xac?\xc3\xac"), `GET 127.0.0.1 9999 /%C3%AC?%C3%AC ${SAME}`],
  ["other octets", followed("POST", 303, "/\xec\xc3\xac?\xff"), `GET 127.0.0.1 9999 /%EC%C3%AC?%FF ${SAME}`],
  ["no other port than was asked for", followed("POST", 303, "http://127.0.0.1:0/y"), "GET 127.0.0.1 0 /y Accept"],
  ["a host in UTF-8", followed("POST", 303, "http://\xc3\xa4.example/"), "GET xn--4ca.example 80 / Accept"],
  [
    "the zone of an address",
    followed("POST", 303, "/y", "/", { ...ENDPOINT, host: "fe80::1%eth0" }),
    `GET fe80::1%eth0 9999 /y ${SAME}`,
  ],
  ["the asterisk", followed("OPTIONS", 303, "/x", "*"), `GET 127.0.0.1 9999 /x ${SAME}`],
];

for (const [what, shown, expected] of cases) {
  Deno.test(`a Location is followed: ${what}`, () => assert.equal(shown, expected));
}

Deno.test("of several Locations one is followed if they are equal; others are told", () => {
  const follow = (...locations: string[]) =>
    followUp({ endpoint: ENDPOINT, request: { method: "GET", target: "/", fields: [] }, status: 302, locations });
  assert.equal(follow("/a", "/a").request.target, "/a");
  assert.throws(() => follow("/a", "/\xc3\xac, b", "/a"), {
    message: 'the last response (302) has 2 Locations that differ: "/a", "/ì, b"',
  });
});

Deno.test("a missing or foreign Location is not followed", () => {
  for (const location of [undefined, "ftp://a/b", "http://", "mailto:a@b"]) {
    assert.throws(() => followed("GET", 302, location), { name: "WrongInput" });
  }
});

Deno.test("another server gets only fields known to be harmless, which is told", () => {
  const names = [
    "X-Api-Key",
    "Keyword",
    "If-Match",
    "Accept-Language",
    "Accept-Encoding",
    "USER-AGENT",
    "Content-Language",
  ];
  const fields = [...FIELDS, ...names.map((name) => [name, "v"])] as [string, string][];
  const request = { method: "PUT", target: "/", fields };
  const done: Done = { endpoint: ENDPOINT, request, status: 307, locations: ["http://x.example/"] };
  const other = followUp(done);
  const harmless = ["Accept", "Accept-Language", "USER-AGENT"];
  assert.deepEqual(other.request.fields.map(([name]) => name), harmless);
  assert.deepEqual(other.leftOut, [
    ...["Authorization", "Cookie", "Content-Type", "X-A", "X-Api-Key", "Keyword", "If-Match", "Accept-Encoding"],
    "Content-Language",
  ]);
  const withContent = followUp({ ...done, request: { ...request, content: new Uint8Array(1) } });
  assert.deepEqual(withContent.request.fields.map(([name]) => name), [
    ...["Content-Type", ...harmless, "Content-Language"],
  ]);
  assert.deepEqual(followUp({ ...done, locations: ["/x"] }).leftOut, []);
});
