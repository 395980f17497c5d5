import assert from "node:assert/strict";
import { Pairing } from "../../lib/exchange.ts";
import { headEnd, HostGate, hostLines, HostRule, unfinishedHost } from "../../lib/relay/gate.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

/** Passes octets through a gate, in these pieces, and their end. Returns what has passed, and why no more did. */
function pass(pieces: readonly string[], answers: readonly string[] = []): { passed: string; refused: boolean } {
  const rule = new HostRule({ secure: false, host: "api.example", port: 80 }, false, false);
  const pairing: Pairing = new Pairing((event) => gate.receive(event));
  const gate: HostGate = new HostGate(pairing, rule, () => {});
  let passed = "";
  pieces.forEach((piece, i) => {
    if (gate.refusal !== undefined) return;
    const octets = wireOctets(piece);
    pairing.octets("request", octets);
    passed += octetString(gate.pass(octets));
    if (answers[i] !== undefined) pairing.octets("response", wireOctets(answers[i]));
  });
  if (gate.refusal === undefined) {
    pairing.fin("request");
    passed += octetString(gate.pass(new Uint8Array(0), true));
  }
  return { passed, refused: gate.refusal !== undefined };
}

/** Numbers that look random, the same ones each time (mulberry32). */
function randoms(seed: number): (most: number) => number {
  return (most) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) % most;
  };
}

function cut(octets: string, random: (most: number) => number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < octets.length;) {
    const end = at + 1 + random(random(3) === 0 ? 3 : 60);
    pieces.push(octets.slice(at, end));
    at = end;
  }
  return pieces;
}

const VALID = [
  "GET /a HTTP/1.1\r\nHost: localhost:9997\r\n\r\n",
  "\r\nHEAD /b HTTP/1.1\r\nA: b\r\nHOST:localhost\t\r\n\r\n",
  "POST /c HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 22\r\n\r\nHost: evil.example\r\n\r\n",
  "PUT /d HTTP/1.1\r\nHost: api.example\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nHost: evil.example\r\n\r\n0\r\n\r\n",
  "GET http://api.example/e HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
];

Deno.test("valid requests pass alike in whatever pieces they come", () => {
  const random = randoms(1);
  for (let i = 0; i < 500; i++) {
    const octets = Array.from({ length: 1 + random(5) }, () => VALID[random(VALID.length)]).join("");
    const whole = pass([octets]);
    assert.equal(whole.refused, false);
    assert.equal(whole.passed.replace(/\[::1\]:1|127\.0\.0\.1|localhost(?::9997)?/g, "api.example"), whole.passed);
    assert.deepEqual(pass(cut(octets, random)), whole);
  }
});

Deno.test("nothing of a refused head passes, not even the Host that it would have got", () => {
  const refused = "GET / HTTP/1.1\r\nHost: localhost\r\nBad\x01: a\r\n\r\nHost: evil.example\r\n\r\n";
  assert.deepEqual(pass([refused]), { passed: "", refused: true });
  const { passed } = pass([VALID[4]]);
  assert.deepEqual(pass([VALID[4] + refused]), { passed, refused: true });
});

const changes: [what: string, octets: string, changed: string[]][] = [
  ["another Host", VALID[0], ["localhost:9997 to api.example at 23"]],
  ["the server's own Host", VALID[3], []],
  ["the Host of a refused request", "GET ftp://a/ HTTP/1.1\r\nHost: localhost\r\n\r\n", []],
];
for (const [what, octets, changed] of changes) {
  Deno.test(`what is reported as changed of ${what}`, () => {
    const reported: string[] = [];
    const rule = new HostRule({ secure: false, host: "api.example", port: 80 }, false, false);
    const pairing: Pairing = new Pairing((event) => gate.receive(event));
    const gate: HostGate = new HostGate(pairing, rule, ({ from, to, start }) => {
      reported.push(`${from} to ${to} at ${start}`);
    });
    pairing.octets("request", wireOctets(octets));
    assert.deepEqual(reported, changed);
  });
}

const FRAGMENTS = [
  ...VALID,
  "GET /| HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET / HTTP/1.1\nHost: localhost\n\n",
  "POST /{ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n",
  "GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
  ...["host", "HoSt :", "Host:", " evil.example", "evil.example\r\n", "\r", "\n", "\r\n", " ", "\t", "\0", "a", ":"],
  "Host: evil.example\r\n",
  "GET /x HTTP/1.1\r\nHost: evil.example\r\n\r\n",
  "Host: localhost\r\n",
];
const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

Deno.test("whatever comes, no line passes behind a fault that a receiver may read as another Host", () => {
  const random = randoms(2);
  let faults = 0;
  for (let i = 0; i < 5000; i++) {
    const broken = FRAGMENTS[VALID.length + random(4)];
    const rest = Array.from(
      { length: random(8) },
      () => FRAGMENTS[VALID.length + random(FRAGMENTS.length - VALID.length)],
    );
    const octets = broken + rest.join("");
    const { passed, refused } = pass(cut(octets, random), Array.from({ length: random(9) }, () => ANSWER));
    for (const { value } of hostLines(passed, true)) {
      assert.match(value, /^(?:api\.example|localhost)?$/, JSON.stringify({ octets, passed }));
    }
    if (refused) faults++;
    else {assert.equal(
        passed.replaceAll("api.example", "localhost").length,
        octets.length,
        JSON.stringify({ octets, passed }),
      );}
  }
  assert(faults > 500 && faults < 5000);
});

const lines: [octets: string, values: string[]][] = [
  ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["a"]],
  ["GET / HTTP/1.1\nhOST\t:\x0b a \n\n", ["a"]],
  ["A: b\rHost:a\r\n", ["a"]],
  ["A: b\r\n \0Host:a\r\nHost: b\r\n", ["a", "b"]],
  ["Host:\r\n a\r\n\tb\r\nC: d", ["a\r\n\tb"]],
  ["X-Host: a\r\nA: Host: b\r\nHosts: c\r\n", []],
  ["Host: \r\n\r\n", [""]],
];
for (const [octets, values] of lines) {
  Deno.test(`lines that may be Host: ${JSON.stringify(octets)}`, () => {
    const found = hostLines(octets, true);
    assert.deepEqual(found.map(({ value }) => value), values);
    for (const { value, start } of found) assert.equal(octets.slice(start, start + value.length), value);
  });
}

Deno.test("octets in the middle of a line are no Host", () => {
  assert.deepEqual(hostLines("host: a\r\n", false), []);
  assert.equal(unfinishedHost("ho", false), 2);
});

const unfinished: [octets: string, from: number][] = [
  ["abc\r\n", 5],
  ["abc\r\nh", 5],
  ["abc\r\nHo", 5],
  ["abc\r\n \tHOST ", 5],
  ["abc\r\nhost: a", 5],
  ["abc\r\nhost: a\r\n", 5],
  ["abc\r\nhost: a\r\n b", 5],
  ["abc\r\nhost: a\r\nb", 15],
  ["abc\r\nhosts", 10],
  ["abc", 3],
  ["ho", 0],
];
for (const [octets, from] of unfinished) {
  Deno.test(`what may yet become Host: ${JSON.stringify(octets)}`, () => {
    assert.equal(unfinishedHost(octets, true), from);
  });
}

Deno.test("a head ends with an empty line, with whatever line ends", () => {
  assert.equal(headEnd("a\r\n\r\nb"), 5);
  assert.equal(headEnd("a\n\nb"), 3);
  assert.equal(headEnd("\r\n\r\na\n\r\nb"), 8);
  assert.equal(headEnd("a\r\n"), undefined);
});
