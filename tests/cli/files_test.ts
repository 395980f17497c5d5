import assert from "node:assert/strict";
import { openHistory, readCertificates, readFile, readFlagFile, readTokens, readUser } from "../../lib/cli/files.ts";
import { MAX_FLAG_FILE_BYTES, MAX_HISTORY_LINES, MAX_TOKENS } from "../../lib/limits.ts";
import { TempFolder } from "../support.ts";
import { Failure } from "../../lib/cli/values.ts";

const PEM = Deno.readTextFileSync(new URL("../testdata/tls/ca.pem", import.meta.url));

/** Returns the result of reading a file with this text. */
async function withFile<T>(text: string, read: (file: string) => Promise<T>): Promise<T> {
  using folder = new TempFolder();
  Deno.writeTextFileSync(folder.file("f"), text);
  return await read(folder.file("f"));
}

Deno.test("a file is read up to the size limit, and refused beyond it", async () => {
  const most = "x".repeat(MAX_FLAG_FILE_BYTES);
  assert.equal(await withFile(most, (file) => readFlagFile("--key", file)), most);
  await assert.rejects(
    withFile(`${most}x`, (file) => readFlagFile("--key", file)),
    /^Error: --key \S+: the file has more than the 1048576 octets that are read$/,
  );
});

Deno.test({
  name: Deno.build.os === "windows"
    ? "skipped, for Windows has no /dev/zero: a device"
    : "a device that never ends is not read for ever",
  ignore: Deno.build.os === "windows",
  fn: () =>
    assert.rejects(
      readFlagFile("--cert", "/dev/zero"),
      /^Error: --cert \/dev\/zero: the file has more than the 1048576 octets/,
    ),
});

Deno.test("of a file that is too large nothing is read", async () => {
  const { read } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.read = () => assert.fail("the file is read");
  try {
    await assert.rejects(
      withFile("12345", (file) => readFile("@f", file, 4)),
      /^Error: @f: the file has more than the 4 /,
    );
  } finally {
    Deno.FsFile.prototype.read = read;
  }
  assert.equal((await withFile("12345", (file) => readFile("@f", file, 5))).length, 5);
});

Deno.test("a token is one word, and each line has one", async () => {
  assert.deepEqual(await withFile("  s3cret-._~+/==\r\n", readTokens), ["s3cret-._~+/=="]);
  assert.deepEqual(await withFile("new\n\nold \r\n", readTokens), ["new", "old"]);
  const many = "t\n".repeat(MAX_TOKENS);
  assert.equal((await withFile(many, readTokens)).length, MAX_TOKENS);
  const wrong: [text: string, seen: string][] = [
    ["", "none"],
    [" \n\r\n", "none"],
    ["two words", "something else in line 1"],
    ["a\n\n핑", "something else in line 3"],
    [`${many}t`, `${MAX_TOKENS + 1}`],
  ];
  for (const [text, seen] of wrong) {
    await assert.rejects(
      withFile(text, readTokens),
      new RegExp(`: expected one token of .* \\(RFC 6750 §2\\.1\\) in each of up to ${MAX_TOKENS} lines, saw ${seen}$`),
    );
  }
});

Deno.test("user and password are one line, separated by the first colon", async () => {
  assert.deepEqual(await withFile("u:", readUser), { name: "u", password: "" });
  assert.deepEqual(await withFile("root:a: b\r\n", readUser), { name: "root", password: "a: b" });
  assert.deepEqual(await withFile("root:", readUser), { name: "root", password: "" });
  for (const text of ["", "root", ":secret", "root:a\nb", "\nroot:a"]) {
    await assert.rejects(withFile(text, readUser), /expected one line, USER:PASSWORD$/);
  }
  using folder = new TempFolder();
  Deno.writeFileSync(folder.file("latin1"), Uint8Array.of(0x75, 0x3a, 0xe9));
  await assert.rejects(readUser(folder.file("latin1")), /latin1: not UTF-8: chcp 65001, or save the file as UTF-8$/);
});

Deno.test("certificates are accepted if all of them are valid", async () => {
  const read = (text: string) => withFile(text, (file) => readCertificates("--cacert", file));
  assert.equal(await read(PEM), PEM);
  assert.equal(await read(`text\n${PEM}${PEM}`), `text\n${PEM}${PEM}`);
  for (const text of ["", "garbage", PEM.replace("CERTIFICATE", "KEY")]) {
    await assert.rejects(read(text), /^Error: --cacert \S+: expected certificates in PEM, saw none$/);
  }
  const broken = PEM.replace(/\n[A-Za-z0-9+/]{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
  await assert.rejects(read(broken), /^Error: --cacert \S+: the certificate is damaged \(/);
  await assert.rejects(read(PEM + broken), /: certificate 2 is damaged \(/);
});

const NEVER = (line: string) => assert.fail(line);

Deno.test("lines are saved for the next session, except those that begin with a space", async () => {
  using folder = new TempFolder();
  const name = folder.file("history");
  {
    using history = await openHistory(name, NEVER);
    assert.deepEqual(history.lines, []);
    const left = ["", "  ", " get secret"];
    for (const line of ["get all", ...left, "post 핑 {}", "get authors"]) history.add(line);
  }
  using history = await openHistory(name, NEVER);
  assert.deepEqual(history.lines, ["get all", "post 핑 {}", "get authors"]);
  if (Deno.build.os !== "windows") assert.equal((await Deno.stat(name)).mode! & 0o777, 0o600);
});

Deno.test("if there are too many lines, the newest are kept, also in the file", async () => {
  using folder = new TempFolder();
  const name = folder.file("history");
  const lines = Array.from({ length: MAX_HISTORY_LINES + 1 }, (_, i) => `get ${i}`);
  await Deno.writeTextFile(name, lines.map((line) => `${line}\r\n`).join(""));
  {
    using history = await openHistory(name, NEVER);
    assert.deepEqual(history.lines, lines.slice(1));
    history.add("get last");
  }
  const kept = (await Deno.readTextFile(name)).split("\n");
  assert.deepEqual([kept.length, kept[0], kept.at(-2)], [MAX_HISTORY_LINES + 2, "get 1", "get last"]);
});

Deno.test("a file that is too large or missing is refused with its name", async () => {
  using folder = new TempFolder();
  const name = folder.file("history");
  await Deno.writeTextFile(name, "x".repeat(MAX_FLAG_FILE_BYTES));
  (await openHistory(name, NEVER))[Symbol.dispose]();
  await Deno.writeTextFile(name, "x", { append: true });
  await assert.rejects(openHistory(name, NEVER), (error) => {
    return error instanceof Failure && /^--history \S+: the file has more than the 1048576 octets/.test(error.message);
  });
  await assert.rejects(openHistory(folder.path, NEVER), /^Error: --history \S+: /);
});

Deno.test("a failure to save the history is reported once, and the prompt goes on", async () => {
  using folder = new TempFolder();
  const told: string[] = [];
  const history = await openHistory(folder.file("history"), (line) => told.push(line));
  history[Symbol.dispose]();
  history.add("get a");
  history.add("get b");
  assert.equal(told.length, 1);
  assert.match(told[0], /^The history is no longer saved: /);
});

Deno.test({
  name: Deno.build.os === "windows"
    ? "skipped, for Windows has no modes: a file that others may read"
    : "a file that others may read is closed to them, a device is left as it is",
  ignore: Deno.build.os === "windows",
  async fn() {
    using folder = new TempFolder();
    const name = folder.file("history");
    await Deno.writeTextFile(name, "get a\n");
    for (const mode of [0o644, 0o640, 0o602]) {
      await Deno.chmod(name, mode);
      using history = await openHistory(name, NEVER);
      assert.deepEqual(history.lines, ["get a"]);
      assert.equal((await Deno.stat(name)).mode! & 0o777, 0o600);
    }
    const { mode } = await Deno.stat("/dev/null");
    (await openHistory("/dev/null", NEVER))[Symbol.dispose]();
    assert.equal((await Deno.stat("/dev/null")).mode, mode);
  },
});
