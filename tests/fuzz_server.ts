/** Attacks a live server with invalid requests in random pieces, from clients that disconnect at any time. */

import assert from "node:assert/strict";
import { isDisconnect } from "../lib/server/errors.ts";
import { Decoder } from "../lib/http/decoder.ts";
import { RESPONSE_LIMITS } from "../lib/limits.ts";
import { RowSchema } from "../lib/table/row_schema.ts";
import { MemoryStore } from "../lib/store/memory.ts";
import { Table } from "../lib/table.ts";
import { brokenMessages, inPieces, type Random, TIGHT_LIMITS } from "./fuzzing.ts";
import { startServer, type TestServer, until } from "./support.ts";
import { wireOctets } from "./wire_cases.ts";

/**
 * Attacks a server while `goOn` returns true, with several clients at a time. Every answer must be a valid HTTP
 * message, the server must not report a defect, and a well-behaved client must be served throughout.
 */
export async function attackServer(random: Random, goOn: (attacks: number) => boolean): Promise<number> {
  const table = new Table(new MemoryStore(), { schema: RowSchema.parse("*") });
  let attacks = 0;
  {
    await using server = startServer((request, content) => table.answer(request, content), {
      messageLimits: TIGHT_LIMITS,
    });
    while (goOn(attacks)) {
      await Promise.all(Array.from({ length: 8 }, () => attack(random, server)));
      attacks += 8;
      const peer = await server.connect();
      assert.equal((await peer.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).head.status, 200);
      peer.close();
    }
    await until(() => {
      // The end of clients that disconnected silently is noticed at their timeout at the latest.
      if (server.server.connections > 0) server.advance(1000);
      return server.server.connections === 0;
    });
  }
  return attacks;
}

async function attack(random: Random, server: TestServer): Promise<void> {
  const octets = brokenMessages(random, "request");
  const pieces = [...inPieces(random, wireOctets(octets))].slice(0, 40);
  const patient = random.below(4) > 0;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  try {
    const reading = patient ? checkAnswers(conn, octets) : undefined;
    try {
      for (const piece of pieces) if (piece.length > 0) await conn.write(piece);
      if (random.below(2) === 0 || patient) await conn.closeWrite();
    } catch (error) {
      // The server may have closed the connection, with unread bytes of this client.
      if (!isDisconnect(error)) throw error;
    }
    await reading;
  } finally {
    conn.close();
  }
}

/** Checks that everything the server sends is a sequence of complete responses. */
async function checkAnswers(conn: Deno.Conn, octets: string): Promise<void> {
  const decoder = new Decoder("response", RESPONSE_LIMITS);
  const buffer = new Uint8Array(4096);
  let answers = 0;
  // The responses to HEAD are unknown from outside, so bodies are checked only if no HEAD was sent.
  const methodsKnown = !octets.includes("HEAD");
  for (;;) {
    const count = await conn.read(buffer).catch((error) => {
      if (isDisconnect(error)) return null;
      throw error;
    });
    if (count === null) break;
    if (!methodsKnown) continue;
    decoder.receive(buffer.slice(0, count));
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
      if (event.kind === "closed") break;
      if (event.kind === "response") {
        answers++;
        assert(
          event.status < 500 || [501, 503, 505].includes(event.status),
          `${event.status} for ${JSON.stringify(octets)}`,
        );
        assert.equal(event.status >= 200 ? event.fields.count("date") : 1, 1);
      }
    }
  }
  assert(answers <= octets.length, "more answers than requests can be");
}
