import assert from "node:assert/strict";
import { foreignForm } from "../../../lib/traffic/explain/foreign.ts";
import { wireOctets } from "../../wire_cases.ts";

const forms: [what: string, start: string][] = [
  ["text with a byte order mark", "\xef\xbb\xbfGET / HTTP/1.1\r\n"],
  ["text in UTF-16", "\xff\xfeG\0E\0T\0"],
  ["text in UTF-16", "\xfe\xff\0G\0E\0T"],
  ["text in UTF-16", "H\0T\0T\0P\0"],
  ["text in UTF-16", "\0P\0O\0S"],
  ["a HAR file", '{\n  "log": {\n    "version": "1.2",'],
  ["a HAR file", '{"log":{"version":"1.2","creator":{}'],
  ["a net-export log of Chromium", '{"constants":{"activeFieldTrialGroups":[]'],
  ["JSON of Wireshark", '[\n  {\n    "_index": "packets-2020-01-01",'],
  [
    "XML of Wireshark",
    '<?xml version="1.0" encoding="utf-8"?>\n<?xml-stylesheet type="text/xsl" href="pdml2html.xsl"?>\n<!-- You can find pdml2html.xsl in',
  ],
  ["XML of Wireshark", '<?xml version="1.0"?>\n<psml version="0" creator="wireshark/4.0">'],
  ["a list of packets", "No.     Time           Source                Destination"],
  ["a trace of curl", "== Info:   Trying 127.0.0.1:9999...\n"],
  ["a trace of curl", "12:00:00.123456 == Info:   Trying 127.0.0.1:9999...\n"],
  ["a trace of curl", "=> Send header, 78 bytes (0x4e)\n0000: 47 45"],
  ["what curl -v prints", "*   Trying 127.0.0.1:9999...\n* Connected to"],
  ["what curl -v prints", "> GET / HTTP/1.1\n> Host: a\n"],
  ["what curl -v prints", "< HTTP/1.1 200 OK\r\n"],
  ["what tcpdump prints", "12:34:56.789012 IP 127.0.0.1.40000 > 127.0.0.1.9999: Flags [S]"],
  ["what tcpdump prints", "2020-01-01 12:34:56.789012 IP6 ::1.40000 > ::1.9999: Flags [S]"],
  ["what tcpdump prints", "1577836800.123456 lo    In  IP 127.0.0.1.40000 > 127.0.0.1.9999: Flags [P.]"],
  ["what tcpdump prints", "IP 127.0.0.1.40000 > 127.0.0.1.9999: Flags [P.]"],
  ["flows of mitmproxy", "4578:9:websocket;0:~8:response;"],
  ["a dump in hexadecimal", "00000000: 4745 5420 2f20 4854  GET / HT\n"],
  ["a dump in hexadecimal", "00000000  47 45 54 20 2f 20 48 54  |GET / HT|\n"],
  ["a dump in hexadecimal", "0000000 042507 020124\n"],
  ["a .http file", "### list\nGET http://localhost:9999/ HTTP/1.1\n"],
  ["a .http file", "@host = localhost:9999\nGET http://{{host}}/"],
  ["a .http file", "# @name list\nGET http://localhost:9999/\n"],
  ["a .http file", "// list\nGET http://localhost:9999/\n"],
  ["a .http file", "GET https://example.com/comments/1\n"],
  ["a .http file", "https://example.com/comments/1\n"],
  ["a .http file", "GET {{host}}/comments/1 HTTP/1.1\n"],
  ["a dump in hexadecimal", "\t0x0000:  4500 003c 1c46 4000"],
  ["a stream that Wireshark followed", `${"=".repeat(67)}\nFollow: tcp,ascii\nFilter: tcp.stream eq 0\n`],
  ["a stream that Wireshark followed", "# Packet 4\npeer0_0: !!binary |\n"],
  ["a stream that Wireshark followed", "peers:\n  - peer: 0\n"],
  ["a stream that Wireshark followed", "char peer0_0[] = { /* Packet 4 */\n"],
  ["a command line of curl", "curl -X POST http://localhost:9999/a -d '{}'"],
  ["a command line of curl", "$ curl http://localhost:9999/\n"],
  ["a call of fetch", 'await fetch("http://localhost:9999/", {\n'],
  ["a command of PowerShell", "Invoke-WebRequest -UseBasicParsing -Uri "],
];

for (const [what, start] of forms) {
  Deno.test(`${what} is named by ${JSON.stringify(start.slice(0, 24))}, in one line that says what to do instead`, () => {
    const line = foreignForm(wireOctets(start))!;
    assert(line.startsWith(`is ${what}, which has no octets of messages: `), line);
    assert.match(line, /: .+; .+$/);
    assert(!line.includes("\n"));
  });
}

const messages = [
  "GET / HTTP/1.1\r\n",
  "GET / HTTP/1.1\n",
  "GET http://a/ HTTP/1.1\n",
  "GET http://a/\r\n",
  "PURGE /a HTTP/1.1\r\n",
  "HTTP/1.1 200 OK\r\n",
  "\r\nGET / HTTP/1.1\r\n",
  "GARBAGE",
  "\0\0\0\0",
  "\x16\x03\x01",
  "",
];

for (const start of messages) {
  Deno.test(`what begins with ${JSON.stringify(start)} may be messages`, () => {
    assert.equal(foreignForm(wireOctets(start)), undefined);
  });
}
