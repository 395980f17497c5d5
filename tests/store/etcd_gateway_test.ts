import assert from "node:assert/strict";
import { CLUSTER_ANSWER_BYTES, CLUSTER_ERROR_BYTES } from "../../lib/limits.ts";
import { EtcdError, EtcdGateway, type GatewayOptions } from "../../lib/store/etcd_gateway.ts";
import { refusal } from "./fake_etcd.ts";

/** Answers requests, in turn; the last answer stays. An error is what `fetch` would throw. */
type Answer = Response | Error | "none";

/** A gateway whose nodes give these answers, and whose clock is moved on by waiting and by tries without an answer. */
function gateway(answers: Answer[], options: Partial<GatewayOptions> = {}) {
  const seen: string[] = [];
  const sent: { url: string; headers: Record<string, string> }[] = [];
  let now = 0;
  const etcd = new EtcdGateway({
    nodes: ["http://a:1", "http://b:1", "http://c:1"],
    fetch: (url, { headers }) => {
      seen.push(new URL(url).hostname);
      sent.push({ url, headers: headers as Record<string, string> });
      const answer = answers.length > 1 ? answers.shift()! : answers[0];
      if (answer instanceof Response) return Promise.resolve(answer.clone());
      now += answer === "none" ? 2000 : 0;
      return Promise.reject(answer === "none" ? new DOMException("aborted", "AbortError") : answer);
    },
    now: () => now,
    wait: (ms) => {
      now += ms;
      seen.push(`${ms} ms`);
      return Promise.resolve();
    },
    ...options,
  });
  return { etcd, seen, sent, now: () => now };
}

const DONE = Response.json({ header: { revision: "7" } });
const REFUSED = new TypeError("fetch failed", {
  cause: new Error("error sending request for url (http://a:1/): client error (Connect): Connection refused"),
});
const RESET = new TypeError("fetch failed", {
  cause: new Error("error sending request for url (http://a:1/): client error (SendRequest): connection reset"),
});

Deno.test("one node after the other is asked, and the one that answers stays", async () => {
  const { etcd, seen } = gateway([REFUSED, refusal(503, "etcdserver: leader changed", 14), DONE]);
  assert.deepEqual(await etcd.ask("/v3/kv/txn", "{}"), { header: { revision: "7" } });
  await etcd.ask("/v3/kv/txn", "{}");
  assert.deepEqual(seen, ["a", "b", "c", "c"]);
  etcd.close();
});

Deno.test("after every node has failed there is a pause, and in the end an error", async () => {
  const { etcd, seen, now } = gateway([REFUSED]);
  await assert.rejects(
    etcd.ask("/v3/kv/txn", "{}"),
    new EtcdError("unavailable", "http://c:1: Connection refused"),
  );
  assert.deepEqual(seen.slice(0, 5), ["a", "b", "c", "100 ms", "a"]);
  assert.equal(now(), 10_000);
  etcd.close();
});

Deno.test("each node is asked once where that is asked for", async () => {
  const { etcd, seen } = gateway([REFUSED]);
  await assert.rejects(etcd.ask("/v3/kv/txn", "{}", { once: true }), { fault: "unavailable" });
  assert.deepEqual(seen, ["a", "b", "c"]);
  etcd.close();
});

const tries: [name: string, answer: Answer, maybeDone: boolean][] = [
  ["no connection", REFUSED, false],
  ["a connection that breaks", RESET, true],
  ["no answer in time", "none", true],
  ["no leader", refusal(503, "etcdserver: no leader", 14), true],
  ["no quorum", refusal(500, "context deadline exceeded", 2), true],
  ["a server that is not etcd", new Response("not found", { status: 404 }), false],
  ["a proxy without its server", new Response("<h1>Bad Gateway</h1>", { status: 502 }), true],
  ["an answer that is not JSON", new Response("welcome"), true],
];

for (const [name, answer, maybeDone] of tries) {
  Deno.test(`${name}: the request ${maybeDone ? "may have been" : "was not"} done`, async () => {
    const { etcd } = gateway([answer]);
    let unanswered = 0;
    const asked = etcd.ask("/v3/kv/txn", "{}", { unanswered: () => unanswered++ });
    await assert.rejects(asked, { name: "EtcdError", fault: "unavailable" });
    assert.equal(unanswered > 0, maybeDone);
    etcd.close();
  });
}

for (const [name, answer] of tries) {
  Deno.test(`${name}, at the login: the request was not done, and the next node is logged in to`, async () => {
    const user = { name: "u", password: "p" };
    const { etcd, sent } = gateway([answer, Response.json({ token: "t1" }), DONE], { user });
    let unanswered = 0;
    await etcd.ask("/v3/kv/txn", "{}", { unanswered: () => unanswered++ });
    assert.equal(unanswered, 0);
    const paths = sent.map(({ url }) => new URL(url).pathname);
    assert.deepEqual(paths, ["/v3/auth/authenticate", "/v3/auth/authenticate", "/v3/kv/txn"]);
    etcd.close();
  });
}

const refusals: [status: number, message: string, fault: string][] = [
  [400, "etcdserver: too many operations in txn request", "too-large"],
  [400, "etcdserver: request is too large", "too-large"],
  [429, "grpc: received message larger than max (2 vs. 1)", "too-large"],
  [429, "etcdserver: mvcc: database space exceeded", "full"],
  [400, "etcdserver: mvcc: required revision has been compacted", "compacted"],
  [403, "etcdserver: permission denied", "forbidden"],
  [401, "etcdserver: invalid auth token", "denied"],
  [400, "etcdserver: user name is empty", "denied"],
  [400, "etcdserver: revision of auth store is old", "denied"],
];

for (const [status, message, fault] of refusals) {
  Deno.test(`${status} ${message}: no other node is asked`, async () => {
    const { etcd, seen } = gateway([refusal(status, message)]);
    let unanswered = 0;
    const options = { unanswered: () => unanswered++ };
    await assert.rejects(etcd.ask("/v3/kv/txn", "{}", options), { fault });
    assert.equal(unanswered, 0);
    assert.equal(seen.length, 1);
    const after = gateway([RESET, refusal(status, message)]);
    await assert.rejects(after.etcd.ask("/v3/kv/txn", "{}", options), { fault });
    assert.equal(unanswered, 1);
    etcd.close();
    after.etcd.close();
  });
}

/** A gateway whose nodes are silent, but the second one may refuse, or send pieces of an answer; timers end after a hundredth of their time. */
async function withSilentNodes(
  second: number | "refuses",
  body: (ask: (body: string, isLong?: boolean) => Promise<unknown>, seen: string[]) => Promise<void>,
): Promise<void> {
  const { setTimeout: real } = globalThis;
  let now = 0;
  const seen: string[] = [];
  const { etcd } = gateway([], {
    nodes: ["http://a:1", "http://b:1"],
    now: () => now,
    wait: () => Promise.resolve(),
    fetch: (url, { signal }) => {
      const does = new URL(url).hostname === "b" ? second : 0;
      if (does === "refuses") return Promise.resolve(refusal(503, "etcdserver: no leader", 14));
      let left = does;
      const stopped = Promise.withResolvers<never>();
      signal!.addEventListener("abort", () => stopped.reject(signal!.reason));
      if (left === 0) return stopped.promise;
      const stream = new ReadableStream({
        pull: async (controller) => {
          await Promise.race([stopped.promise, new Promise((resolve) => real(resolve, 1.5))]);
          if (left > 0) controller.enqueue(new TextEncoder().encode(" "));
          else {
            controller.enqueue(new TextEncoder().encode('{"header":{"revision":"7"}}'));
            controller.close();
          }
          left--;
        },
      });
      return Promise.resolve(new Response(stream));
    },
  });
  globalThis.setTimeout = ((end: () => void, ms: number) => {
    seen.push(`${ms} ms`);
    const timer = real(() => {
      now += ms;
      end();
    }, ms / 100);
    return timer;
  }) as typeof setTimeout;
  try {
    await body((text, isLong) => etcd.ask("/v3/kv/txn", text, { isLong }), seen);
  } finally {
    globalThis.setTimeout = real;
    etcd.close();
  }
}

Deno.test("a node may be silent for 2 s, and for more with a large request; then the next one is asked", async () => {
  await withSilentNodes(0, async (ask, seen) => {
    await assert.rejects(ask("{}"), { message: /no answer within 2000 ms$/ });
    assert.deepEqual(seen, Array(5).fill("2000 ms"));
    seen.length = 0;
    await assert.rejects(ask("x".repeat(1_999_999)), { message: /no answer within 3999 ms$/ });
    assert.deepEqual(seen, ["3999 ms", "3999 ms", "3999 ms", "2 ms"]);
  });
});

Deno.test("once all nodes were silent, one may take long to make a long answer", async () => {
  await withSilentNodes(0, async (ask, seen) => {
    await assert.rejects(ask("{}", true), { message: /no answer within 2000 ms$/ });
    assert.deepEqual(seen, ["2000 ms", "2000 ms", "6000 ms"]);
  });
  // Where another one says that it cannot, it may soon, and the silent one must not keep the request from it.
  await withSilentNodes("refuses", async (ask, seen) => {
    await assert.rejects(ask("{}", true), { message: /no answer within 2000 ms$/ });
    assert.deepEqual([...new Set(seen)], ["2000 ms"]);
  });
});

Deno.test("a node that goes on answering is not silent", async () => {
  await withSilentNodes(20, async (ask, seen) => {
    assert.deepEqual(await ask("{}", true), { header: { revision: "7" } });
    assert.deepEqual(seen, ["2000 ms", "2000 ms"]);
  });
});

Deno.test("closing gives up what is under way", async () => {
  const { etcd } = gateway([], {
    fetch: (_, { signal }) =>
      new Promise((_, failed) => signal!.addEventListener("abort", () => failed(signal!.reason))),
  });
  let unanswered = 0;
  const options = { unanswered: () => unanswered++ };
  const asked = etcd.ask("/v3/kv/txn", "{}", options);
  etcd.close();
  await assert.rejects(asked, { fault: "closed" });
  assert.equal(unanswered, 1);
  await assert.rejects(etcd.ask("/v3/kv/txn", "{}", options), { fault: "closed" });
  assert.equal(unanswered, 1);
});

Deno.test("all who need a token wait for the same one, and get another when it is refused", async () => {
  const { etcd, sent } = gateway([Response.json({ token: "t1" }), DONE], { user: { name: "u", password: "p" } });
  await Promise.all([etcd.ask("/v3/kv/txn", "{}"), etcd.ask("/v3/kv/range", "{}")]);
  assert.deepEqual(sent.map(({ url, headers }) => [new URL(url).pathname, headers.Authorization]), [
    ["/v3/auth/authenticate", undefined],
    ["/v3/kv/txn", "t1"],
    ["/v3/kv/range", "t1"],
  ]);
  etcd.close();

  const again = gateway([
    Response.json({ token: "t1" }),
    refusal(401, "etcdserver: invalid auth token", 16),
    Response.json({ token: "t2" }),
    DONE,
  ], { user: { name: "u", password: "p" } });
  await again.etcd.ask("/v3/kv/txn", "{}");
  assert.equal(again.sent.at(-1)!.headers.Authorization, "t2");
  again.etcd.close();
});

Deno.test("a new token is not thrown away for those who were refused with the old one", async () => {
  const late = Promise.withResolvers<Response>();
  const answers = [Response.json({ token: "t1" }), refusal(401, "etcdserver: invalid auth token", 16)];
  const tokens: (string | undefined)[] = [];
  const { etcd } = gateway([], {
    user: { name: "u", password: "p" },
    fetch: (url, { headers }) => {
      const isLogin = url.endsWith("authenticate");
      tokens.push(isLogin ? "login" : (headers as Record<string, string>).Authorization);
      if (tokens.length === 3) return late.promise;
      return Promise.resolve(answers.shift() ?? (isLogin ? Response.json({ token: "t2" }) : DONE.clone()));
    },
  });
  const both = Promise.all([
    etcd.ask("/v3/kv/txn", "{}").then(() => late.resolve(refusal(401, "invalid", 16))),
    etcd.ask("/v3/kv/range", "{}"),
  ]);
  await both;
  assert.deepEqual(tokens, ["login", "t1", "t1", "login", "t2", "t2"]);
  etcd.close();
});

Deno.test("a token that is refused again and again is no reason to go on for ever", async () => {
  const answers = Array.from({ length: 20 }, (_, i) => {
    return i % 2 === 0 ? Response.json({ token: "t" }) : refusal(401, "etcdserver: invalid auth token", 16);
  });
  const { etcd, sent } = gateway(answers, { user: { name: "u", password: "p" } });
  await assert.rejects(etcd.ask("/v3/kv/txn", "{}"), { fault: "denied" });
  assert.equal(sent.length, 8);
  etcd.close();
});

const endless: [status: number, most: number][] = [[200, CLUSTER_ANSWER_BYTES], [500, CLUSTER_ERROR_BYTES]];

for (const [status, most] of endless) {
  Deno.test(`an answer with status ${status} that does not end is read up to a limit`, async () => {
    const piece = new Uint8Array(1 << 20);
    let pieces = 0;
    let cancelled = false;
    const body = () =>
      new ReadableStream({
        pull: (controller) => {
          pieces++;
          controller.enqueue(piece);
        },
        cancel: () => void (cancelled = true),
      });
    const { etcd } = gateway([], {
      nodes: ["http://a:1"],
      fetch: () => Promise.resolve(new Response(body(), { status })),
    });
    await assert.rejects(
      etcd.ask("/v3/kv/range", "{}", { once: true }),
      new EtcdError("unavailable", `http://a:1: at most ${most} octets are allowed in an answer, saw more`),
    );
    assert(cancelled);
    assert(pieces <= most / piece.length + 3, `${pieces} pieces`);
    etcd.close();
  });
}

Deno.test("JSON without etcd's header is no answer", async () => {
  for (const answer of [null, 1, {}, { header: {} }]) {
    const { etcd } = gateway([Response.json(answer)]);
    await assert.rejects(etcd.ask("/v3/kv/txn", "{}", { once: true }), {
      message: /: the answer is not from etcd$/,
    });
    etcd.close();
  }
});
