import assert from "node:assert/strict";
import { CommandSender } from "../../lib/client/command_sender.ts";
import { startServer } from "../support.ts";
import { octetString } from "../wire_cases.ts";
import { NO_VIEW } from "./repl_support.ts";

Deno.test("a page's commands may be URLs and lines of curl, without files", async () => {
  const seen: string[] = [];
  await using server = startServer((request, content) => {
    seen.push(`${request.method} ${request.target} ${octetString(content)}`);
    return { status: 204, fields: [] };
  });
  const { port } = server;
  const sender = new CommandSender({
    endpoint: { secure: false, host: "127.0.0.1", port },
    words: { fields: undefined, filterOperators: [] },
    defaults: [["Host", "h"]],
    raw: NO_VIEW,
    takeLines: () => "",
  });
  const { signal } = new AbortController();
  for (const line of [`curl -X PUT --json '{"a":1}' localhost:${port}/x`, `http://[::1]:${port}/y`, "get z"]) {
    assert.equal(await sender.send(line, signal), "204 No Content");
  }
  for (
    const [line, message] of [
      ["curl http://a.example/", "this is for another server: paste it at: connect http://a.example"],
      [`curl -d @f localhost:${port}`, "no file is read for a page: type the content itself"],
      ["post z @f", "no file is read for a page: type the content itself"],
      ["zzz", '"zzz" is not a command: use get, head, post, put, patch, delete, options, raw, help'],
      ["curl", "only commands that send something work here, as get all, or raw with its steps"],
    ]
  ) await assert.rejects(sender.send(line, signal), { status: 422, message: `Wrong Input: ${message}` });
  assert.deepEqual(seen, ['PUT /x {"a":1}', "GET /y ", "GET /z "]);
  sender.close();
});

Deno.test("a page's commands say how its own server's certificate becomes trusted", async () => {
  const tls = (name: string) => Deno.readTextFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: tls("cert"), key: tls("key") });
  const { port } = listener.addr;
  const serving = listener.accept().then((conn) => conn.handshake().catch(() => conn.close()));
  const sender = new CommandSender({
    endpoint: { secure: true, host: "127.0.0.1", port },
    words: { fields: undefined, filterOperators: [] },
    defaults: [["Host", "h"]],
    raw: NO_VIEW,
    takeLines: () => "",
  });
  await assert.rejects(sender.send("get z", new AbortController().signal), {
    message: `Cannot connect to 127.0.0.1:${port}: its certificate is not signed by a trusted authority; ` +
      "the file of --cert may hold it, too",
  });
  await serving;
  sender.close();
});
