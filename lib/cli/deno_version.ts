/**
 * Ends the program with one line under a version of Deno that lacks what it needs. `main.ts` imports this module before
 * all others, which such a version may fail to run, so it uses only the oldest syntax.
 */

const [major, minor] = Deno.version.deno.split(".").map(Number);

if (major < 2 || major === 2 && minor < 9) {
  console.error(
    "wiretable needs Deno 2.9 or later, this is " + Deno.version.deno +
      ": deno upgrade, or npx --yes deno@2.9.6 run …",
  );
  Deno.exit(1);
}
