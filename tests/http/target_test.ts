import assert from "node:assert/strict";
import { parseTarget, type Target } from "../../lib/http/start_line.ts";

const targets: [method: string, target: string, Target][] = [
  ["GET", "/", { authority: undefined, path: "/", query: undefined }],
  ["GET", "/a?b?c", { authority: undefined, path: "/a", query: "b?c" }],
  ["GET", "/a?", { authority: undefined, path: "/a", query: "" }],
  ["GET", "//a", { authority: undefined, path: "//a", query: undefined }],
  ["GET", "http://h:1/a?b", { authority: "h:1", path: "/a", query: "b" }],
  ["GET", "HTTPS://h", { authority: "h", path: "/", query: undefined }],
  ["GET", "http://h?b", { authority: "h", path: "/", query: "b" }],
  ["OPTIONS", "http://h", { authority: "h", path: "*", query: undefined }],
  ["OPTIONS", "*", { authority: undefined, path: "*", query: undefined }],
  ["CONNECT", "[::1]:443", { authority: "[::1]:443", path: "", query: undefined }],
];

for (const [method, target, parts] of targets) {
  Deno.test(`RFC 9112 §3.2: ${method} ${target}`, () => assert.deepEqual(parseTarget(method, target, 0), parts));
}
