/** Every view of a conversation shows the same exchanges. */

import assert from "node:assert/strict";
import { Journal } from "../../lib/traffic/live/journal.ts";
import type { ToldExchange, ToldMessage } from "../../lib/traffic/live/history.ts";
import { CLOSED_BY_SERVER, Dialogue } from "../../lib/traffic/replay/dialogue.ts";
import type { TrafficEvent } from "../../lib/traffic.ts";
import { type Conversation, CONVERSATIONS, hasLosses, stepsOf } from "./conversations.ts";

const CLIENT = { hostname: "127.0.0.1", port: 50_000 };
const SERVER = { hostname: "127.0.0.1", port: 9999 };

/** What the page is told. */
function onPage({ turns }: Conversation): string[][] {
  const journal = new Journal({ askTable: () => Promise.resolve({ rows: [], total: 0 }) });
  const seen = { end: "server", connection: 1, time: 0 } as const;
  journal.take({ ...seen, kind: "opened", local: SERVER, remote: CLIENT, secure: false });
  for (const { kind, direction, octets } of stepsOf(turns)) {
    const by = direction === "request" ? "client" : "server";
    const event: TrafficEvent = kind === "fin"
      ? { ...seen, kind, by }
      : { ...seen, kind: direction === "request" ? "read" : "write", bytes: octets };
    journal.take(event);
  }
  const exchanges = new Map<number, ToldExchange>();
  for (let number = 1; number <= journal.history.last; number++) {
    for (const exchange of journal.history.at(number)!.told.exchanges ?? []) exchanges.set(exchange.number, exchange);
  }
  const shown = ({ title, whole, fault }: ToldMessage) => `${title}${fault ? " !" : whole ? "" : " …"}`;
  return [...exchanges.values()].sort((a, b) => a.number - b.number).map(({ request, responses, unread }) => [
    request === undefined ? unread ? "?" : "-" : shown(request),
    ...responses.map(shown),
  ]);
}

/** What a replay compares: requests that have a head, and answers that are complete. */
function replayed({ turns }: Conversation): string[][] {
  const dialogue = new Dialogue();
  for (const { kind, direction, octets } of stepsOf(turns)) {
    if (kind === "octets" && direction === "request") dialogue.sent(octets);
    if (direction === "request") continue;
    for (const source of ["recorded", "now"] as const) {
      if (kind === "octets") dialogue.received(source, octets);
      else dialogue.end(source, CLOSED_BY_SERVER);
    }
  }
  dialogue.end("recorded", "it ends");
  dialogue.end("now", "it ends");
  const taken = dialogue.take();
  assert.deepEqual(taken.map(({ now }) => now?.answer?.status), taken.map(({ recorded }) => recorded?.answer?.status));
  return taken.map(({ title, recorded }) => {
    const answer = recorded?.answer;
    if (answer === undefined) return [title];
    return [title, ...answer.interims.map(({ status }) => `${status}`), `${answer.status}`];
  });
}

/** The part of the exchanges that a replay compares. */
function comparable({ exchanges }: Conversation): string[][] {
  return exchanges.flatMap(([request, ...responses]) => {
    const whole = responses.at(-1)?.match(/^[1-5]\d\d [^ ]+$/)?.[0];
    const isFinal = whole !== undefined && !/^10[03]/.test(whole);
    const title = request.replace(/ [!…]$/, "").replace(/^[-?]$/, "");
    if (!isFinal && (request.endsWith(" …") || title === "")) return [];
    return [[title, ...isFinal ? responses.map((response) => response.slice(0, 3)) : []]];
  });
}

for (const conversation of CONVERSATIONS) {
  if (!hasLosses(conversation)) {
    Deno.test(`on the page: ${conversation.name}`, () => {
      assert.deepEqual(onPage(conversation), conversation.exchanges);
    });

    Deno.test(`replayed: ${conversation.name}`, () => {
      assert.deepEqual(replayed(conversation).sort(), comparable(conversation).sort());
    });
  }
}
