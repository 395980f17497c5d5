import assert from "node:assert/strict";
import { parseLine } from "../../lib/client/command.ts";
import type { RawView } from "../../lib/client/raw.ts";
import type { ReplOptions } from "../../lib/client/repl.ts";
import { NO_VIEW, run, tableServer } from "./repl_support.ts";
import { FREE } from "./command_support.ts";
import { sessionWith } from "./scripted_server.ts";

Deno.test("raw sends its octets on the session's connection, and the next request on a fresh one", async () => {
  await using server = tableServer();
  const asked: string[] = [];
  const raw: RawView = {
    ...NO_VIEW,
    begin: () => void asked.push("begin"),
    sent: (unsent) => void asked.push(`sent, but ${unsent}`),
    get expects() {
      asked.push("expects");
      return asked.filter((what) => what === "expects").length < 2 ? "response" : "nothing";
    },
    end: (outcome) => {
      asked.push(outcome);
      return { status: 404, valid: true };
    },
  };
  const ports: number[] = [];
  const session = sessionWith(server.port, { connected: ({ port }) => void ports.push(port) });
  const explained: string[] = [];
  const explain: ReplOptions["explain"] = {
    each: true,
    begin: () => void explained.push("begin"),
    end: () => void explained.push("end"),
    text: () => "explained\n",
  };
  const input = String.raw`raw "GET /Nobody HTTP/1.1\r\nHost: localhost\r\n\r\n"` + "\nhead all\n";
  const { shown, code } = await run(server.port, input, { raw, explain, session });
  assert.deepEqual(asked, ["begin", "sent, but 0", "expects", "expects", "complete"]);
  assert.deepEqual(explained, ["begin", "end", "begin"]);
  assert.match(shown, /^explained\nHTTP\/1\.1 200 OK\r\n/);
  assert.equal(code, 4, "the raw exchange's status");
  assert.equal(new Set(ports).size, 2);
});

for (
  const [result, code] of [
    [{ outcome: "timeout", status: 200, valid: true }, 2],
    [{ outcome: "ended", status: 200, valid: true }, 1],
    [{ outcome: "complete", status: 200, valid: false }, 1],
    [{ outcome: "complete", status: undefined, valid: true }, 0],
    [{ outcome: "complete", status: 500, valid: true }, 5],
    [{ outcome: "complete", status: 200, valid: true, against: true }, 3],
    [{ outcome: "complete", status: 500, valid: true, against: true }, 3],
    [{ outcome: "complete", status: 500, valid: false, against: true }, 1],
    [{ outcome: "timeout", status: 500, valid: true, against: true }, 2],
  ] as const
) {
  Deno.test(`raw that is ${JSON.stringify(result)} exits with ${code}`, async () => {
    await using server = tableServer();
    const raw: RawView = { ...NO_VIEW, expects: "response", end: () => result };
    const session = sessionWith(server.port);
    session.raw = () => Promise.resolve(result);
    assert.equal((await run(server.port, "raw fin", { raw, session })).code, code);
  });
}

const raws: [codes: number[], code: number][] = [
  [[3], 3],
  [[4, 3, 4], 3],
  [[3, 5], 3],
  [[5, 4], 5],
  [[3, 2, 5], 2],
  [[2, 1, 3], 1],
];

for (const [codes, code] of raws) {
  Deno.test(`raw exchanges of the exit codes ${codes.join(", ")} make ${code}`, async () => {
    await using server = tableServer();
    const session = sessionWith(server.port);
    const results = codes.map((each) => ({
      outcome: each === 2 ? "timeout" as const : "complete" as const,
      status: each === 5 ? 500 : 404,
      valid: each !== 1,
      against: each === 3,
    }));
    session.raw = () => Promise.resolve(results.shift()!);
    assert.equal((await run(server.port, "raw fin\n".repeat(codes.length), { session })).code, code);
  });
}

Deno.test("help raw has five examples, and each of them is a command", async () => {
  await using server = tableServer();
  const { shown } = await run(server.port, "help raw", { interactive: true });
  const examples = [...shown.matchAll(/^ {2}(raw .*)$/gm)].map(([, line]) => line);
  assert.equal(examples.length, 5);
  for (const line of examples) assert.equal(parseLine(line, FREE).kind, "raw");
});
