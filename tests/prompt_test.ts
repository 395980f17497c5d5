import assert from "node:assert/strict";
import { ROOT, ServeProcess } from "./serve_process.ts";
import { Terminal, tmuxTest } from "./tmux.ts";

const PROMPT = String.raw`Enter: \[method\] \[objectName\]`;

/** Starts the client in a terminal, without colours. */
async function atPrompt(port: number, columns: number, ...args: string[]): Promise<Terminal> {
  const words = [Deno.execPath(), "run", "--no-check", "--allow-net", `${ROOT}main.ts`, "connect", `127.0.0.1:${port}`];
  const terminal = await Terminal.start(`NO_COLOR=1 '${[...words, ...args].join("' '")}'`, columns);
  if (args.length === 0) await terminal.shown(new RegExp(PROMPT));
  return terminal;
}

tmuxTest(
  "a narrow terminal: notices and JSON break between words, a line is cancelled, Ctrl-C twice quits",
  async () => {
    await using server = await ServeProcess.start(["--quiet"]);
    await using terminal = await atPrompt(server.port, 60);
    await terminal.paste("put Momo cat 3 4\nput Rex dog 10 4\nget all\n");
    const pasted = await terminal.shown(new RegExp(`indented; \\d+ octets on the wire\\)\n${PROMPT}$`));
    assert.match(
      pasted,
      new RegExp(
        String
          .raw`^\(connected 127\.0\.0\.1:(\d+) -> 127\.0\.0\.1:${server.port}\n\(tcp\.port == \1\) in Wireshark\)\n\(help lists commands, q quits\)\n${PROMPT}\n` +
          String.raw`put Momo cat 3 4\n-----RESPONSE-----\nHTTP/1\.1 201 Created\n[^]*\n${PROMPT}\n` +
          String.raw`put Rex dog 10 4\n-----RESPONSE-----\nHTTP/1\.1 201 Created\n[^]*\n${PROMPT}\n` +
          String.raw`get all\n-----RESPONSE-----\nHTTP/1\.1 200 OK\n[^]*\n\n\{\n  "Momo": \{\n    "type": "cat",\n`,
      ),
    );
    await terminal.type("get R", "Tab");
    await terminal.shown(/\nget Rex$/);
    await terminal.type("", "C-c");
    await terminal.shown(new RegExp(String.raw`\nget Rex \^C\n${PROMPT}$`));
    await terminal.type("post Mimi", "Enter");
    await terminal.shown(/\nEnter information: \[type\] \[age\] \[leg\]$/);
    await terminal.type("", "C-c");
    await terminal.shown(new RegExp(String.raw`\^C\n${PROMPT}$`));
    await terminal.type("post all @file", "Enter");
    await terminal.shown(/needs a permission\):\ndeno run --allow-net --allow-read=file [^)]*\nEnter/);
    await terminal.type("", "C-c");
    await terminal.shown(/\n\(q, Ctrl-D, or Ctrl-C once more quits\)\nEnter.*$/);
    await terminal.type("", "C-c");
    await terminal.shown(/\[exit 130\]$/);
  },
);

tmuxTest("what is pasted runs line by line; JSON and curl go on over lines, and so does the question", async () => {
  await using server = await ServeProcess.start(["--quiet", "--fields", "type,age:integer"]);
  await using terminal = await atPrompt(server.port, 60);
  await terminal.paste('post Momo {\n\t"type": "cat",\n\t"age": 3\n}\noptions Momo\n', "marked");
  await terminal.shown(/\npost Momo \{\n +"type": "cat",\n +"age": 3\n\}\n-+RESPONSE-+\nHTTP\/1\.1 201 Created\n/);
  await terminal.shown(
    /\nRow-Fields: type,age:integer\n[^]*\n\(the server says what a row has: \[type\] \[age:integer\]\)\nEnter/,
  );
  await terminal.paste("put Rex\ndog 10\n", "marked");
  await terminal.shown(
    /\nEnter information: \[type\] \[age:integer\]\ndog 10\n[^]*\n\{"Rex":\{"type":"dog","age":10\}\}\nEnter.*$/,
  );
  const curl = `curl -X PUT \\\n  --json '{"type":"ox",\n"age":4}' http://localhost:${server.port}/Ox`;
  await terminal.paste(curl, "marked");
  await terminal.type("", "Enter");
  await terminal.shown(/\n\{"Ox":\{"type":"ox","age":4\}\}\nEnter.*$/);
  await terminal.type("curl 'a", "Enter");
  await terminal.shown(/\n\(a quote is open, [^)]*;\nCtrl-C cancels it\)$/);
  await terminal.type("", "C-c");
  await terminal.shown(/\n\^C\nEnter.*$/);
  await terminal.type("q", "Enter");
  await terminal.shown(/\[exit 0\]$/);
  // The terminal marks nothing any more.
  await terminal.paste("after\n", "marked");
  await terminal.shown(/\[exit 0\]\nafter\nafter$/);
});

tmuxTest("Ctrl-C cancels a transfer, and the next request has a new connection", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using terminal = await atPrompt(port, 120);
  using first = await listener.accept();
  await terminal.type("get /long", "Enter");
  await first.read(new Uint8Array(1000));
  await first.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\na start"));
  await terminal.shown(/\na start$/);
  await terminal.type("", "C-c");
  await terminal.shown(
    /\na start\nCancelled; the connection is closed, and what the server did with .* not known\nEnter/,
  );
  await terminal.type("get /short", "Enter");
  using second = await listener.accept();
  await second.read(new Uint8Array(1000));
  await second.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
  second.closeWrite();
  await terminal.shown(
    /\(the server closed: FIN after the response, as its Connection: close said; .* new connection\)/,
  );
  await terminal.type("q", "Enter");
  await terminal.shown(/\[exit 0\]$/);
  listener.close();
});

tmuxTest("a single command that needs values asks for them", async () => {
  await using server = await ServeProcess.start(["--quiet"]);
  await using terminal = await atPrompt(server.port, 60, "post", "Momo");
  await terminal.shown(/^Enter information: \[type\] \[age\] \[leg\]$/);
  await terminal.type("cat 3 4", "Enter");
  await terminal.shown(/HTTP\/1\.1 201 Created\n[^]*\n\{"Momo":\{"type":"cat","age":"3","leg":"4"\}\}\n\[exit 0\]$/);
});

for (const [signal, code] of [["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  tmuxTest(`${signal} ends the prompt, and leaves the terminal as it was`, async () => {
    await using server = await ServeProcess.start(["--quiet"]);
    const program =
      `exec ${Deno.execPath()} run --no-check --allow-net ${ROOT}main.ts connect 127.0.0.1:${server.port}`;
    const command = `NO_COLOR=1 sh -c 'echo pid $$; ${program}'; code=$?; stty -a; (exit $code)`;
    await using terminal = await Terminal.start(command, 120);
    const shown = await terminal.shown(new RegExp(PROMPT));
    Deno.kill(Number(/^pid (\d+)$/m.exec(shown)![1]), signal);
    await terminal.shown(new RegExp(` icanon iexten echo [^]*\\[exit ${code}\\]$`));
  });
}
