import assert from "node:assert/strict";
import { parseCommandLine } from "../lib/cli.ts";
import { COMMANDS } from "../lib/cli/help.ts";
import { ROOT, ServeProcess } from "./serve_process.ts";
import { ETCD_MISSING, EtcdNodes } from "./store/etcd_nodes.ts";
import { freePort, isInstalled, Peer, TempFolder } from "./support.ts";

const README = Deno.readTextFileSync(`${ROOT}README.md`);
const { tasks } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));

/** The README's code blocks of a language. */
function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].filter(([, name]) => name === language).map(([, , text]) =>
    text
  );
}

Deno.test("the README can be read to its end, and no line of it is cut", () => {
  const lines = README.trimEnd().split("\n");
  assert(lines.length <= 270);
  for (const line of lines) assert(line.length <= 200, line);
});

Deno.test("every code block says whether it is run: console is, sh and text are looked at", () => {
  const languages = [...README.matchAll(/^```(\w*)$/gm)].map(([, name]) => name).filter((_, i) => i % 2 === 0);
  for (const language of languages) assert(["console", "sh", "text"].includes(language), language);
});

Deno.test("the README's commands for a start bring one version of Deno, and are tasks", () => {
  const commands = blocks("sh").join("").trimEnd().split("\n").filter((line) => !line.startsWith("git clone "));
  const started = commands.map((line) => /^(?:npx --yes deno@([\d.]+)|deno) task (\w+)$/.exec(line));
  for (const match of started) assert(match !== null && match[2] in tasks, String(match));
  assert.deepEqual(started.map((match) => match![2]), ["serve", "connect", "test", "serve", "connect", "test"]);
  assert.equal(new Set(started.map((match) => match![1])).size, 2);
});

Deno.test("the flags in the README exist", () => {
  const help = COMMANDS.map(({ name }) => parseCommandLine([name, "--help"])).map((invocation) => {
    assert(invocation.kind === "text");
    return invocation.text;
  }).join("");
  const prose = README.replace(/^\$ (?:openssl|etcd) .*$/gm, "");
  // Those of Deno, curl, npx and etcd.
  const others = [
    "allow-net",
    "allow-read",
    "allow-write",
    "yes",
    "global",
    "name",
    "installed",
    "prefer-offline",
    "connect-to",
    "host-resolver-rules",
    "help",
  ]
    .concat("max-txn-ops", "max-request-bytes");
  for (const [, flag] of prose.matchAll(/(?<![\w-])--([a-z][a-z-]+)/g)) {
    assert(others.includes(flag) || help.includes(`--${flag} `), flag);
  }
});

Deno.test("the files and folders in the README exist", () => {
  for (const [, name] of README.matchAll(/`(?:lib\/)?([\w/]+(?:\.ts|\/))`/g)) {
    if (name !== "main.ts" && name !== "lib/") Deno.statSync(`${ROOT}lib/${name}`);
  }
  for (const [, name] of README.matchAll(/\]\((\.github\/[\w.-]+|LICENSE)\)/g)) Deno.statSync(`${ROOT}${name}`);
});

Deno.test("the map of the code is short, and what it names exists", () => {
  const map = Deno.readTextFileSync(`${ROOT}.github/ARCHITECTURE.md`);
  assert(map.trimEnd().split("\n").length <= 150);
  const paths = [...map.matchAll(/(?<![\w/])(?:(?:lib|tests)\/[\w/]*\w(?:\.\w+)?|main\.ts)/g)].map(([path]) => path);
  assert(paths.includes("main.ts") && paths.includes("lib/http/causes.ts"));
  for (const path of paths) Deno.statSync(`${ROOT}${path}`);
});

/** Whether the programs that the blocks use beside this one are here. */
const INSTALLED = Deno.build.os !== "windows" && (() => {
  try {
    return new Deno.Command("sh", { args: ["-c", "curl --version && openssl version"] }).outputSync().success;
  } catch {
    return false;
  }
})();

/** Runs a block's commands, one after the other, in a folder of their own, and looks at what they print. */
class Shell implements AsyncDisposable {
  readonly #folder = new TempFolder();
  readonly #servers: Deno.ChildProcess[] = [];
  #port = "9999";
  #relayPort = "9997";
  /** Below those that the system gives to connections that go out. */
  readonly #etcdPort = 10_000 + 2 * Math.floor(Math.random() * 8_000);

  /** Commands as they are typed, but with this checkout's main.ts, and with other ports in the place of 9999 and etcd's. */
  #prepare(command: string): string {
    return command.replaceAll("9999", this.#port)
      .replaceAll("9997", this.#relayPort)
      .replaceAll("2379", String(this.#etcdPort))
      .replace(/\bmain\.ts connect (?!https?:)/, `main.ts connect --port ${this.#port} `)
      .replaceAll("main.ts", `"${ROOT}main.ts"`)
      .replaceAll("tests/testdata", `${ROOT}tests/testdata`)
      .replace(/^deno /, `"${Deno.execPath()}" `);
  }

  async serve(command: string): Promise<void> {
    const args = ["-c", `exec ${this.#prepare(command)} --port 0`];
    const child = new Deno.Command("sh", { args, cwd: this.#folder.path, stdout: "piped", stderr: "inherit" }).spawn();
    this.#servers.push(child);
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!/:(\d+)\//.test(printed)) {
      const { done, value } = await reader.read();
      assert(!done, `${command} ended`);
      printed += value;
    }
    const port = /:(\d+)\//.exec(printed)![1];
    if (command.includes(" relay ")) this.#relayPort = port;
    else this.#port = port;
    await reader.cancel();
  }

  /** Starts a node of etcd, with a port of its own for other nodes, and resolves once it is healthy. */
  async startNode(command: string): Promise<void> {
    const args = ["-c", `exec ${this.#prepare(command)} --listen-peer-urls http://127.0.0.1:${this.#etcdPort + 1}`];
    this.#servers.push(new Deno.Command("sh", { args, cwd: this.#folder.path, stderr: "null" }).spawn());
    await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${this.#etcdPort}/health`);
      return (await response.json()).health === "true";
    });
  }

  async run(command: string): Promise<string> {
    const { stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", this.#prepare(command)],
      cwd: this.#folder.path,
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    // openssl tells of its progress there.
    return command.startsWith("openssl") ? text : text + new TextDecoder().decode(stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#servers) {
      // A shell ends what it has started.
      child.kill("SIGTERM");
      await child.status;
    }
    this.#folder[Symbol.dispose]();
  }
}

/** Resolves once what is asked for holds. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!await holds().catch(() => false)) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Why a block cannot be run; `undefined` if it can. */
function missingFor(block: string): string | undefined {
  if (!INSTALLED) return "curl, openssl or sh is not installed, or this is Windows";
  return block.includes(" etcd ") ? ETCD_MISSING : undefined;
}

blocks("console").forEach((block, i) => {
  const missing = missingFor(block);
  const first = block.slice(2, block.indexOf("\n")).slice(0, 60);
  Deno.test({
    name: missing === undefined
      ? `the README's block ${i + 1} does what it says: ${first}`
      : `skipped, for ${missing}: the README's block ${i + 1}`,
    ignore: missing !== undefined,
    fn: async () => {
      await using shell = new Shell();
      for (const [, command, expected] of block.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm)) {
        if (command.startsWith("etcd ")) {
          await shell.startNode(command);
          continue;
        }
        // What stays in its terminal, while the rest is typed in another.
        if (/ main\.ts (?:serve|relay)\b/.test(command)) {
          await shell.serve(command);
          continue;
        }
        // Three dots stand for what is never the same.
        const pattern = expected.trimEnd().split("…").map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(
          "[^]+",
        );
        assert.match((await shell.run(command)).trimEnd(), new RegExp(`^${pattern}$`), command);
      }
    },
  });
});

Deno.test({
  name: ETCD_MISSING === undefined
    ? "three nodes of etcd start, one is killed when told to, and all end with their input"
    : `skipped, for ${ETCD_MISSING}: three nodes of etcd`,
  ignore: ETCD_MISSING !== undefined,
  async fn() {
    const args = ["run", "--no-check", ...tasks.nodes.command.match(/--allow\S+/g), `${ROOT}tests/three_nodes.ts`];
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
    const input = child.stdin.getWriter();
    await input.write(new TextEncoder().encode("1\n"));
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let printed = "";
    while (!printed.includes("node 1 is killed")) {
      const { done, value } = await reader.read();
      assert(!done, printed);
      printed += value;
    }
    assert.match(printed, /^serve --store etcd:(?:http:\/\/127\.0\.0\.1:\d+,?){3}\n/);
    await input.close();
    assert.equal((await child.status).code, 0);
    await reader.cancel();
  },
});

/** Why the proxy cannot be tried; `undefined` if it can. With CI=true, that it is missing is a failure. */
const PROXY_MISSING = ETCD_MISSING ??
  (isInstalled("nginx", "to test the README's proxy with: apt-get install nginx-light", "-v")
    ? undefined
    : "nginx is not installed");

Deno.test({
  name: PROXY_MISSING === undefined
    ? "behind the README's nginx, a GET sees the PUT before it that another server has answered"
    : `skipped, for ${PROXY_MISSING}: the README's nginx`,
  ignore: PROXY_MISSING !== undefined,
  async fn() {
    await using nodes = await EtcdNodes.start();
    const args = ["--allow-host", "table.example", "--store", nodes.store];
    await using one = await ServeProcess.start(args);
    await using other = await ServeProcess.start(args);
    using folder = new TempFolder();
    const block = blocks("text").find((text) => text.startsWith("upstream "))!;
    const port = freePort();
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
      `${name}_temp_path ${folder.file(name)};`
    );
    const site = block.replace("9001", String(one.port)).replace("9002", String(other.port))
      .replace("listen 80;", `listen 127.0.0.1:${port};`);
    const log = folder.file("log");
    const settings = `daemon off; pid ${folder.file("pid")}; error_log ${log}; events {}
      http { access_log off; ${paths.join(" ")} ${site} }`;
    await Deno.writeTextFile(folder.file("conf"), settings);
    const nginx = new Deno.Command("nginx", { args: ["-e", log, "-c", folder.file("conf")], stderr: "null" }).spawn();
    try {
      let peer: Peer | undefined;
      await eventually(async () =>
        (peer = new Peer(await Deno.connect({ hostname: "127.0.0.1", port }))) !== undefined
      );
      for (let i = 0; i < 4; i++) {
        const row = `{"a":{"type":"cat","age":"${i}","leg":"4"}}`;
        const fields = "HTTP/1.1\r\nHost: table.example\r\n";
        const { head } = await peer!.exchange(
          `PUT /a ${fields}Content-Type: application/json\r\nContent-Length: ${row.length}\r\n\r\n${row}`,
        );
        assert.equal(head.status, i === 0 ? 201 : 200);
        assert.equal((await peer!.exchange(`GET /a ${fields}\r\n`)).content, row);
      }
      peer!.close();
      await one.printed("PUT /a");
      await other.printed("GET /a");
    } finally {
      nginx.kill("SIGTERM");
      await nginx.status;
    }
  },
});
