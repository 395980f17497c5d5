import assert from "node:assert/strict";
import { readCertificates, readFile, readFlagFile, readTokens, readUser } from "../../lib/cli/files.ts";
import { MAX_FLAG_FILE_BYTES, MAX_TOKENS } from "../../lib/limits.ts";
import { TempFolder } from "../support.ts";

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
