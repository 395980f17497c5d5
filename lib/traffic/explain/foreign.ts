/** Recognises files that describe messages, but do not have their octets. */

import { octetString } from "../../bytes.ts";

/** How many of a file's first octets show what it is. */
export const FOREIGN_OCTETS = 256;

const RECORD = "record the octets with Wireshark, tcpdump or connect --record";
const RUN = "send it with connect";
const SAVE = "save the capture itself as pcapng";
/** What a file starts with, what it is, why it has no octets of messages, and what to do instead. */
const FORMS: readonly [start: RegExp, what: string, why: string, instead: string][] = [
  [/^\xef\xbb\xbf/, "text with a byte order mark", "no message starts with one", "save it as UTF-8 without BOM"],
  [
    /^(?:\xff\xfe|\xfe\xff|[A-Z]\0[A-Z]\0|\0[A-Z]\0[A-Z])/,
    "text in UTF-16",
    "a message has one octet for each character",
    "save it as UTF-8 without BOM (PowerShell: Out-File -Encoding ascii)",
  ],
  [/^\s*\{\s*"log"\s*:/, "a HAR file", "it has fields and content as a browser understood them", RECORD],
  [/^\s*\{\s*"constants"\s*:/, "a net-export log of Chromium", "it has events, not what was sent", RECORD],
  [/^\s*\[\s*\{\s*"_index"\s*:/, "JSON of Wireshark", "it has fields of packets", SAVE],
  [/^<\?xml [^]*<(?:pdml|psml|!-- You can find pdml)/, "XML of Wireshark", "it has fields of packets", SAVE],
  [/^No\.\s+Time\s/, "a list of packets", "it has no octets", SAVE],
  [
    /^(?:\d\d:\d\d:\d\d\.\d+ )?(?:== Info:|[<=]= (?:Send|Recv) |=> Send )/,
    "a trace of curl",
    "it has the octets as a table",
    RECORD,
  ],
  [
    /^(?:\* |> [A-Z]+ \S+ HTTP\/|< HTTP\/)/,
    "what curl -v prints",
    "the lines have marks and lost their ends",
    `curl -i prints a response as it came; ${RECORD}`,
  ],
  [
    /^(?:\d{4}-\d\d-\d\d )?(?:(?:\d\d:\d\d:\d\d|\d+)\.\d+ )?(?:\w+ +(?:In|Out) +)?(?:IP6? |ARP, )/,
    "what tcpdump prints",
    "it is a text about packets",
    "tcpdump -w FILE writes a capture",
  ],
  [/^\d+:\d+:\w+;/, "flows of mitmproxy", "they have messages as mitmproxy understood them", RECORD],
  [
    /^(?:={9,}\s+Follow: |# Packet \d|peers:\s|char peer\d)/,
    "a stream that Wireshark followed",
    "the octets are written as text",
    "save it as raw",
  ],
  [
    /^(?:[\da-f]{8}:? |0{6,7} |\s*0x0000: )/i,
    "a dump in hexadecimal",
    "the octets are written as digits",
    "xxd -r makes octets of the output of xxd; in Wireshark, save the stream as raw",
  ],
  [
    /^(?:###|@[\w-]+ *=|#\s|\/\/ |(?:[A-Z]+ )?(?:https?:\/\/\S+[ \t]*\n|\{\{[\w.-]+\}\}))/,
    "a .http file",
    "an editor makes a request of it",
    `write the request as it is sent, with Host and \\r\\n, or ${RUN}`,
  ],
  [/^\$? ?curl(?:\.exe)? /, "a command line of curl", "curl makes a request of it", `run it and ${RECORD}`],
  [/^(?:await )?fetch\(/, "a call of fetch", "the browser makes a request of it", RUN],
  [/^(?:Invoke-WebRequest|\$session = )/, "a command of PowerShell", "it makes a request of it", RUN],
];

/** Returns what a file without octets is, as the rest of a line after its name; `undefined` if it may have some. */
export function foreignForm(start: Uint8Array): string | undefined {
  const text = octetString(start, 0, Math.min(start.length, FOREIGN_OCTETS));
  const [, what, why, instead] = FORMS.find(([form]) => form.test(text)) ?? [];
  return what === undefined ? undefined : `is ${what}, which has no octets of messages: ${why}; ${instead}`;
}
