import assert from "node:assert/strict";
import { HttpError } from "../../lib/http/error.ts";
import { problemResponse, tooSlow } from "../../lib/server/problem.ts";

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
