import assert from "node:assert/strict";
import { FileExplainer, type Placed } from "../../lib/exchange.ts";
import { octetString, wireOctets } from "../wire_cases.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
const EXPECT = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

function explained(pieces: readonly Uint8Array[], crlf = false, answers: readonly string[] = []): Placed[] {
  const methods = [...answers];
  const explainer = new FileExplainer({ answers: () => methods.shift(), crlf });
  const placed: Placed[] = [];
  for (const piece of pieces) {
    const copy = piece.slice();
    explainer.receive(copy);
    placed.push(...explainer.take());
    // A reader reuses its memory.
    copy.fill(0x78);
  }
  explainer.end();
  return [...placed, ...explainer.take()];
}

/** One line a message: offset, kind and number, state, octets of content or the label of what is no message. */
function shown(placed: readonly Placed[]): string[] {
  return placed.map(({ explanation: { kind, message, state, rows }, at }) => {
    const content = rows.filter((row) => row.kind === "content").map(({ octets }) => octets).join("");
    const name = kind === "unread"
      ? rows[0].label
      : `${message!.interim ? "interim " : ""}${kind} ${message!.exchange.number}`;
    return [`${at} ${name}`, ...state === "whole" ? [] : [state], ...content === "" ? [] : [content]].join(", ");
  });
}

const cases: [what: string, file: string, messages: string[]][] = [
  ["requests and responses in turn", GET + OK + POST + OK, [
    "0 request 1",
    "27 response 1, ok",
    "67 request 2, ab",
    "116 response 2, ok",
  ]],
  ["pipelined requests", GET + GET + OK + OK, [
    "0 request 1",
    "27 request 2",
    "54 response 1, ok",
    "94 response 2, ok",
  ]],
  ["a response to HEAD", GET.replace("GET", "HEAD") + OK.slice(0, -2) + GET, [
    "0 request 1",
    "28 response 1",
    "66 request 2",
  ]],
  ["responses alone", OK + OK, ["0 response 1, ok", "40 response 2, ok"]],
  ["responses, the first of whose requests is not there", OK + GET + OK, [
    "0 response 1, ok",
    "40 request 2",
    "67 response 2, ok",
  ]],
  [
    "an interim response within a request",
    `${EXPECT}HTTP/1.1 100 Continue\r\n\r\nab${OK}`,
    ["0 request 1, ab", "69 interim response 1", "96 response 1, ok"],
  ],
  [
    "a refusal in place of 100, and another request",
    `${EXPECT}HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n${GET}`,
    ["0 request 1, incomplete", "69 response 1", "107 request 2"],
  ],
  [
    "a refusal in place of 100, and the content all the same",
    `${EXPECT}HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\nab`,
    ["0 request 1, ab", "69 response 1"],
  ],
  ["content that spells a response", EXPECT + "HT", ["0 request 1, HT"]],
  ["a request that ends the connection", GET.replace("1.1", "1.0") + OK, ["0 request 1", "27 response 1, ok"]],
  ["a line end too many after content", `${POST}\n`, [
    "0 request 1, ab",
    "49 one line end too many after the content, broken",
  ]],
  ["CR LF too many after content", `${POST}\r\n${GET}`, [
    "0 request 1, ab",
    "49 one line end too many after the content",
    "51 request 2",
  ]],
  [
    "line ends too many after a response",
    `${GET}${OK}\n\n${GET}`,
    ["0 request 1", "27 response 1, ok", "67 2 line ends too many after the content, broken", "69 request 2"],
  ],
  ["a line end too many after a head", `${GET}\n`, [
    "0 request 1",
    "27 one line end too many after the request, broken",
  ]],
  ["an empty line before a request", `${GET}\r\n${GET}`, ["0 request 1", "27 request 2"]],
  ["an empty line at the end", `${GET}\r\n`, ["0 request 1", "27 an empty line before a request is ignored"]],
  ["octets that are no message", `${OK}${"\0".repeat(12)}`, ["0 response 1, ok", "40 response 2, broken"]],
  ["octets that are no message behind both", `${GET}${OK}${"\0".repeat(12)}`, [
    "0 request 1",
    "27 response 1, ok",
    "67 response 2, broken",
  ]],
  ["the start of a word", "HT", ["0 response 1, incomplete"]],
  ["a request that expects an answer to no content", EXPECT.replace("Length: 2", "Length: 0"), ["0 request 1"]],
];

for (const [what, file, messages] of cases) {
  Deno.test(`a file is explained of ${what}, however it is read`, () => {
    const octets = wireOctets(file);
    assert.deepEqual(shown(explained([octets])), messages);
    assert.deepEqual(shown(explained(Array.from(octets, (octet) => Uint8Array.of(octet)))), messages);
    for (let at = 1; at < octets.length; at += 5) {
      assert.deepEqual(shown(explained([octets.subarray(0, at), octets.subarray(at)])), messages);
    }
    // Rows cover every octet once.
    for (const { explanation: { rows, length } } of explained([octets])) {
      assert.equal(rows.reduce((at, { start, end }) => at === start ? end : NaN, 0), length);
    }
  });
}

Deno.test("line ends are converted in both directions", () => {
  const file = wireOctets((GET + OK + POST + OK).replaceAll("\r", "") + "\n");
  assert.deepEqual(shown(explained([file], true)), [
    ...["0 request 1", "27 response 1, ok", "67 request 2, ab", "116 response 2, ok"],
    "156 one line end too many after the content, broken",
  ]);
});

/** Files with LF line ends, where `~` is an LF of content. */
const withLF: [what: string, file: string, messages: string[], answers?: string[]][] = [
  ["content until the end", "HTTP/1.0 200 OK\n\n~~", ["0 response 1, \n\n"]],
  [
    "a response to HEAD",
    "HTTP/1.1 200 OK\nContent-Length: 99\n\nHTTP/1.1 200 No\nContent-Length: 2\n\n~~",
    ["0 response 1", "39 response 2, \n\n"],
    ["HEAD", "GET"],
  ],
  [
    "a response within a chunked request",
    "PUT / HTTP/1.1\nHost: a\nExpect: 100-continue\nTransfer-Encoding: chunked\n\nHTTP/1.1 100 Go\n\n1\n~\n0\n\nHTTP/1.1 204 No\n\n",
    ["0 request 1, \n", "77 interim response 1", "107 response 1"],
  ],
  ["another protocol", "HTTP/1.1 101 Go\n\nx~~", [
    "0 response 1",
    "19 no longer HTTP: the connection speaks another protocol",
  ]],
  ["a broken line", "GET / HTTP/1.1\nHost : a\n\n", ["0 request 1, broken"]],
];

for (const [what, file, messages, answers] of withLF) {
  Deno.test(`line ends are converted of ${what}, however it is read`, () => {
    const octets = wireOctets(file.replaceAll("~", "\n"));
    const whole = explained([octets], true, answers);
    assert.deepEqual(shown(whole), messages);
    assert.deepEqual(shown(explained(Array.from(octets, (octet) => Uint8Array.of(octet)), true, answers)), messages);
    for (const { kind, octets } of whole.flatMap(({ explanation }) => explanation.rows)) {
      if (!["content", "unread"].includes(kind)) assert.doesNotMatch(octets, /(?<!\r)\n/);
    }
  });
}

Deno.test("requests that nobody answers are forgotten in time, and memory is bounded", () => {
  const many = 3000;
  const explainer = new FileExplainer({ answers: () => undefined, crlf: false });
  for (let i = 0; i < many; i++) explainer.receive(wireOctets(GET));
  explainer.receive(wireOctets(OK));
  explainer.end();
  assert.equal(shown(explainer.take()).at(-1), `${many * GET.length} response ${many - 999}, ok`);
  assert.equal(octetString(wireOctets(OK)), OK);
});
