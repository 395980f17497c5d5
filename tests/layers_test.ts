import assert from "node:assert/strict";
import { dirname, join } from "node:path/posix";

/** The imports allowed to each part of the program, besides its own files and those of {@linkcode SHARED}. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  main: ["cli", "serve", "connect", "relay", "explain", "replay", "data"],
  serve: ["listening", "cli", "client", "server", "table", "store", "exchange", "traffic", "codec", "data"],
  relay: ["listening", "passing", "cli", "client", "server", "table", "traffic", "codec", "data"],
  passing: ["client", "content", "server", "exchange", "codec"],
  listening: ["page", "cli", "server", "store", "traffic", "codec", "data"],
  connect: ["cli", "client", "table", "exchange", "traffic", "codec", "data"],
  explain: ["page", "cli", "exchange", "traffic", "codec"],
  replay: ["cli", "client", "traffic"],
  page: ["cli", "client", "server", "table", "exchange", "traffic", "codec", "data"],
  cli: [],
  server: ["codec"],
  client: ["codec", "content"],
  content: [],
  table: ["codec", "store"],
  traffic: ["codec", "exchange", "data"],
  exchange: ["codec"],
  codec: ["http"],
  http: [],
  store: [],
};
/** The rooms of traffic, and those that each may import besides itself; all may import the files beside the rooms. */
const ROOMS: Record<string, readonly string[]> = {
  explain: [],
  live: ["capture"],
  capture: ["explain"],
  replay: ["explain", "capture"],
};
/** Files that every part may import; each of them may import only those to its right. */
const SHARED = [
  ...["batch_writer", "turns", "masking", "terminal", "bytes", "limits"],
  ...["address", "json", "exit_code"],
];
/** Those of them that the exchange's room may import. */
const BELOW_EXCHANGE = ["masking", "bytes", "limits"];
/** Parts that compose others: they may import files inside a folder, except the codec's. */
const COMPOSITION = ["serve", "listening", "connect", "relay", "explain", "replay", "page"];

const ROOT = new URL("../", import.meta.url);

/** Returns the part of the program that a file belongs to: the name of its folder, which includes the folder's door. */
function partOf(path: string): string {
  if (path === "main.ts") return "main";
  if (path === "lib/http_message.ts") return "codec";
  // A command of that name puts the room together, which has no door.
  if (path.startsWith("lib/relay/")) return "passing";
  if (!path.endsWith(".ts")) return "data";
  return path.split("/")[1].replace(/\.ts$/, "");
}

/** Returns the room that a file of traffic is in; `undefined` for one beside the rooms. */
function roomOf(path: string): string | undefined {
  return /^lib\/traffic\/(\w+)\//.exec(path)?.[1];
}

function isDoor(path: string): boolean {
  return /^lib\/\w+\.ts$/.test(path);
}

/** Returns why a file may not import another one; `undefined` if it may. */
function violation(path: string, specifier: string): string | undefined {
  if (specifier.startsWith("node:")) return undefined;
  if (!/^\.\.?\//.test(specifier)) return `${specifier} comes from outside`;
  const target = join(dirname(path), specifier);
  const from = partOf(path);
  const to = partOf(target);
  if (SHARED.includes(from)) {
    const isBelow = SHARED.indexOf(to) > SHARED.indexOf(from);
    return isBelow ? undefined : `${target} is not below ${path}`;
  }
  // Messages are octets: what a terminal shows of them is decided above the codec and the exchanges.
  if (SHARED.includes(to)) {
    if (from === "http" && to === "terminal") return `${target} is above the codec`;
    return from === "exchange" && !BELOW_EXCHANGE.includes(to) ? `exchange may not import ${target}` : undefined;
  }
  if (from === to) {
    // A door that only re-exports files would form a cycle with them.
    if (from === "http" && isDoor(target)) return `${target} is the codec's door`;
    const room = roomOf(target);
    if (from !== "traffic" || room === undefined || room === roomOf(path)) return undefined;
    return ROOMS[roomOf(path) ?? ""]?.includes(room) ? undefined : `${path} may not import ${target}`;
  }
  if (!(from in MAY_IMPORT)) return `${path} is in no part of the program`;
  if (!MAY_IMPORT[from].includes(to)) return `${from} may not import ${target}`;
  // The command line is independent of rows and messages, so its parsed values may be used by all that read options.
  if (COMPOSITION.includes(from) || to === "data" || to === "cli" || to === "http") return undefined;
  return isDoor(target) ? undefined : `${target} is behind a door`;
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from |import\(|import )"([^"]+)"/g)].map(([, specifier]) => specifier);
}

function files(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) =>
    isDirectory ? files(`${folder}${name}/`) : [`${folder}${name}`]
  ).sort();
}

const SOURCES = [...files("lib/"), "main.ts"].filter((name) => name.endsWith(".ts"));

for (const path of SOURCES) {
  const text = Deno.readTextFileSync(new URL(path, ROOT));

  Deno.test(`${path} imports downward only, through doors, and nothing from outside`, () => {
    assert.deepEqual(importsOf(text).map((specifier) => violation(path, specifier)).filter(Boolean), []);
  });

  Deno.test(`${path} can be read in one sitting`, () => {
    assert(text.split("\n").length <= 451, "the file has more than 450 lines");
  });

  Deno.test(`${path} leaves decoding to the rooms that have a decoder`, () => {
    if (!["server", "client", "exchange"].includes(partOf(path))) assert(!text.includes("new Decoder("));
  });

  Deno.test(`${path} does its HTTP itself`, () => {
    assert.doesNotMatch(text, /Deno\.serve\b|node:https?"/);
    // HTTP with etcd is not the HTTP that this program demonstrates.
    if (path !== "lib/store/etcd_gateway.ts") assert.doesNotMatch(text, /(?<!\.)\bfetch\(/);
  });
}

const planted: [path: string, specifier: string, why: string][] = [
  ["lib/http/decoder.ts", "../table/query.ts", "http may not import lib/table/query.ts"],
  ["lib/http/decoder.ts", "../cli.ts", "http may not import lib/cli.ts"],
  ["lib/http/decoder.ts", "../http_message.ts", "http may not import lib/http_message.ts"],
  ["lib/http/framing.ts", "../terminal.ts", "lib/terminal.ts is above the codec"],
  ["lib/server/connection.ts", "../http/decoder.ts", "server may not import lib/http/decoder.ts"],
  ["lib/serve.ts", "./http/decoder.ts", "serve may not import lib/http/decoder.ts"],
  ["lib/client/command.ts", "../table/query.ts", "client may not import lib/table/query.ts"],
  ["lib/server.ts", "./table.ts", "server may not import lib/table.ts"],
  ["lib/table.ts", "./store/memory.ts", "lib/store/memory.ts is behind a door"],
  ["lib/store/memory.ts", "../table.ts", "store may not import lib/table.ts"],
  ["lib/connect.ts", "./store/memory.ts", "connect may not import lib/store/memory.ts"],
  ["lib/replay.ts", "./server.ts", "replay may not import lib/server.ts"],
  ["lib/page.ts", "./store/memory.ts", "page may not import lib/store/memory.ts"],
  ["lib/exchange/pairing.ts", "../traffic.ts", "exchange may not import lib/traffic.ts"],
  ["lib/exchange/pairing.ts", "../terminal.ts", "exchange may not import lib/terminal.ts"],
  ["lib/exchange/pairing.ts", "../http/decoder.ts", "exchange may not import lib/http/decoder.ts"],
  ["lib/traffic/replay/dialogue.ts", "../../exchange/pairing.ts", "lib/exchange/pairing.ts is behind a door"],
  ["lib/traffic/replay/dialogue.ts", "../../client/raw.ts", "traffic may not import lib/client/raw.ts"],
  ["lib/traffic/tap.ts", "./live/feed.ts", "lib/traffic/tap.ts may not import lib/traffic/live/feed.ts"],
  [
    "lib/traffic/explain/text.ts",
    "../capture/words.ts",
    "lib/traffic/explain/text.ts may not import lib/traffic/capture/words.ts",
  ],
  ["lib/relay/gate.ts", "../traffic.ts", "passing may not import lib/traffic.ts"],
  ["lib/relay/connection.ts", "../server/accepted.ts", "lib/server/accepted.ts is behind a door"],
  ["lib/relay/gate.ts", "../relay.ts", "passing may not import lib/relay.ts"],
  ["lib/limits.ts", "./bytes.ts", "lib/bytes.ts is not below lib/limits.ts"],
  ["lib/bytes.ts", "./store.ts", "lib/store.ts is not below lib/bytes.ts"],
  ["main.ts", "./lib/server.ts", "main may not import lib/server.ts"],
  ["main.ts", "jsr:@std/bytes", "jsr:@std/bytes comes from outside"],
  ["lib/extra.ts", "./store.ts", "lib/extra.ts is in no part of the program"],
];

for (const [path, specifier, why] of planted) {
  Deno.test(`an import of ${specifier} by ${path} would be found`, () => {
    assert.equal(violation(path, specifier), why);
  });
}

Deno.test("every file of lib has tests", () => {
  // These have no logic of their own, or run only within the program, tested by main_test.ts and the store's tests.
  const untested = [
    "main",
    "lib/exit_code",
    "lib/http_message",
    "lib/exchange",
    "lib/exchange/explanation",
    "lib/exchange/messages",
    "lib/http/message",
    "lib/traffic",
    "lib/traffic/capture/capture_events",
    "lib/store/sqlite_writer",
  ];
  // These are tested with the only file that uses them: pairing.ts, explainer.ts, replay.ts, page.ts, connect.ts.
  const parts = [
    ...["lib/exchange/way", "lib/exchange/labels", "lib/traffic/replay/replayer"],
    ...["lib/client/command_sender", "lib/traffic/explain/client_views"],
  ];
  const composed = [
    "lib/serve",
    "lib/listening",
    "lib/connect",
    "lib/cli/values",
    "lib/cli/flags",
    "lib/cli/options",
    "lib/cli/addresses",
    "lib/cli/help",
  ];
  const tested = files("tests/");
  for (const path of SOURCES) {
    const name = path.replace(/\.ts$/, "");
    if ([...untested, ...parts, ...composed].includes(name)) continue;
    const test = `${name.replace(/^lib\//, "tests/")}_test.ts`;
    assert(tested.includes(test), `${path} has no test file ${test}`);
  }
});
