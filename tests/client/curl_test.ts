import assert from "node:assert/strict";
import { curlCommand } from "../../lib/client/curl.ts";
import type { HttpRequest } from "../../lib/http/message.ts";
import { octetString } from "../wire_cases.ts";

const INSTALLED = (() => {
  try {
    return new Deno.Command("sh", { args: ["-c", "curl --version && echo | base64 -d"] }).outputSync().success;
  } catch {
    return false;
  }
})();

const encode = (text: string) => new TextEncoder().encode(text);
const requests: [name: string, request: HttpRequest][] = [
  ["GET", { method: "GET", target: "/a?b=[1]&c=d", fields: [["Accept", "*/*"], ["User-Agent", "u"]] }],
  ["HEAD", { method: "HEAD", target: "/a/../b", fields: [] }],
  ["another method", {
    method: "PURGE",
    target: "/",
    fields: [["X-A", "it's $HOME `x`"], ["X-B", "핑".split("").map((c) => octetString(encode(c))).join("")]],
  }],
  ["content", {
    method: "POST",
    target: "/",
    fields: [["Content-Type", "application/json"]],
    content: encode(`{"a":"it's\n핑"}`),
  }],
  ["no content", { method: "POST", target: "/", fields: [], content: encode("") }],
  ["content like a file's name", { method: "PUT", target: "/", fields: [], content: encode("@/etc/passwd") }],
  ["binary content", { method: "PUT", target: "/", fields: [], content: Uint8Array.of(0, 0xff, 0x0a, 0x27) }],
  ["the asterisk", { method: "OPTIONS", target: "*", fields: [] }],
];

for (const [name, request] of requests) {
  Deno.test({
    name: INSTALLED
      ? `curl sends the same: ${name}`
      : `skipped, for curl or sh is not installed: curl sends the same (${name})`,
    ignore: !INSTALLED,
    fn: async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr as Deno.NetAddr;
      const command = curlCommand(request, { secure: false, host: "127.0.0.1", port });
      const running = new Deno.Command("sh", { args: ["-c", command], stdout: "null", stderr: "null" }).output();
      const conn = await listener.accept();
      const end = request.content === undefined ? 0 : request.content.length;
      let text = "";
      const buffer = new Uint8Array(4096);
      while (!text.includes("\r\n\r\n") || text.length - text.indexOf("\r\n\r\n") - 4 < end) {
        text += octetString(buffer.subarray(0, (await conn.read(buffer))!));
      }
      await conn.write(encode("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"));
      conn.close();
      listener.close();
      await running;
      const [head, content] = [text.slice(0, text.indexOf("\r\n\r\n")), text.slice(text.indexOf("\r\n\r\n") + 4)];
      const [line, ...fields] = head.split("\r\n");
      assert.equal(line, `${request.method} ${request.target} HTTP/1.1`);
      const own = [`Host: 127.0.0.1:${port}`, ...request.content === undefined ? [] : [`Content-Length: ${end}`]];
      assert.deepEqual(fields.sort(), [...request.fields.map(([name, value]) => `${name}: ${value}`), ...own].sort());
      assert.equal(content, request.content === undefined ? "" : octetString(request.content));
    },
  });
}

Deno.test("curl gets only the flags it needs, and the file that content is from", () => {
  const endpoint = { secure: false, host: "a", port: 1 };
  const request: HttpRequest = { method: "GET", target: "/x..y", fields: [["User-Agent", "u"], ["Accept", "*/*"]] };
  assert.equal(
    curlCommand(request, endpoint),
    "curl --header 'User-Agent: u' --header 'Accept: */*' http://a:1/x..y",
  );
  assert.match(curlCommand(request, { ...endpoint, secure: true }), /^curl --http1\.1 .* https:\/\/a:1\/x\.\.y$/);
  for (const target of ["/..", "/a/./b", "/a/..?b"]) {
    assert.match(curlCommand({ ...request, target }, endpoint), /^curl --path-as-is /);
  }
  const upload = { ...request, method: "PUT", content: new Uint8Array(1_000_000) };
  assert.match(curlCommand(upload, endpoint, "my file"), / --data-binary '@my file' http/);
});
