/** Every view of a conversation shows the same exchanges. */

import assert from "node:assert/strict";
import { painterFor } from "../../lib/terminal.ts";
import { ExplainedConnection } from "../../lib/traffic/capture/explained_connection.ts";
import type { CaptureEvent, OpenedInCapture } from "../../lib/traffic/capture/reader.ts";
import { LastExchange } from "../../lib/traffic/explain/client_views.ts";
import { Transcript } from "../../lib/traffic/explain/transcript.ts";
import { Journal } from "../../lib/traffic/live/journal.ts";
import type { PageExchange, PageMessage } from "../../lib/traffic/live/page_events.ts";
import { CLOSED_BY_SERVER, Dialogue } from "../../lib/traffic/replay/dialogue.ts";
import type { TrafficEvent } from "../../lib/traffic.ts";
import { capture, readCapture, talk } from "../traffic/captures.ts";
import { type Conversation, CONVERSATIONS, hasLosses, stepsOf, type Turn } from "./conversations.ts";

const CLIENT = { hostname: "127.0.0.1", port: 50_000 };
const SERVER = { hostname: "127.0.0.1", port: 9999 };

/** What the page is told. */
function onPage({ turns }: Conversation): { exchanges: string[][]; unread: string[] } {
  const journal = new Journal({ askTable: () => Promise.resolve({ rows: [], total: 0 }) });
  const seen = { end: "server", connection: 1, time: 0 } as const;
  journal.receive({ ...seen, kind: "opened", local: SERVER, remote: CLIENT, secure: false });
  for (const { kind, direction, octets } of stepsOf(turns)) {
    const by = direction === "request" ? "client" : "server";
    const event: TrafficEvent = kind === "fin"
      ? { ...seen, kind, by }
      : { ...seen, kind: direction === "request" ? "read" : "write", bytes: octets };
    journal.receive(event);
  }
  const exchanges = new Map<number, PageExchange>();
  const unread = new Set<string>();
  for (let number = 1; number <= journal.history.last; number++) {
    const { event: told } = journal.history.at(number)!;
    for (const exchange of told.exchanges ?? []) exchanges.set(exchange.number, exchange);
    if (told.unread !== undefined) unread.add(`${told.direction === "request" ? ">" : "<"} ${told.unread}`);
  }
  const shown = ({ title, whole, fault }: PageMessage) => `${title}${fault ? " !" : whole ? "" : " …"}`;
  const told = [...exchanges.values()].sort((a, b) => a.number - b.number).map(({ request, responses, unread }) => [
    request === undefined ? unread ? "?" : "-" : shown(request),
    ...responses.map(shown),
  ]);
  return { exchanges: told, unread: [...unread] };
}

/** What a replay compares: requests that have a head, and answers that are complete. */
function replayed({ turns }: Conversation): string[][] {
  const dialogue = new Dialogue();
  for (const { kind, direction, octets } of stepsOf(turns)) {
    if (kind === "octets" && direction === "request") dialogue.sent(octets);
    if (direction === "request") continue;
    for (const source of ["recorded", "now"] as const) {
      if (kind === "octets") dialogue[source].receive(octets);
      else dialogue[source].end(CLOSED_BY_SERVER);
    }
  }
  dialogue.recorded.end("it ends");
  dialogue.now.end("it ends");
  const taken = dialogue.take();
  assert.deepEqual(taken.map(({ now }) => now?.answer?.status), taken.map(({ recorded }) => recorded?.answer?.status));
  return taken.map(({ title, recorded }) => {
    const answer = recorded?.answer;
    if (answer === undefined) return [title];
    return [title, ...answer.interims.map(({ status }) => `${status}`), `${answer.status}`];
  });
}

const LAYOUT = { width: 80, all: false, painter: painterFor(false) };

/** The messages in a text of `explain`: each one's title, and what is not explained. */
function messagesIn(text: string): { exchanges: string[][]; rest: string[] } {
  const exchanges = new Map<string, string[]>();
  const rest: string[] = [];
  for (const part of text.split(/\n(?=(?:(?:interim )?(?:request|response) \d|from the ))/)) {
    const [, kind, number] = /^(?:interim )?(request|response) (\d+)/.exec(part) ?? [];
    const by = /^from the (\w+)/.exec(part)?.[1];
    if (by !== undefined) rest.push(`${by === "client" ? ">" : "<"} ${whyUnread(part)}`);
    if (number === undefined) continue;
    const exchange = exchanges.get(number) ?? ["-"];
    exchanges.set(number, exchange);
    const title = startLine(part);
    if (kind === "request") exchange[0] = title;
    else {
      if (/, to a request that was not read/.test(part)) exchange[0] = "?";
      exchange.push(title);
    }
  }
  return { exchanges: [...exchanges.values()], rest };
}

function whyUnread(part: string): string {
  if (part.includes("an empty line")) return "empty";
  if (part.includes("no longer HTTP")) return "left HTTP";
  return part.includes("no answer has said") ? "held" : "connection ends";
}

/** The start line in the rows of a message, with the mark of its state. */
function startLine(part: string): string {
  const mark = part.includes("!! ") ? " !" : part.includes("=> needs ") ? " …" : "";
  const column = (label: string) => new RegExp(`^ *\\d+ (.*?) *\\b${label}`, "m").exec(part)?.[1].trim();
  const status = column("status: ");
  if (status !== undefined) return `${status} ${column("reason phrase, line end")?.replace("\\r\\n", "")}${mark}`;
  const method = column("method: ");
  if (method !== undefined) return `${method} ${column("target, ")}${mark}`;
  const [, line = ""] = /^ *0 (?!HTTP\/1)(\S+(?: \/\S*)?)/m.exec(part) ?? [];
  return `${line}${mark}`;
}

/** What `explain` says of a capture. */
function captured({ turns }: Conversation) {
  const [opened, ...events] = readCapture(capture(talk(turns))).events;
  assert(opened.kind === "opened");
  const connection = new ExplainedConnection(opened, LAYOUT);
  for (const event of events) connection.receive(event as Exclude<CaptureEvent, OpenedInCapture>);
  connection.end();
  const text = connection.take();
  assert.equal(connection.held, 0, "nothing is kept");
  return messagesIn(text);
}

/** What `explain` at the prompt says: requests, then responses. */
function explained({ turns }: Conversation): string[] {
  const exchange = new LastExchange(() => LAYOUT);
  exchange.begin();
  for (const event of clientEvents(turns)) exchange.receive(event);
  // Octets that are no message have no findings.
  return exchange.text()!.split("\n\n").filter((part) => /=>|!!/.test(part)).map(startLine);
}

function clientEvents(turns: readonly Turn[]): TrafficEvent[] {
  const seen = { end: "client", connection: 1, time: 0 } as const;
  return stepsOf(turns).map(({ kind, direction, octets }) => {
    const isRequest = direction === "request";
    if (kind === "fin") return { ...seen, kind, by: isRequest ? "client" : "server" };
    return { ...seen, kind: isRequest ? "write" : "read", bytes: octets };
  });
}

/** What `raw` says: of the requests, and the status of the last final response. */
function raw({ turns }: Conversation): { requests: string[]; status: number | undefined } {
  let text = "";
  const transcript = new Transcript({
    write: (line) => void (text += line),
    painter: painterFor(false),
    timeoutMs: 1,
  });
  transcript.begin();
  for (const event of clientEvents(turns)) transcript.receive(event);
  text = "";
  transcript.sent(0);
  const requests = [...text.matchAll(/^by the rules: (.*)$/gm)].map(([, line]) => line);
  return { requests, status: transcript.end("complete").status };
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
  Deno.test(`captured: ${conversation.name}`, () => {
    const { exchanges, rest } = captured(conversation);
    assert.deepEqual(exchanges, conversation.exchanges);
    assert.deepEqual(rest, conversation.rest ?? []);
  });

  if (!hasLosses(conversation)) {
    Deno.test(`on the page: ${conversation.name}`, () => {
      const { exchanges, unread } = onPage(conversation);
      assert.deepEqual(exchanges, conversation.exchanges);
      const left = (conversation.rest ?? []).filter((one) => one.endsWith("left HTTP"));
      // What came before the answer was held when it was told.
      for (const one of left) assert(unread.some((told) => told.startsWith(one[0])), `${one} is told`);
      if (conversation.rest === undefined) assert(!unread.some((told) => told.endsWith("no longer HTTP")));
    });

    Deno.test(`explained at the prompt: ${conversation.name}`, () => {
      const requests = conversation.exchanges.map(([request]) => request).filter((title) => !/^[-?]$/.test(title));
      const responses = conversation.exchanges.flatMap(([, ...responses]) => responses);
      assert.deepEqual(explained(conversation).sort(), [...requests, ...responses].sort());
    });

    Deno.test(`raw: ${conversation.name}`, () => {
      const { requests, status } = raw(conversation);
      const titles = conversation.exchanges.map(([request]) => request).filter((title) => !/^[-?]$/.test(title));
      const read = requests.filter((line) => !/ (?:octets )?(?:behind|after) /.test(line));
      assert.deepEqual(read.length, titles.length, requests.join("; "));
      titles.forEach((title, i) => {
        if (title.endsWith(" !")) assert.match(read[i], /\bat octet \d/);
        else if (title.endsWith(" …")) assert.match(read[i], /^not a (?:whole|complete) request/);
        else assert(read[i].includes(title), `${read[i]} is ${title}`);
      });
      const finals = conversation.exchanges.flatMap(([, ...responses]) => responses)
        .filter((title) => /^\d+ \S+$/.test(title) && !/^10[03]/.test(title));
      assert.deepEqual(finals.some((title) => title.startsWith(`${status} `)), finals.length > 0);
    });

    Deno.test(`replayed: ${conversation.name}`, () => {
      assert.deepEqual(replayed(conversation).sort(), comparable(conversation).sort());
    });
  }
}
