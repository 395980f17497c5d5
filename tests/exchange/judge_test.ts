import assert from "node:assert/strict";
import { CAUSES, type FaultCode } from "../../lib/http/causes.ts";
import type { ResponseHead } from "../../lib/http/message.ts";
import { degreeSentence, judge } from "../../lib/exchange.ts";
import { decoderFor, wireOctets } from "../wire_cases.ts";

function headOf(octets: string): ResponseHead {
  const decoder = decoderFor({ kind: "response" });
  decoder.receive(wireOctets(octets));
  const head = decoder.next();
  assert(head?.kind === "response");
  return head;
}

Deno.test("a sentence says what was seen, the degree, and what else is allowed", () => {
  assert.equal(degreeSentence("A", CAUSES["no-host"].request), "A: must be refused");
  assert.equal(degreeSentence("A: b", CAUSES["bare-lf"].request), "A: b; may be refused, or read as a line end");
});

for (const code of Object.keys(CAUSES) as FaultCode[]) {
  Deno.test(`a server that answers ${code} as serve does is not against the rules`, () => {
    const { status, request } = CAUSES[code];
    const answers = [{
      head: headOf(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`),
      request: undefined,
      fault: code,
    }];
    assert.deepEqual(judge(answers, true), {
      text: request.must ? "as the rules say" : "as the rules allow",
      against: false,
    });
  });
}

Deno.test("without a final response there is no verdict", () => {
  const head = headOf("HTTP/1.1 103 Early\r\n\r\n");
  assert.equal(judge([{ head, request: undefined, fault: "no-host" }], true), undefined);
  assert.equal(judge([], true), undefined);
});
