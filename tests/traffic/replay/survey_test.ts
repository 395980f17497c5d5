import assert from "node:assert/strict";
import { Survey } from "../../../lib/traffic/replay/replayer.ts";
import { eventOf, type Happening } from "../recorded_events.ts";

const SERVER = { hostname: "10.1.2.3", port: 80 };

const connections: [what: string, client: string, server: string, isHttp: boolean][] = [
  ["a request and its answer", "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", true],
  ["a request without an answer", "GET / HTTP/1.1\r\n", "", true],
  ["a broken request that is answered", "\x16\x03\x01", "HTTP/1.1 400 Bad Request\r\n", true],
  ["an answer without a request", "", "HTTP/1.1 408 Request Timeout\r\n", true],
  ["TLS", "\x16\x03\x01\x02\0", "\x16\x03\x03\x00\x7a", false],
  ["mail", "EHLO localhost\r\n", "220 mail ESMTP\r\n", false],
  ["no octets", "", "", false],
];

connections.forEach(([what, client, server, isHttp]) => {
  Deno.test(`a survey ${isHttp ? "finds" : "leaves out"} a connection with ${what}`, () => {
    for (const closed of [true, false]) {
      const survey = new Survey();
      const receive = (what: Happening[2]) => survey.receive(eventOf([1, 0, what], SERVER));
      receive("open");
      for (const octet of client) receive(`> ${octet}`);
      if (server !== "") receive(`< ${server}`);
      if (closed) receive("closed");
      survey.finish();
      assert.deepEqual([...survey.servers], isHttp ? [[1, { secure: false, host: "10.1.2.3", port: 80 }]] : []);
      assert.deepEqual(survey.others, isHttp || client + server === "" ? [] : [1]);
    }
  });
});
