import assert from "node:assert/strict";
import { CAUSES, type FaultCode } from "../../lib/http/causes.ts";
import type { ResponseHead } from "../../lib/http/message.ts";
import { degreeSentence, Judge } from "../../lib/exchange.ts";
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

function verdictOn(status: number, fault: FaultCode) {
  const judge = new Judge();
  const octets = `HTTP/1.1 ${status} No\r\nA: b\r\nContent-Length: 0\r\n\r\n`;
  judge.receive(headOf(status < 200 ? octets.replace(/Content.*\r\n/, "") : octets), undefined, fault);
  return judge.verdict(true);
}

for (const code of Object.keys(CAUSES) as FaultCode[]) {
  Deno.test(`a server that answers ${code} as serve does is not against the rules`, () => {
    const { status, request } = CAUSES[code];
    assert.deepEqual(verdictOn(status, code), {
      text: request.must ? "as the rules say" : "as the rules allow",
      against: false,
    });
    assert.equal(verdictOn(299, code)?.against, request.must, "another status is against a must alone");
  });
}

Deno.test("without a final response there is no verdict", () => {
  assert.equal(verdictOn(103, "no-host"), undefined);
  assert.equal(new Judge().verdict(true), undefined);
});
