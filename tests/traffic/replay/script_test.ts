import assert from "node:assert/strict";
import { octetString } from "../../../lib/bytes.ts";
import { Script, type Step } from "../../../lib/traffic/replay/script.ts";
import { eventOf, GET, type Happening, OK } from "../recorded_events.ts";

function textOf(step: Step): string {
  const { connection, kind } = step;
  const what = kind === "send"
    ? ` ${octetString(step.octets).slice(0, 8)} +${step.pause}`
    : kind === "fin"
    ? ` +${step.pause}`
    : kind === "open"
    ? ` ${step.server.host}:${step.server.port}`
    : "";
  return `${connection} ${kind}${what}`;
}

/** The steps of happenings, each with its connection and its time. */
function stepsOf(happenings: readonly Happening[]): string[] {
  const script = new Script();
  const steps = happenings.map((happening) => script.step(eventOf(happening)));
  return [...steps, ...script.rest()].filter((step) => step !== undefined).map(textOf);
}

Deno.test("a script sends what the client sent, with its pauses", () => {
  const steps = stepsOf([
    [1, 1000, "open"],
    [1, 2000, `> ${GET.slice(0, 5)}`],
    [1, 2300, `> ${GET.slice(5)}`],
    [1, 4000, `< ${OK.slice(0, 9)}`],
    [1, 4100, `< ${OK.slice(9)}`],
    [1, 4600, `> ${GET}`],
    [1, 4700, `< ${OK}`],
    [1, 9000, "FIN client"],
    [1, 9100, "FIN server"],
    [1, 9200, "closed"],
  ]);
  assert.deepEqual(steps, [
    "1 open 127.0.0.1:9999",
    // Nothing was before the first one.
    "1 send GET / +0",
    "1 send a HTTP/1 +300",
    // Counted from the end of the response.
    "1 send GET /a H +500",
    // Nobody waits for this end.
    "1 fin +0",
    "1 close",
  ]);
});

Deno.test("the pauses of all connections are counted from the same writes and responses", () => {
  const steps = stepsOf([
    [1, 0, "open"],
    [2, 10, "open"],
    [1, 20, `> ${GET}`],
    [2, 70, `> ${GET}`],
    [2, 100, `< ${OK}`],
    [1, 400, `> ${GET}`],
  ]);
  assert.deepEqual(steps.slice(2), [
    "1 send GET /a H +0",
    "2 send GET /a H +50",
    "1 send GET /a H +300",
    "1 close",
    "2 close",
  ]);
});

Deno.test("a half-close before the answer comes after its pause", () => {
  const steps = stepsOf([[1, 0, "open"], [1, 100, `> ${GET}`], [1, 600, "FIN client"], [1, 700, `< ${OK}`]]);
  assert.deepEqual(steps.slice(2), ["1 fin +500", "1 close"]);
});

Deno.test("content that ends with the connection is complete with the server's FIN", () => {
  const steps = stepsOf([
    ...[[1, 0, "open"], [1, 100, `> ${GET}`], [1, 200, "< HTTP/1.1 200 OK\r\n\r\nok"]] as Happening[],
    ...[[1, 500, "FIN server"], [2, 600, "open"], [2, 800, `> ${GET}`]] as Happening[],
  ]);
  assert.equal(steps[3], "2 send GET /a H +300");
});

Deno.test("octets that the recording lacks are a gap, those before the first start line are not", () => {
  const steps = stepsOf([
    [1, 0, "open"],
    [1, 0, "skipped client"],
    [1, 100, `> ${GET}`],
    [1, 200, "lost client"],
    [1, 300, `> ${GET}`],
    [1, 300, "lost server"],
  ]);
  assert.deepEqual(steps, [
    "1 open 127.0.0.1:9999",
    "1 send GET /a H +0",
    "1 gap",
    "1 send GET /a H +200",
    "1 close",
  ]);
});

Deno.test("what belongs to no open connection is no step", () => {
  const script = new Script();
  assert.equal(script.step(eventOf([1, 0, `> ${GET}`])), undefined);
});
