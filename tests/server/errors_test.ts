import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { isDisconnect, problemResponse, scarcity, tooSlow } from "../../lib/server/errors.ts";

Deno.test("a close by either end counts as a disconnect", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [conn, other] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port }),
    listener.accept(),
  ]);
  other.close();
  conn.close();
  const error = await conn.read(new Uint8Array(1)).catch((error) => error);
  assert(isDisconnect(error), String(error));
});

Deno.test("errors of the system are disconnects, defects are not", () => {
  assert(isDisconnect(new Deno.errors.ConnectionReset("reset by peer")));
  assert(isDisconnect(Object.assign(new Error("No route to host"), { code: "EHOSTUNREACH" })));
  assert(!isDisconnect(new TypeError("undefined is not a function")));
  assert(!isDisconnect(Object.assign(new RangeError("out of range"), { code: "ERR_OUT_OF_RANGE" })));
  assert(!isDisconnect("text"));
});

Deno.test("a lack of resources is told by the code", () => {
  const withCode = (code: string) => Object.assign(new Error("(os error 24)"), { code });
  for (const code of ["EMFILE", "ENFILE"]) assert.equal(scarcity(withCode(code)), "descriptors", code);
  for (const code of ["ENOBUFS", "ENOMEM"]) assert.equal(scarcity(withCode(code)), "memory", code);
  for (const code of ["ECONNRESET", "toString"]) assert.equal(scarcity(withCode(code)), undefined, code);
  assert.equal(scarcity(new Error("Cannot connect", { cause: withCode("EMFILE") })), "descriptors");
  for (const error of [new Error("EMFILE"), "EMFILE", undefined]) assert.equal(scarcity(error), undefined);
});

Deno.test("an error becomes a problem document with its properties", () => {
  const error = new HttpError(400, "Saw this", { rule: "RFC 9112 §5", offset: 3, fields: [["Allow", "GET"]] });
  const response = problemResponse(error);
  assert.equal(response.status, 400);
  assert.equal(response.contentType, "application/problem+json");
  assert.deepEqual(response.fields, [["Allow", "GET"]]);
  assert.deepEqual(JSON.parse(response.content as string), {
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "Saw this",
    rule: "RFC 9112 §5",
    offset: 3,
  });
});

Deno.test("a problem tells how many rows one request may create", () => {
  const problem = JSON.parse(problemResponse(new HttpError(413, "Fewer", { maxRows: 127 })).content as string);
  assert.equal(problem.maxRows, 127);
});

Deno.test("a problem lists a limited number of errors", () => {
  const errors = Array.from({ length: 1000 }, (_, i) => ({ field: `f${i}`, detail: "is wrong" }));
  const problem = JSON.parse(problemResponse(new HttpError(422, "Many", { errors })).content as string);
  assert.equal(problem.errors.length, 100);
  assert.deepEqual(problem.errors[0], { field: "f0", detail: "is wrong" });
});

Deno.test("a slow request's error names the part and the time, one second in the singular", () => {
  const errors = [tooSlow("head", 1000), tooSlow("content", 30_000)];
  assert.deepEqual(errors.map(({ status, rule, message }) => [status, rule, message]), [
    [408, "RFC 9110 §15.5.9", "The request's head was not complete after 1 second"],
    [408, "RFC 9110 §15.5.9", "The request's content was not complete after 30 seconds"],
  ]);
});
