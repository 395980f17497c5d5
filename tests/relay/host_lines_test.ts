import assert from "node:assert/strict";
import { headEnd, hostLines, unfinishedHost } from "../../lib/relay/host_lines.ts";

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
  assert.equal(headEnd("a\r\n\r\nb", 0), 5);
  assert.equal(headEnd("a\n\nb", 0), 3);
  assert.equal(headEnd("\r\n\r\na\n\r\nb", 0), 8);
  assert.equal(headEnd("a\r\n", 0), undefined);
  assert.equal(headEnd("aaaa\r\n\r\n", 7), 8);
});
