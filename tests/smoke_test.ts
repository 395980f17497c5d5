import assert from "node:assert/strict";
import { ROOT } from "./serve_process.ts";
import { Program, smoke } from "./smoke.ts";

Deno.test("the session that is run with every executable before it is released, with the script", async () => {
  const permissions = ["--allow-net", "--allow-read", "--allow-write", "--no-prompt"];
  const told: string[] = [];
  await smoke(new Program([Deno.execPath(), "run", ...permissions, `${ROOT}main.ts`]), (line) => told.push(line));
  assert(told.length === 9 && told.every((line) => line.startsWith("ok: ")));
});
