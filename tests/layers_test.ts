import assert from "node:assert/strict";

/** Lowest layer first: a file may import only from the lists before its own. */
const LAYERS: readonly string[][] = [
  ["limits", "http_grammar", "store", "disconnect", "bytes", "endpoint"],
  [
    "http_error",
    "store_memory",
    "sqlite_file",
    "batch_writer",
    "line_input",
    "terminal",
    "fair_turns",
    "request_content",
  ],
  ["http_scan", "http_target", "row_shape", "sqlite_batch", "sqlite_snapshots"],
  ["query", "cli", "http_fields", "http_start_line", "http_chunk_line", "store_sqlite_writer"],
  ["http_rules", "http_message", "conditional", "row_content"],
  ["http_decoder", "http_encoder", "problem", "command", "store_sqlite"],
  ["server_context", "client", "table_listing", "trust"],
  ["server_connection", "table_http", "repl", "request_log"],
  ["server"],
  ["main"],
];

const ROOT = new URL("../", import.meta.url);

function sources(): string[] {
  const names = [...Deno.readDirSync(new URL("lib/", ROOT))].map(({ name }) => `lib/${name}`);
  return [...names, "main.ts"].filter((name) => name.endsWith(".ts")).sort();
}

function layerOf(path: string): number {
  const name = path.replace(/^.*\//, "").replace(/\.ts$/, "");
  return LAYERS.findIndex((layer) => layer.includes(name));
}

for (const path of sources()) {
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  const imports = [...text.matchAll(/(?:from|import\(|import)\s*"([^"]+)"/g)].map(([, specifier]) => specifier);

  Deno.test(`${path} imports downward only, and nothing from outside`, () => {
    assert(layerOf(path) >= 0, "the file has no layer");
    for (const specifier of imports) {
      if (specifier.startsWith("node:") || specifier === "./deno.json") continue;
      assert.match(specifier, /^\.\/(?:lib\/)?\w+\.ts$/);
      assert(layerOf(specifier) >= 0, `${specifier} has no layer`);
      assert(layerOf(specifier) < layerOf(path), `${specifier} is not below ${path}`);
    }
  });

  Deno.test(`${path} can be read in one sitting`, () => {
    assert(text.split("\n").length <= 451, "the file has more than 450 lines");
  });

  Deno.test(`${path} does its HTTP itself`, () => {
    assert.doesNotMatch(text, /Deno\.serve\b|node:https?"|\bfetch\(/);
  });
}

Deno.test("every file of lib has tests", () => {
  // The writer's thread has no more than a message loop, which the store's tests run.
  const untested = ["http_message", "server_context", "store_sqlite_writer"];
  const tested = [...Deno.readDirSync(new URL("tests/", ROOT))].map(({ name }) => name);
  for (const path of sources()) {
    const name = path.replace(/^lib\//, "").replace(/\.ts$/, "");
    if (untested.includes(name)) continue;
    assert(tested.includes(`${name}_test.ts`), `${name} has no test file`);
  }
});
