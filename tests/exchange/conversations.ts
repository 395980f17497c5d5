/** Conversations as data: what both sides send, in the order of arrival, and the exchanges that this is. */

import type { Direction } from "../../lib/exchange.ts";
import { wireOctets } from "../wire_cases.ts";

/** Octets of one read: the client's after `> `, the server's after `< `; or `FIN`; or after `>x `, octets that are lost. */
export type Turn = `${"<" | ">"}${" " | "x "}${string}`;

/** A conversation and its exchanges. */
export interface Conversation {
  readonly name: string;
  readonly turns: readonly Turn[];
  /**
   * For each exchange its request and its responses. `…` marks an incomplete message, `!` a broken one. Without a request:
   * `-` if nobody asked, `?` if it was not read.
   */
  readonly exchanges: readonly (readonly string[])[];
  /** Octets that are no message, and why. */
  readonly rest?: readonly string[];
}

/** One turn, as a listener is told it. */
export interface Step {
  readonly direction: Direction;
  readonly kind: "octets" | "fin" | "lost";
  readonly octets: Uint8Array;
}

/** Returns what a listener is told. That octets are lost is seen once the next ones of their direction come. */
export function stepsOf(turns: readonly Turn[]): Step[] {
  const steps: Step[] = [];
  const lost: Step[] = [];
  for (const turn of turns) {
    const direction = turn[0] === ">" ? "request" : "response";
    const octets = wireOctets(turn.slice(turn.indexOf(" ") + 1));
    const step = { direction, kind: turn.endsWith(" FIN") ? "fin" : "octets", octets } as const;
    if (turn[1] === "x") lost.push({ ...step, kind: "lost" });
    else {
      steps.push(...lost.filter((one) => one.direction === direction), step);
      lost.splice(0, Infinity, ...lost.filter((one) => one.direction !== direction));
    }
  }
  return steps;
}

/** Whether octets are lost, which only captures know. */
export function hasLosses({ turns }: Conversation): boolean {
  return turns.some((turn) => turn[1] === "x");
}

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_B = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD = "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n";
const PUT = "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
const CHUNKED = "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const UPGRADE = "GET /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const CONNECT = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
/** Its start line ends with a bare LF. */
const BARE_LF = "GET /l HTTP/1.1\nHost: a\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NO_OCTETS = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
const UNTIL_CLOSED = "HTTP/1.1 200 OK\r\n\r\nabc";
const BAD = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
const BAD_CLOSE = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TIMEOUT = "HTTP/1.1 408 Late\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const HINTS = "HTTP/1.1 103 Hints\r\n\r\n";
const SWITCHING = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const BROKEN = "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n";
const HELLO = "\x16\x03\x01\0\x05";

/** Names, turns, exchanges, and what is no message. */
const TABLE: [name: string, turns: Turn[], exchanges: string[][], rest?: string[]][] = [
  ["a request and its response", [`> ${GET}`, `< ${OK}`], [["GET /a", "200 OK"]]],
  [
    "messages in pieces",
    [`> ${GET.slice(0, 5)}`, `> ${GET.slice(5)}`, `< ${OK.slice(0, 20)}`, `< ${OK.slice(20)}`],
    [["GET /a", "200 OK"]],
  ],
  ["one after the other", [`> ${GET}`, `< ${OK}`, `> ${GET_B}`, `< ${OK}`], [["GET /a", "200 OK"], [
    "GET /b",
    "200 OK",
  ]]],
  ["pipelined requests", [`> ${GET}${GET_B}`, `< ${OK}`, `< ${OK}`], [["GET /a", "200 OK"], ["GET /b", "200 OK"]]],
  ["a pipelined HEAD, answered in one read", [`> ${GET}${HEAD}${GET_B}`, `< ${OK}${NO_OCTETS}${OK}`], [
    ["GET /a", "200 OK"],
    ["HEAD /h", "200 OK"],
    ["GET /b", "200 OK"],
  ]],
  ["a request without a response", [`> ${GET}`, "> FIN"], [["GET /a"]]],
  ["a request that waits for 100", [`> ${PUT}`, `< ${CONTINUE}`, "> hi", `< ${OK}`], [[
    "PUT /p",
    "100 Continue",
    "200 OK",
  ]]],
  ["early hints", [`> ${GET}`, `< ${HINTS}${OK}`], [["GET /a", "103 Hints", "200 OK"]]],
  ["a request that is answered before its content", [`> ${PUT}`, `< ${BAD}`], [["PUT /p …", "400 Bad"]]],
  ["a request whose content comes after its answer", [`> ${PUT}`, `< ${BAD}`, "> hi", `> ${GET}`, `< ${OK}`], [
    ["PUT /p", "400 Bad"],
    ["GET /a", "200 OK"],
  ]],
  ["a GET whose head never ends", ["> GET /a HTTP/1.1\r\nHost", `< ${TIMEOUT}no`, "< FIN"], [["GET /a …", "408 Late"]]],
  ["a HEAD whose head never ends", ["> HEAD /a HTTP/1.1\r\nHost", `< ${TIMEOUT}`, "< FIN"], [[
    "HEAD /a …",
    "408 Late",
  ]]],
  [
    "a HEAD that is answered before its head has ended",
    [`> ${HEAD.slice(0, -2)}`, `< ${NO_OCTETS}`, "> \r\n", `> ${GET}`, `< ${OK}`],
    [["HEAD /h", "200 OK"], ["GET /a", "200 OK"]],
  ],
  ["a method that never ends", ["> HE", `< ${TIMEOUT}no`, "< FIN"], [["HE …", "408 Late"]]],
  ["a 200 before the first request", [`< ${OK}`, `> ${GET}`, `< ${OK}`], [["-", "200 OK"], ["GET /a", "200 OK"]]],
  ["a 103 before the first request", [`< ${HINTS}`, `> ${GET}`, `< ${OK}`], [["-", "103 Hints"], ["GET /a", "200 OK"]]],
  ["a 103 and a 200 before the first request", [`< ${HINTS}${OK}`, `> ${GET}`, `< ${OK}`], [
    ["-", "103 Hints", "200 OK"],
    ["GET /a", "200 OK"],
  ]],
  [
    "a 408 before the first request",
    ["< HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", `> ${GET}`, `< ${OK}`],
    [["-", "408 Late"], ["GET /a", "200 OK"]],
  ],
  ["a 408 before the first request, that closes", [`< ${TIMEOUT}no`, "< FIN", `> ${GET}`], [["-", "408 Late"], [
    "GET /a",
  ]]],
  ["a 408 after an exchange", [`> ${GET}`, `< ${OK}`, `< ${TIMEOUT}no`, "< FIN"], [["GET /a", "200 OK"], [
    "-",
    "408 Late",
  ]]],
  ["a response that is cut off", [`> ${GET}`, `< ${OK.slice(0, -1)}`, "< FIN"], [["GET /a", "200 OK !"]]],
  ["half a response", [`> ${GET}`, `< ${OK.slice(0, -1)}`], [["GET /a", "200 OK …"]]],
  ["content until the end", [`> ${GET}`, `< ${UNTIL_CLOSED}`, "< FIN"], [["GET /a", "200 OK"]]],
  ["HTTP/1.0", ["> GET /a HTTP/1.0\r\n\r\n", "< HTTP/1.0 200 OK\r\n\r\nabc", "< FIN"], [["GET /a", "200 OK"]]],
  ["chunks and trailers", [
    `> ${CHUNKED}2\r\nhi\r\n0\r\nA: b\r\n\r\n`,
    "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na",
    "< \r\n0\r\n\r\n",
  ], [["PUT /c", "200 OK"]]],
  [
    "statuses without content",
    [
      `> ${GET}${GET_B}`,
      "< HTTP/1.1 204 No\r\n\r\n",
      "< HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n",
    ],
    [["GET /a", "204 No"], ["GET /b", "304 Same"]],
  ],
  ["an empty line between requests", [`> ${GET}`, `< ${OK}`, `> \r\n`, `> ${GET_B}`, `< ${OK}`], [
    ["GET /a", "200 OK"],
    ["GET /b", "200 OK"],
  ]],
  ["an empty line after the last request", [`> ${GET}\r\n`, `< ${OK}`, "> FIN"], [["GET /a", "200 OK"]], ["> empty"]],
  ["a FIN within a request", ["> GET /a", "> FIN", `< ${BAD}`], [["GET /a !", "400 Bad"]]],
  ["a FIN after a request", [`> ${GET}`, "> FIN", `< ${OK}`, "< FIN"], [["GET /a", "200 OK"]]],
  ["octets behind a response that closes", [`> ${GET}`, `< ${BAD_CLOSE}`, "< more"], [["GET /a", "400 Bad"]], [
    "< connection ends",
  ]],
  [
    "octets behind a request that closes",
    ["> GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", `< ${OK}`, "> more"],
    [["GET /a", "200 OK"]],
    ["> connection ends"],
  ],

  // Behind an error.
  ["a broken request", [`> ${BARE_LF}`, `< ${BAD_CLOSE}`, "< FIN"], [["GET /l !", "400 Bad"]]],
  ["a broken HEAD", ["> HEAD /h HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", `< ${TIMEOUT}`, "< FIN"], [[
    "HEAD /h !",
    "408 Late",
  ]]],
  ["octets behind a broken request", [`> ${BARE_LF}`, `< ${BAD_CLOSE}`, "> more", `> ${GET}`], [[
    "GET /l !",
    "400 Bad",
  ]]],
  ["a server that reads on behind a broken request", [`> ${BARE_LF}`, `< ${OK}`, `> ${GET}`, `< ${OK}`], [
    ["GET /l !", "200 OK"],
    ["GET /a", "200 OK"],
  ]],
  [
    "pipelined requests behind a broken one",
    [`> ${BARE_LF}`, `> more`, `> ${HEAD}${GET_B}`, `< ${OK}`, `< ${NO_OCTETS}${OK}`],
    [["GET /l !", "200 OK"], ["HEAD /h", "200 OK"], ["GET /b", "200 OK"]],
  ],
  [
    "a broken request behind a broken one, and a request behind both",
    [`> ${BARE_LF}`, `> ${BARE_LF}`, `> ${GET}`, `< ${OK}${OK}${OK}`],
    [["GET /l !", "200 OK"], ["GET /l !", "200 OK"], ["GET /a", "200 OK"]],
  ],
  ["a second response to a broken request", [`> ${BARE_LF}${GET}`, `< ${OK}`, `< ${OK}`], [["GET /l !", "200 OK"], [
    "?",
    "200 OK",
  ]]],
  ["a response that came before the request that is read again", [
    `> ${BARE_LF}`,
    `< ${OK}`,
    `< ${BAD}`,
    `> ${GET}`,
    `< ${OK}`,
  ], [["GET /l !", "200 OK"], ["?", "400 Bad"], ["GET /a", "200 OK"]]],
  ["broken chunks that are answered before", [`> ${CHUNKED}`, `< ${OK}`, "> zz\r\n", `> ${GET}`, `< ${OK}`], [
    ["PUT /c !", "200 OK"],
    ["GET /a", "200 OK"],
  ]],
  ["a second error", [`> ${BARE_LF}`, `< ${OK}`, `> ${GET}`, `< ${OK}`, `> ${BARE_LF}`, `< ${BAD}`, `> ${GET}`], [
    ["GET /l !", "200 OK"],
    ["GET /a", "200 OK"],
    ["GET /l !", "400 Bad"],
  ]],
  ["a broken response", [`> ${GET}${GET_B}`, `< ${BROKEN}ok`, `< ${OK}`], [["GET /a", " !"], ["GET /b"]]],
  ["a client that reads on behind a broken response", [`> ${GET}`, `< ${BROKEN}ok`, `> ${GET_B}`, `< ${OK}`], [
    ["GET /a", " !"],
    ["GET /b", "200 OK"],
  ]],
  [
    "a response behind a broken one, read once the client went on",
    [`> ${GET}${HEAD}`, `< ${BROKEN}ok`, `< ${NO_OCTETS}`, `> ${GET_B}`, `< ${OK}`],
    [["GET /a", " !"], ["HEAD /h", "200 OK"], ["GET /b", "200 OK"]],
  ],
  [
    "what looks like a response, before the request behind a broken one",
    [`> ${GET}`, `< ${BROKEN}`, `< ${BAD}`, `> ${GET_B}`, `< ${OK}`],
    [["GET /a", " !"], ["GET /b", "200 OK"], ["-", "400 Bad"]],
  ],

  // Other protocols.
  ["101", [`> ${UPGRADE}`, `< ${SWITCHING}\x01`, "> \x02"], [["GET /u", "101 Switching"]], [
    "> left HTTP",
    "< left HTTP",
  ]],
  ["101 with octets that came before it", [`> ${UPGRADE}\x02`, "> \x03", `< ${SWITCHING}`], [[
    "GET /u",
    "101 Switching",
  ]], ["> left HTTP"]],
  ["a 101 to a request without Upgrade", [`> ${GET}`, `< ${SWITCHING}${OK}`], [["GET /a", "101 Switching", "200 OK"]]],
  ["a 101 to half a request", [`> ${UPGRADE.slice(0, -2)}`, `< ${SWITCHING}`, "> \x02"], [[
    "GET /u …",
    "101 Switching",
  ]], ["> left HTTP"]],
  ["a 101 before the first request", [`< ${SWITCHING}\x01`, "> \x02"], [["-", "101 Switching"]], [
    "> left HTTP",
    "< left HTTP",
  ]],
  ["an upgrade that the server leaves out", [`> ${UPGRADE}${GET}`, `< ${OK}${OK}`, `> ${GET_B}`, `< ${OK}`], [
    ["GET /u", "200 OK"],
    ["GET /a", "200 OK"],
    ["GET /b", "200 OK"],
  ]],
  ["CONNECT", [`> ${CONNECT}`, "< HTTP/1.1 200 OK\r\n\r\n", `> ${HELLO}`, `< ${HELLO}`], [["CONNECT a:1", "200 OK"]], [
    "> left HTTP",
    "< left HTTP",
  ]],
  ["CONNECT and TLS in one packet", [`> ${CONNECT}${HELLO}`, "< HTTP/1.1 200 OK\r\n\r\n"], [[
    "CONNECT a:1",
    "200 OK",
  ]], ["> left HTTP"]],
  ["CONNECT, answered with a length", [`> ${CONNECT}`, `< ${NO_OCTETS}`, `< ${HELLO}`], [["CONNECT a:1", "200 OK"]], [
    "< left HTTP",
  ]],
  [
    "CONNECT, answered with chunks",
    [
      `> ${CONNECT}`,
      "< HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
    ],
    [["CONNECT a:1", "200 OK"]],
    ["< left HTTP"],
  ],
  ["a CONNECT that is refused", [
    `> ${CONNECT}`,
    "< HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno",
    `> ${GET}`,
    `< ${OK}`,
  ], [
    ["CONNECT a:1", "407 Who"],
    ["GET /a", "200 OK"],
  ]],
  ["a CONNECT that is refused, with a request behind it", [`> ${CONNECT}${HEAD}`, `< ${BAD}${NO_OCTETS}`], [
    ["CONNECT a:1", "400 Bad"],
    ["HEAD /h", "200 OK"],
  ]],
  ["a CONNECT without an answer", [`> ${CONNECT}${HELLO}`, `> ${HELLO}`], [["CONNECT a:1"]], ["> held"]],
  ["a request before CONNECT", [`> ${GET}${CONNECT}${HELLO}`, `< ${OK}`, "< HTTP/1.1 200 OK\r\n\r\n"], [
    ["GET /a", "200 OK"],
    ["CONNECT a:1", "200 OK"],
  ], ["> left HTTP"]],

  // Octets that are not in a capture.
  ["a lost response", [`> ${GET}`, `<x ${OK}`, `> ${GET_B}`, `< ${OK}`], [["GET /a"], ["GET /b", "200 OK"]]],
  ["a lost end of a response", [
    `> ${GET}`,
    `< ${OK.slice(0, -1)}`,
    `<x ${OK.slice(-1)}`,
    `> ${GET_B}`,
    `< ${OK}`,
  ], [["GET /a", "200 OK"], ["GET /b", "200 OK"]]],
  ["a lost request", [`> ${GET}`, `< ${OK}`, `>x ${GET}`, `< ${OK}`, `> ${GET_B}`, `< ${OK}`], [
    ["GET /a", "200 OK"],
    ["-", "200 OK"],
    ["GET /b", "200 OK"],
  ]],
];

export const CONVERSATIONS: readonly Conversation[] = TABLE.map(([name, turns, exchanges, rest]) => ({
  ...{ name, turns, exchanges, rest },
}));
