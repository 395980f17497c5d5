import assert from "node:assert/strict";
import { type ConnectOptions, parseAddress, parseCommandLine, type ServeOptions, UsageError } from "../lib/cli.ts";
import { REQUEST_LIMITS, SERVER_LIMITS } from "../lib/limits.ts";

function serve(...args: string[]): ServeOptions {
  const invocation = parseCommandLine(["serve", ...args]);
  assert(invocation.kind === "serve");
  return invocation.options;
}

function connect(...args: string[]): ConnectOptions {
  const invocation = parseCommandLine(["connect", ...args]);
  assert(invocation.kind === "connect");
  return invocation.options;
}

/** Asserts the named options, whatever others there are. */
function assertHas<Options>(options: Options, expected: Partial<Options>) {
  const names = Object.keys(expected) as (keyof Options)[];
  assert.deepEqual(Object.fromEntries(names.map((name) => [name, options[name]])), expected);
}

for (
  const args of [
    ["connect", "post", "Kim", "type=\ufffd\ufffd"],
    ["connect", "get", "\ufffd"],
    ["connect", "--history", "\ufffd"],
    ["connect", "put", "Kim", "@\ufffd.json"],
    ["connect", "raw", '"\ufffd"'],
    ["serve", "--store=sqlite:caf\ufffd.db"],
    ["explain", "\ufffd"],
    ["replay", "\ufffd"],
    ["completions", "\ufffd"],
    ["\ufffd"],
  ]
) {
  Deno.test(`arguments that were not UTF-8 are refused: ${args.join(" ")}`, () => {
    const damaged = JSON.stringify(args.at(-1));
    assert.throws(() => parseCommandLine(args), {
      name: "UsageError",
      message: `${damaged} is not UTF-8: chcp 65001, or save the file as UTF-8`,
    });
  });
}

Deno.test("serve needs no flag", () => {
  assertHas(serve(), {
    fields: "type,age,leg",
    host: "127.0.0.1",
    port: 9999,
    store: { kind: "memory" },
    quiet: false,
    verbose: false,
    logFormat: "text",
    showCredentials: false,
    page: undefined,
    recordFile: undefined,
    readOnly: false,
    delayMs: 0,
    cors: undefined,
    allowHosts: [],
    tls: undefined,
    tokenFile: undefined,
    messageLimits: REQUEST_LIMITS,
    limits: SERVER_LIMITS,
  });
});

Deno.test("a command needs the files that its items name, but none for a row", () => {
  const read = (...command: string[]) => {
    const invocation = parseCommandLine(["connect", "localhost", ...command]);
    return invocation.kind === "connect" && invocation.files.read;
  };
  assert.deepEqual(read("get", "@a"), []);
  assert.deepEqual(read("post", "@a", "@b", "c=@d", "e:=@f", "g=h@i"), ["b", "d", "f"]);
});

Deno.test("a table in a file needs all files, but writes none if it is read-only", () => {
  const files = (...flags: string[]) => {
    const invocation = parseCommandLine(["serve", "--store", "sqlite:a.db", ...flags]);
    return invocation.kind === "serve" && invocation.files;
  };
  assert.deepEqual(files(), { read: true, write: true });
  assert.deepEqual(files("--read-only"), { read: true, write: [] });
  assert.deepEqual(files("--read-only", "--record", "a.pcapng"), { read: true, write: ["a.pcapng"] });
});

Deno.test("serve takes every flag", () => {
  const options = serve(
    ...["--host", "::1", "-p", "0", "--store", "sqlite:a/b.db", "--fields", "a:integer", "-v", "--log-format=json"],
    ...["--read-only", "--delay", "20", "--cors", "http://localhost:3000", "--allow-host", "a.b", "--allow-host", "*"],
    ...["--cert", "c.pem", "--key", "k.pem", "--token-file", "t", "--max-body", "2m", "--max-head", "64k"],
    ...["--max-connections", "5", "--idle-timeout", "1.5", "--head-timeout", "2"],
  );
  assert.equal(options.host, "::1");
  assert.equal(options.port, 0);
  assert.deepEqual(options.store, { kind: "sqlite", file: "a/b.db" });
  assert.equal(options.fields, "a:integer");
  assert.equal(options.verbose, true);
  assert.equal(options.logFormat, "json");
  assert.equal(options.readOnly, true);
  assert.equal(options.delayMs, 20);
  assert.equal(options.cors, "http://localhost:3000");
  assert.deepEqual(options.allowHosts, ["a.b", "*"]);
  assert.deepEqual(options.tls, { certFile: "c.pem", keyFile: "k.pem" });
  assert.equal(options.tokenFile, "t");
  assert.equal(options.messageLimits.maxContentBytes, 2 * 1024 * 1024);
  assert.equal(options.messageLimits.maxHeadBytes, 64 * 1024);
  assert.equal(options.messageLimits.maxTargetBytes, 32 * 1024);
  assert.equal(options.messageLimits.maxTrailerBytes, 32 * 1024);
  assert.equal(options.limits.maxConnections, 5);
  assert.equal(options.limits.idleTimeoutMs, 1500);
  assert.equal(options.limits.headTimeoutMs, 2000);
  assert.equal(serve("-q").quiet, true);
  assert.deepEqual(serve("--delay", "100-900").delayMs, [100, 900]);
  assert.deepEqual(serve("--delay", "0-0").delayMs, [0, 0]);
});

Deno.test("connect takes an address, a command and flags, in any order", () => {
  const options = connect(
    "--print",
    "Hh",
    "localhost:8080",
    "get",
    "--timeout",
    "3",
    "all",
    "--color=never",
  );
  assertHas(options, {
    fields: "type,age,leg",
    endpoint: { secure: false, host: "localhost", port: 8080 },
    command: ["get", "all"],
    userPass: undefined,
    print: "Hh",
    pretty: "auto",
    explain: false,
    verbose: false,
    recordFile: undefined,
    historyFile: undefined,
    rawFile: undefined,
    showCredentials: false,
    timeoutMs: 3000,
    caFile: undefined,
    tokenFile: undefined,
    color: "never",
  });
});

Deno.test("connect uses the default address", () => {
  for (const words of [[], ["get", "Pingping"], ["PURGE", "/x"], ["help"]]) {
    const { endpoint, command } = connect(...words);
    assert.deepEqual(endpoint, { secure: false, host: "127.0.0.1", port: 9999 });
    assert.deepEqual(command, words);
  }
});

Deno.test("connect's port is the address's own, or that of the flag", () => {
  const portOf = (...args: string[]) => connect(...args).endpoint.port;
  assert.equal(portOf("--port", "21000"), 21000);
  assert.equal(portOf("-p", "21000", "a.example", "get", "all"), 21000);
  assert.equal(portOf("-p", "21000", "https://a.example"), 21000);
  assert.equal(portOf("-p", "21000", "a.example:80"), 80);
  assert.equal(portOf("-p", "21000", "a.example:1234"), 1234);
});

Deno.test("a single word is a host, and an address may have a user and a password", () => {
  const { endpoint, command } = connect("foo");
  assert.deepEqual([endpoint, command], [{ secure: false, host: "foo", port: 9999 }, []]);
  const options = connect("http://us%40er:pa:ss@a.example", "get", "/");
  assert.equal(options.userPass, "us@er:pa:ss");
  assert.deepEqual(options.endpoint, { secure: false, host: "a.example", port: 80 });
  assert.equal(connect("a.example:0").endpoint.port, 0, "which no server has");
});

Deno.test("negative numbers are values", () => {
  assert.deepEqual(connect("post", "a", "snail", "-1", "-.5").command, ["post", "a", "snail", "-1", "-.5"]);
  assert.deepEqual(connect("post", "a", "--", "-x").command, ["post", "a", "-x"]);
});

const addresses: [address: string, secure: boolean, host: string, port: number][] = [
  ["localhost", false, "localhost", 9999],
  ["a.example", false, "a.example", 9999],
  ["a.example:80", false, "a.example", 80],
  ["127.0.0.1:1234", false, "127.0.0.1", 1234],
  ["[::1]:1234", false, "::1", 1234],
  ["http://a.example", false, "a.example", 80],
  ["http://a.example:8080/", false, "a.example", 8080],
  ["HTTPS://a.example", true, "a.example", 443],
  ["https://[::1]:8443", true, "::1", 8443],
  [":9991", false, "127.0.0.1", 9991],
  [":80", false, "127.0.0.1", 80],
  ["[fe80::1%eth0]:80", false, "fe80::1%eth0", 80],
  ["[FE80::1%25Eth0]", false, "fe80::1%Eth0", 9999],
  ["https://[fe80::1%2]:8443/", true, "fe80::1%2", 8443],
];

for (const [address, secure, host, port] of addresses) {
  Deno.test(`the address ${address}`, () =>
    assert.deepEqual(parseAddress(address), { secure, host, port, userPass: undefined }));
}

const wrong: [args: string[], message: string | RegExp][] = [
  [[], "Expected serve, connect, relay, explain or replay: see --help"],
  [["sevre"], 'Unknown command "sevre": did you mean serve? see --help'],
  [["serve", "1234"], 'serve takes flags only, saw "1234": did you mean --port 1234? see serve --help'],
  [["connect", "curl", "-X", "POST", "http://a"], /leave the word curl out: connect http:\/\/HOST:PORT get \/path/],
  [["connect", "-v", "localhost:1", "curl", "http://a"], /leave the word curl out/],
  [["connect", "1234"], '"1234" is not an address: did you mean 127.0.0.1:1234, or --port 1234?'],
  [["connect", "http:///x"], '"http:///x" has no host: expected http://HOST:PORT'],
  [
    ["connect", "unix:/a/b", "get", "/"],
    /^"unix:\/a\/b" is a Unix socket: expected HOST:PORT, for this program connects/,
  ],
  [["connect", "http+unix://a"], /^"http\+unix:\/\/a" is a Unix socket/],
  [["connect", "::1", "-p", "80"], '"::1" is an IPv6 address, which stands in brackets: [::1]:80'],
  [["connect", "fe80::1%eth0"], '"fe80::1%eth0" is an IPv6 address, which stands in brackets: [fe80::1%eth0]'],
  [["replay", "a", "--to", "::1"], '"::1" is an IPv6 address, which stands in brackets: [::1]'],
  [
    ["connect", "--insecure"],
    "Unknown option '--insecure': " +
    "deno run --unsafely-ignore-certificate-errors=HOST accepts any certificate, see --help",
  ],
  [["start"], 'Unknown command "start": expected serve, connect, relay, explain or replay, see --help'],
  [["completions"], 'completions takes one shell, bash, zsh or fish, saw ""'],
  [["completions", "tcsh"], 'completions takes one shell, bash, zsh or fish, saw "tcsh"'],
  [["completions", "zsh", "fish"], 'completions takes one shell, bash, zsh or fish, saw "zsh fish"'],
  [
    ["serve", "--max-body", "300m"],
    "--max-body 314572800 is more than --max-buffered 268435456 allows: raise --max-buffered",
  ],
  [["serve", "--max-buffered", "65535"], /^--max-buffered takes bytes from 65536 to /],
  [
    ["serve", "--max-buffered", "64k"],
    "--max-body 1048576 is more than --max-buffered 65536 allows: raise --max-buffered",
  ],
  [["connect", "-v", "--print", "h"], "--print and --verbose cannot be used together"],
  [["connect", "--pretty", "some"], '--pretty is all or none, saw "some"'],
  [["serve", "x"], 'serve takes flags only, saw "x": see serve --help'],
  [["serve", "--prot", "1"], "Unknown option '--prot': did you mean --port? see --help"],
  [["serve", "--nonsense"], "Unknown option '--nonsense': see --help"],
  [["connect", "foo", "get", "all"], "foo is neither a command nor an address: an address has its port, as foo:9999"],
  [["connect", "127.0.0.1", "21000"], "The port follows a colon: 127.0.0.1:21000"],
  [["connect", "ftp://x"], '"ftp://x" is not an address: expected HOST:PORT, http://HOST:PORT or https://HOST:PORT'],
  [["serve", "--port"], /^Option '-p, --port <value>' argument missing: see --help$/],
  [["serve", "--quiet=1"], /^Option '-q, --quiet' does not take an argument: see --help$/],
  [["serve", "--port", "65536"], '--port takes a whole number from 0 to 65535, saw "65536"'],
  [["serve", "--port", "-1"], '--port takes a whole number from 0 to 65535, saw "-1"'],
  ...["900-100", "100-600001", "100-", "-100", "1-2-3", "100 - 900"].map((delay): [string[], string] => [
    ["serve", `--delay=${delay}`],
    `--delay takes a whole number from 0 to 600000, or a range such as 100-900, saw "${delay}"`,
  ]),
  [["serve", "--port", "80x"], '--port takes a whole number from 0 to 65535, saw "80x"'],
  [["serve", "--store", "mysql"], '--store is memory, sqlite:FILE or etcd:URL,URL/PREFIX, saw "mysql"'],
  [["serve", "--store", "sqlite:"], '--store is memory, sqlite:FILE or etcd:URL,URL/PREFIX, saw "sqlite:"'],
  [["serve", "--log-format", "xml"], '--log-format is text or json, saw "xml"'],
  [
    ["serve", "--cors", "example.com"],
    '--cors takes an origin, saw "example.com": did you mean http://example.com?',
  ],
  [["serve", "--cors", "localhost:8000"], /: did you mean http:\/\/localhost:8000\?$/],
  [["serve", "--cors", "127.0.0.1:8000/"], /: did you mean http:\/\/127\.0\.0\.1:8000\?$/],
  [["serve", "--cors", "http://a/b"], /: did you mean http:\/\/a\?$/],
  [["serve", "--cors", "HTTPS://A:443"], /: did you mean https:\/\/a\?$/],
  [["serve", "--cors", "null"], `--cors takes an origin, saw "null", such as http://localhost:3000, or '*'`],
  [["serve", "--cors", "file:///a"], /such as http:\/\/localhost:3000, or '\*'$/],
  [["serve", "--cors", "http://a,http://b"], /such as http:\/\/localhost:3000, or '\*'$/],
  [["serve", "--cors", "http://*.a"], /such as http:\/\/localhost:3000, or '\*'$/],
  [["serve", "--allow-host", "a:80"], /^--allow-host takes a host name without a port/],
  [["serve", "--cert", "c"], "--cert and --key must be given together"],
  [["serve", "-q", "-v"], "--quiet and --verbose cannot be used together"],
  [["serve", "--max-body", "2g"], '--max-body takes bytes from 0 to 535822336, such as 64k or 1m, saw "2g"'],
  [["serve", "--max-head", "10"], '--max-head takes bytes from 256 to 1048576, such as 64k or 1m, saw "10"'],
  [["serve", "--idle-timeout", "0"], '--idle-timeout takes seconds, more than 0 and at most 86400, saw "0"'],
  [["connect", "--print", "x"], '--print takes letters of HBhb, saw "x"'],
  [["connect", "--color", "red"], '--color is auto or always or never, saw "red"'],
  [["connect", "http://"], /^"http:\/\/" is not an address/],
  [["connect", "ftp://me:s3cret@a"], /^"ftp:\/\/me:\(6 octets\)@a" is not an address/],
  [["connect", "a.b:99999"], /^"a.b:99999" is not an address/],
  [["replay"], 'replay takes one file, saw ""'],
  [["explain", "a", "--answers", "HEAD,get"], '--answers takes methods such as HEAD,GET, saw "get"'],
  [["replay", "a", "b"], 'replay takes one file, saw "a b"'],
  [["replay", "a", "--to", "u:p@h"], "--to takes no user and password: requests are sent as they were recorded"],
  [["replay", "a", "--to", "http://h/x"], '--to takes an address without a path, saw "http://h/x"'],
  [["replay", "a", "--to", "ftp://h"], /^"ftp:\/\/h" is not an address: expected HOST:PORT, /],
  [["replay", "a", "--connection", "0"], '--connection takes a whole number from 1 to 1000000000, saw "0"'],
  [["relay"], "relay takes the address of one server, such as https://api.example.com, saw none"],
  [["relay", "a:1", "b:2"], 'relay takes the address of one server, such as https://api.example.com, saw "a:1 b:2"'],
  [["relay", "https://u:p@h"], "relay takes no user and password: clients send their own: type relay https://h"],
  [
    ["relay", "https://h:1/x?y"],
    'relay takes an address without a path, saw "https://h:1/x?y": type relay https://h:1',
  ],
  [["relay", "ftp://h"], /^"ftp:\/\/h" is not an address: expected HOST:PORT, /],
  [["relay", "h:1", "-q", "-v"], "--quiet and --verbose cannot be used together"],
  [["relay", "h:1", "--key", "k"], "--cert and --key must be given together"],
  [["connect", "a.b/c"], "The address is a.b; give the path to the command: get /c"],
  [["connect", "a.b?d"], "The address is a.b; give the path to the command: get /?d"],
  [["connect", "a.b#d"], "The address is a.b; give the path to the command: get /"],
  [["connect", "http://a.b/c?d"], "The address is http://a.b; give the path to the command: get /c?d"],
  [
    ["connect", "https://u:p@[fe80::1%25lo]/c"],
    "The address is https://[fe80::1%25lo]; give the path to the command: get /c",
  ],
];

for (const [args, message] of wrong) {
  Deno.test(`wrong usage: ${args.join(" ")}`, () => {
    assert.throws(() => parseCommandLine(args), (error) => {
      assert(error instanceof UsageError);
      if (typeof message === "string") assert.equal(error.message, message);
      else assert.match(error.message, message);
      assert(!error.message.includes("\n"));
      return true;
    });
  });
}

const pages: [args: string[], page: unknown][] = [
  [[], undefined],
  [["--page"], { port: undefined, history: 10_000 }],
  [["--page", "0"], { port: 0, history: 10_000 }],
  [["--page=8080"], { port: 8080, history: 10_000 }],
  [["--page", "--quiet"], { port: undefined, history: 10_000 }],
  [["--page", "8080", "--page-history", "50"], { port: 8080, history: 50 }],
];

for (const [args, page] of pages) {
  Deno.test(`explain FILE ${args.join(" ")} has its page`, () => {
    const invocation = parseCommandLine(["explain", "r.pcapng", ...args.filter((arg) => arg !== "--quiet")]);
    assert(invocation.kind === "explain");
    assert.equal(invocation.options.file, "r.pcapng");
    assert.deepEqual(invocation.options.page, page);
  });
}

Deno.test("explain has its file, and one connection of it", () => {
  const invocation = parseCommandLine(["explain", "r.pcapng", "--connection", "3"]);
  assert(invocation.kind === "explain");
  const { file, connection, all } = invocation.options;
  assert.deepEqual({ file, connection, all }, { file: "r.pcapng", connection: 3, all: false });
});

Deno.test("replay has its file, its server and its choices", () => {
  const invocation = parseCommandLine(["replay", "r.pcapng", "--to", "https://[::1]", "--fast", "--connection", "3"]);
  assert(invocation.kind === "replay");
  assert.deepEqual(invocation.options, {
    file: "r.pcapng",
    to: { secure: true, host: "::1", port: 443 },
    json: false,
    fast: true,
    connection: 3,
    timeoutMs: 30_000,
    caFile: undefined,
    color: "auto",
  });
  assert.deepEqual(invocation.files, { read: ["r.pcapng"], write: [] });
  const secure = parseCommandLine(["replay", "r.pcapng", "--cacert", "ca.pem", "--timeout", "0.5"]);
  assert(secure.kind === "replay");
  assert.deepEqual(secure.files, { read: ["r.pcapng", "ca.pem"], write: [] });
  assert.deepEqual([secure.options.to, secure.options.timeoutMs], [undefined, 500]);
});

Deno.test("help names every flag, and fits a terminal", () => {
  for (
    const args of [["--help"], ["serve", "--help"], ["connect", "-h"], ["replay", "-h"], ["completions", "--help"]]
  ) {
    const invocation = parseCommandLine(args);
    assert(invocation.kind === "text");
    for (const line of invocation.text.split("\n")) assert(line.length <= 110, line);
  }
  const help = parseCommandLine(["serve", "--help"]);
  assert(help.kind === "text");
  for (const flag of ["--host", "--port", "--store", "--read-only", "--token-file", "--idle-timeout"]) {
    assert(help.text.includes(flag), flag);
  }
  assert.deepEqual(parseCommandLine(["--version"]), { kind: "version" });
});

for (const [args, page] of pages) {
  Deno.test(`serve ${args.join(" ")} has its page`, () => {
    const invocation = parseCommandLine(["serve", ...args]);
    assert(invocation.kind === "serve");
    assert.deepEqual(invocation.options.page, page);
  });
}

const wrongPages: [args: string[], message: RegExp][] = [
  [["--page", "65536"], /--page takes a whole number from 0 to 65535/],
  [["--page=here"], /--page takes a whole number/],
  [["--page", "here"], /serve takes flags only, saw "here"/],
  [["--page-history", "5"], /--page-history needs --page/],
  [["--page", "--page-history", "0"], /--page-history takes a whole number from 1/],
];

for (const [args, message] of wrongPages) {
  Deno.test(`serve ${args.join(" ")} is refused`, () => {
    assert.throws(() => parseCommandLine(["serve", ...args]), message);
  });
}

Deno.test("--max-buffered takes 64k to 1024g", () => {
  assert.equal(serve("--max-buffered", "64k", "--max-body", "1k").limits.maxBufferedBytes, 64 * 1024);
  assert.equal(serve("--max-buffered", "1024g").limits.maxBufferedBytes, 2 ** 40);
  for (const value of ["65535", "1025g"]) {
    assert.throws(() => serve("--max-buffered", value, "--max-body", "1k"), UsageError);
  }
});
