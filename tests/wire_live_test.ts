import assert from "node:assert/strict";
import { octetsToText } from "../lib/bytes.ts";
import { REQUEST_LIMITS } from "../lib/limits.ts";
import { startServer } from "./support.ts";
import { readCases, wireOctets } from "./wire_cases.ts";

// What the decoder finds wrong with a request, a client of the live server is told, once, before the connection ends.
for (const { file, cases } of readCases()) {
  for (const { name, section, kind = "request", wire, closed, limits, events } of cases) {
    const error = /^(\d+) at (\d+) by (.*)$/.exec(events.at(-1)!);
    if (kind !== "request" || error === null) continue;
    Deno.test(`live, ${file}: ${section}: ${name}`, async () => {
      const targets: string[] = [];
      await using server = startServer(({ target }) => {
        targets.push(target);
        return { status: 200 };
      }, { messageLimits: { ...REQUEST_LIMITS, ...limits } });
      const peer = await server.connect();
      await peer.send(wireOctets(wire));
      if (closed) await peer.conn.closeWrite();
      else await peer.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
      const text = octetsToText(await peer.receiveAll());
      assert.equal(text.match(/HTTP\/1\.1 \d{3} /g)?.length, 1, "there is one answer");
      const [, status, offset, rule] = error;
      const problem = JSON.parse(text.slice(text.indexOf("\r\n\r\n")));
      assert.deepEqual([problem.status, problem.offset, problem.rule], [Number(status), Number(offset), rule]);
      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(text, /\r\nConnection: close\r\n/);
      assert.match(text, /\r\nDate: /);
      assert(problem.detail.length > 10);
      assert.deepEqual(targets, []);
    });
  }
}
