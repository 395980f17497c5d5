import assert from "node:assert/strict";
import { HttpError } from "../../../lib/http/error.ts";
import { FIXES, fixFor, RULE_FIXES } from "../../../lib/traffic/explain/fixes.ts";

function sources(folder: URL): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return sources(new URL(`${name}/`, folder));
    return name.endsWith(".ts") ? [Deno.readTextFileSync(new URL(name, folder))] : [];
  });
}

const LIB = new URL("../../../lib/", import.meta.url);

Deno.test("each rule that the program names has a fix", () => {
  const rules = sources(LIB).flatMap((text) => [...text.matchAll(/\brule: "([^"]+)"/g)].map(([, rule]) => rule));
  assert(rules.length > 30);
  // Findings name rules too, but nothing is broken then.
  const findings = Deno.readTextFileSync(new URL("traffic/explain/findings.ts", LIB)) +
    Deno.readTextFileSync(new URL("traffic/explain/explain.ts", LIB));
  const missing = rules.filter((rule) => RULE_FIXES[rule] === undefined && !findings.includes(`rule: "${rule}"`));
  assert.deepEqual([...new Set(missing)], [], "add a fix to lib/traffic/explain/fixes.ts");
});

Deno.test("each cause that the codec names has a fix, and each fix a cause", () => {
  const codec = sources(new URL("http/", LIB)).filter((text) => !text.includes("export type FaultCode"));
  const named = new Set(
    codec.flatMap((text) => [...text.matchAll(/"([a-z0-9]+(?:-[a-z0-9]+)*)"/g)].map(([, code]) => code)),
  );
  for (const code of Object.keys(FIXES)) assert(named.has(code), `nothing in lib/http names ${code}`);
  for (const text of codec) {
    for (const [, code] of text.matchAll(/\bfault: "([^"]+)"/g)) assert(code in FIXES, code);
    assert.equal(
      (text.match(/new HttpError\(/g) ?? []).length <= (text.match(/\bfault\b/g) ?? []).length,
      true,
      "a wire error without a cause",
    );
  }
});

Deno.test("the fix of a cause takes precedence over that of its rule", () => {
  const rule = "RFC 9112 §2.2";
  assert.equal(fixFor(new HttpError(400, "", { fault: "chunk-size", rule })), FIXES["chunk-size"]);
  assert.equal(fixFor(new HttpError(400, "", { rule })), RULE_FIXES[rule]);
  assert.equal(fixFor(new HttpError(404, "")), undefined);
});
