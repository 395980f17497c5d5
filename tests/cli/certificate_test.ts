import assert from "node:assert/strict";
import { checkIdentity } from "../../lib/cli/certificate.ts";

const file = (name: string) => Deno.readTextFileSync(new URL(`../testdata/tls/${name}.pem`, import.meta.url));
const FILES = { certFile: "c.pem", keyFile: "k.pem" };
const NOW = Date.parse("2027-01-01T00:00:00Z");
const AUTHORITY = "it is a CA certificate, which a server may not use (basicConstraints)";

const doubtful: [name: string, problems: string[]][] = [
  ["cert", []],
  ["authority", [AUTHORITY]],
  ["nameless", ["it names no host (subjectAltName)"]],
  ["expired", ["it has expired on Jan  1 00:00:00 2021 GMT"]],
  ["not_yet", ["it is not valid before Jan  1 00:00:00 2099 GMT"]],
];

for (const [name, problems] of doubtful) {
  Deno.test(`the certificate ${name}.pem, as clients will see it`, () => {
    assert.deepEqual(
      checkIdentity({ cert: file(name), key: file("key") }, FILES, NOW),
      problems.map((problem) => `--cert c.pem: clients will refuse it: ${problem}`),
    );
  });
}

const unusable: [name: string, cert: string, key: string, message: RegExp][] = [
  ["no certificate", "garbage", file("key"), /^--cert c\.pem: expected a certificate in PEM, saw none$/],
  ["no key", file("cert"), "", /^--key k\.pem: expected a key in PEM, saw none$/],
  ["swapped files", file("key"), file("cert"), /^--cert c\.pem: .*saw a key: are --cert and --key swapped\?$/],
  [
    "a certificate for a key",
    file("cert"),
    file("cert"),
    /^--key k\.pem: .*saw a certificate: are --cert and --key swapped\?$/,
  ],
  ["another's key", file("ca"), file("key"), /^--key k\.pem: the key does not belong to the certificate in c\.pem$/],
  [
    "a broken certificate",
    file("cert").replace(/\n[A-Za-z0-9+/]{30}/, `\n${"A".repeat(30)}`),
    file("key"),
    /^--cert c\.pem: the certificate is damaged \(/,
  ],
  [
    "an encrypted key",
    file("cert"),
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    /^--key k\.pem: the key is encrypted: openssl pkey -in k\.pem -out FILE decrypts it$/,
  ],
  [
    "a broken key",
    file("cert"),
    file("key").replace(/\n[A-Za-z0-9+/]{30}/, `\n${"A".repeat(30)}`),
    /^--key k\.pem: the key is damaged \(/,
  ],
];

Deno.test("certificate and key may be in one file, and have text around them", () => {
  const both = `Some text\n${file("key")}\n${file("cert")}`;
  assert.deepEqual(checkIdentity({ cert: both, key: both }, FILES, NOW), []);
});

for (const [name, cert, key, message] of unusable) {
  Deno.test(`${name} cannot be served with, and one line says why`, () => {
    assert.throws(() => checkIdentity({ cert, key }, FILES, NOW), (error: Error) => {
      assert.match(error.message, message);
      assert(!error.message.includes("\n"));
      return true;
    });
  });
}

Deno.test("a certificate for etcd is named by its own flags", () => {
  const files = { certFile: "c.pem", keyFile: "k.pem", prefix: "etcd-" };
  assert.throws(() => checkIdentity({ cert: file("key"), key: file("cert") }, files), {
    message: "--etcd-cert c.pem: expected a certificate in PEM, saw a key: are --etcd-cert and --etcd-key swapped?",
  });
  assert.throws(() => checkIdentity({ cert: file("cert"), key: "" }, files), {
    message: "--etcd-key k.pem: expected a key in PEM, saw none",
  });
});
