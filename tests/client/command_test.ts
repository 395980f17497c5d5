import assert from "node:assert/strict";
import { completed, parseCommand } from "../../lib/client/command.ts";
import { basicAuthorization } from "../../lib/client/curl.ts";
import { type AskedField, describeFields, requestOf, type TableWords } from "../../lib/client/items.ts";
import { shellWord, splitLine, WrongInput } from "../../lib/client/words.ts";
import { FREE, PLAIN, show, showCommand, showOrder, TYPED } from "./command_support.ts";

const JSON_LAST = 'wrong: JSON takes the rest of the line: items stand before it, as in post /x X-A:b {"a":1}';

const commands: [line: string, shown: string | RegExp, table?: TableWords][] = [
  // A word in quotes is an item, but for a value of a row; \: and \= are no separators.
  ["get /x \"X-A: b c\" 'q==a b'", "GET /x?q=a%20b (X-A: b c)"],
  ["post /x '{\"a\":1}'", 'POST /x {"a":1}'],
  ['post /x "{\\"a\\": 1}" X-A:b', 'POST /x (X-A: b) {"a": 1}'],
  ["patch A 'age=2' \"n:=[1, 2]\"", 'PATCH /A {"A":{"age":"2","n":[1, 2]}}', FREE],
  ["post all 'X-A: b' {}", "POST / (X-A: b) {}"],
  [`post A "12:30" 'a=b' '{"c":1}'`, `POST /A {"A":{"type":"12:30","age":"a=b","leg":"{\\"c\\":1}"}}`],
  ["put A '{}'", "wrong: after a row's name JSON stands without quotes: put A {}"],
  ["delete A 'If-Match: x'", "DELETE /A (If-Match: x)"],
  [String.raw`post /x "a\:b" 'c=d\=e' f="g\=h"`, "wrong: expected 3 values, [type] [age] [leg], saw 1"],
  [String.raw`post /x 'c=d\=e' f="g\=h" 'i\=j=k'`, 'POST /x {"c":"d=e","f":"g=h","i=j":"k"}'],
  [String.raw`post A "a\:b" 'c\=d' '\\:'`, String.raw`POST /A {"A":{"type":"a:b","age":"c=d","leg":"\\\\:"}}`],
  ["post /x 'a=@f' \"b==@g\"", 'POST /x?b=g {"a":"f"}'],
  [
    "post /x “a”",
    `wrong: “ is a typographic quote: write " or ', or \\“ for itself`,
  ],
  ["post /x a=‘b’", `wrong: ‘ is a typographic quote: write " or ', or \\‘ for itself`],
  ["post /x {“a”: 1}", 'wrong: JSON takes " as its quotes, saw “'],
  ['post /x {"a": "“b”"}', 'POST /x {"a": "“b”"}'],
  ["get O’Hara", "GET /O%E2%80%99Hara"],
  ["get \\“a", "GET /%E2%80%9Ca"],
  [
    "get /x X-Api-Key: b",
    'wrong: a blank ends an item: quote "X-Api-Key: …", or put X-Api-Key: last to send no X-Api-Key',
  ],
  ["get /x X-A: b", 'wrong: a blank ends an item: quote "X-A: b", or put X-A: last to send no X-A'],
  ["post A Accept: x 1 0", 'wrong: a blank ends an item: quote "Accept: x", or put Accept: last to send no Accept'],
  ["post A x 1 0 Accept:", 'POST /A {"A":{"type":"x","age":"1","leg":"0"}}'],
  ["get /x Accept: X-A:b", "GET /x (X-A: b)"],
  ["get /x X-A:\\  b", "wrong: get takes no values, saw b; a filter is leg==4"],
  ['post /x {"a":[1]} X-A:b', JSON_LAST],
  [
    'post /x {"a":"}"} "X-A: b"',
    JSON_LAST,
  ],
  ['post /x {"a":1} {"b":2}', 'POST /x (Content-Type: text/plain; charset=utf-8) {"a":1} {"b":2}'],
  ["q now", "wrong: nothing follows q, saw now"],
  ["exit 1", "wrong: nothing follows exit, saw 1"],
  ["follow it now", "wrong: nothing follows follow, saw it now"],
  ["explain /x", "wrong: nothing follows explain, saw /x"],
  ["help get all", "wrong: nothing follows help get, saw all"],
  // A word that starts with an unquoted @ is a file, whatever follows.
  ["post /x @my\\ file.json", "POST /x < my file.json"],
  ['post /x @"my file.json"', "POST /x < my file.json"],
  ["post /x @a:b=c.json", "POST /x < a:b=c.json"],
  ['post A @"my file.json"', "POST /A < my file.json"],
  ['post A "@x" \\@y 1', 'POST /A {"A":{"type":"@x","age":"@y","leg":"1"}}'],
  // URLs of this server, and what was meant.
  ["http://localhost:9999/a?b#c", "GET /a?b (Host: localhost:9999)"],
  ["127.0.0.1:9999/a X-A:b", "GET /a (Host: 127.0.0.1:9999) (X-A: b)"],
  ["delete http://[::1]:9999/a Host:x", "DELETE /a (Host: x)"],
  ["PURGE http://u:p@LocalHost:9999", "PURGE / (Host: LocalHost:9999) (Authorization: Basic dTpw)"],
  [
    "put http://127.0.0.1:9998/a b=c",
    "wrong: give the server first, then the path: RUN connect http://127.0.0.1:9998 put /a",
  ],
  [
    "get https://127.0.0.1:9999/a?b",
    "wrong: give the server first, then the path: RUN connect https://127.0.0.1:9999 get /a?b",
  ],
  ["gte a", 'wrong: "gte" is not a command: did you mean get?'],
  ["GTE a", "wrong: GTE needs a /path: GTE /a, or did you mean get a?"],
  ["GET/ Pingping", 'wrong: "GET/" is not a command: did you mean get /Pingping?'],
  ["get/Pingping", 'wrong: "get/Pingping" is not a command: did you mean get /Pingping?'],
  ["update a b=c", 'wrong: "update" is not a command: did you mean put or patch?'],
  ["del a", 'wrong: "del" is not a command: did you mean delete?'],
  ["bye", 'wrong: "bye" is not a command: did you mean q?'],
  ["constructor", /^wrong: "constructor" is not a command: use get, /],
  ["get api/users", "wrong: no row has a / in its name: did you mean get /api/users?"],
  ["get /a?b#c", "GET /a?b"],
  ["get '/a#b'", "GET /a"],
  ["get C#", "GET /C%23"],
  ["get Who?", "GET /Who%3F"],
  ["get all?age:gte=2&leg=4", "wrong: parameters are items: get all age:gte=2 leg==4"],
  ["get all?a=b%20c", "wrong: a query stands in a /path: get /?a=b%20c"],
  ["head all?leg=4&a", "wrong: a query stands in a /path: head /?leg=4&a"],
  ["", "nothing"],
  ["   ", "nothing"],
  ["help", "help"],
  ["q", "quit"],
  ["print", "print"],
  ["print Hb", "print"],
  ["print x", 'wrong: print takes letters of HBhb, saw "x"'],
  ["print H b", 'wrong: print takes letters of HBhb, saw "H b"'],
  // The whole content: JSON takes the rest of the line, a file or the standard input stands alone.
  ['post /Q {"type": "a b",  "x":"it\'s"} ', 'POST /Q {"type": "a b",  "x":"it\'s"}'],
  ["put all [1, 2]", "PUT / [1, 2]"],
  ["post a X-A:b {}", "POST /a (X-A: b) {}"],
  ["post a 1 {}", "wrong: JSON for the content stands alone, without other values"],
  ["get a {}", "wrong: get takes no values, saw {}; a filter is leg==4"],
  ["get {a}", "GET /%7Ba%7D"],
  ["post all @backup.json", "POST / < backup.json"],
  ["post all X-A:b @backup.json", "POST / (X-A: b) < backup.json"],
  ["post all -", "POST / < -"],
  ["post a '@b'", "wrong: expected 3 values, [type] [age] [leg], saw 1"],
  ["post a @b - c", 'POST /a {"a":{"type":"@b","age":"-","leg":"c"}}'],
  ["post a @", "wrong: expected 3 values, [type] [age] [leg], saw 1"],
  [
    "post /a Content-Type:application/x-www-form-urlencoded a='b c&' d:=1",
    "POST /a (Content-Type: application/x-www-form-urlencoded) a=b+c%26&d=1",
  ],
  // Any method, in capitals and with a path.
  ["PURGE /x", "PURGE /x"],
  ["TRACE /", "TRACE /"],
  ["M-SEARCH * a=b", 'M-SEARCH * {"a":"b"}'],
  ["REPORT /a {}", "REPORT /a {}"],
  ["PURGE x", "wrong: PURGE needs a /path: PURGE /x"],
  ["PURGE", "wrong: PURGE needs a /path: PURGE /"],
  ["TRACE / a=b", "wrong: trace takes no values, saw a"],
  ["CONNECT a:1", "wrong: CONNECT would turn the connection into a tunnel, which is not supported"],
  ["GET / HTTP/1.1", "wrong: this program adds the version and the line end: get /"],
  ["follow", "follow"],
  ["CURL", "curl"],
  ["header", "header [null,null]"],
  ["header X-A: b  c", 'header [["X-A","b c"],null]'],
  ["header -X-A", 'header [null,"X-A"]'],
  ["header X-A", 'wrong: header takes Name: value, or -Name to drop it, saw "X-A"'],
  ["header Content-Length: 1", "wrong: Content-Length is set by this program, because it frames the message"],
  ["auth a:b", 'header [["Authorization","Basic YTpi"],null]'],
  ["auth -", 'header [null,"Authorization"]'],
  ["auth a", "wrong: auth takes USER:PASS, or - to drop them"],
  ["QUIT", "quit"],
  ["get Pingping", "GET /Pingping"],
  ["GET Pingping", "GET /Pingping"],
  ["get all", "GET /"],
  ["head all", "HEAD /"],
  ["options *", "OPTIONS *"],
  ["delete Pingping", "DELETE /Pingping"],
  ["get 핑핑", "GET /%ED%95%91%ED%95%91"],
  ["get 'a b/c?d'", "GET /a%20b%2Fc%3Fd"],
  ["get /some/path?x=1", "GET /some/path?x=1"],
  ["get /%41%zz?a=[1]", "GET /%41%zz?a=[1]"],
  ["get '/핑 <>'", "GET /%ED%95%91%20%3C%3E"],
  ["get /a?b=1 c==2 'd e'==&", "GET /a?b=1&c=2&d%20e=%26"],
  ["get all _sort==-age", "GET /?_sort=-age"],
  ['get Pingping If-None-Match:"1"', "GET /Pingping (If-None-Match: 1)"],
  [`get Pingping If-None-Match:'"1"'`, 'GET /Pingping (If-None-Match: "1")'],
  ["get Pingping X-A:핑", "GET /Pingping (X-A: \xed\x95\x91)"],
  ["get Pingping Accept:", "GET /Pingping"],
  ["get Pingping Accept;", "GET /Pingping (Accept: )"],
  ["get Pingping 'Accept;'", "GET /Pingping (Accept: )"],
  // On a path a single value is the content.
  ["post /x hello", "POST /x (Content-Type: text/plain; charset=utf-8) hello"],
  ["post /x kim@example.com", "POST /x (Content-Type: text/plain; charset=utf-8) kim@example.com"],
  ["post /x 5", "POST /x 5"],
  ["post /x 5", "POST /x 5", FREE],
  ["post /x {a", "POST /x (Content-Type: text/plain; charset=utf-8) {a"],
  ["post /x Content-Type:a/b 5", "POST /x (Content-Type: a/b) 5"],
  ["post /x hi Content-Type:", "POST /x hi"],
  ["post /x a b c", 'POST /x {"type":"a","age":"b","leg":"c"}'],
  [
    "post /x '@y'",
    'wrong: a file is named without quotes, as @FILE; \\@ is an @ of the content, saw "@y"',
  ],
  ["post /x \\@y", "POST /x (Content-Type: text/plain; charset=utf-8) @y"],
  // The text of a file as the value of an item.
  ["post /x a=@f b:=@5 c==@q X-A:@h", 'POST /x?c=q (X-A: h) {"a":"f","b":5}'],
  ["post /x a=\\@f b='@f' c=a@f", 'POST /x {"a":"@f","b":"@f","c":"a@f"}'],
  ["post /x a=@", 'POST /x {"a":"@"}'],
  ["post /x b:=@f", "wrong: the value of b is not JSON: f"],
  ["post /x a[b]=1", "wrong: a[b] is not a member's name: nested JSON is written as a:='{\"b\":1}' or as JSON"],
  ["post /x a\\[b]=1", 'POST /x {"a[b]":"1"}'],
  ["get /x a[b]==1", "GET /x?a%5Bb%5D=1"],
  ["post /x a=1 a=2", 'POST /x {"a":"2"}'],
  [
    "post /x content-type:Application/X-WWW-Form-Urlencoded a=1 a=2 b[c]=3",
    "POST /x (content-type: Application/X-WWW-Form-Urlencoded) a=1&a=2&b%5Bc%5D=3",
  ],
  ["post /x @photo.png", "POST /x (Content-Type: image/png) < photo.png"],
  ["post /x @a/b.JSON", "POST /x < a/b.JSON"],
  ["post /x @7", "POST /x < 7"],
  ["post /x @data", "POST /x < data"],
  ["post Pingping", "ask"],
  ["put Pingping If-Match:x", "ask"],
  ["post Pingping snail 1 0", 'POST /Pingping {"Pingping":{"type":"snail","age":"1","leg":"0"}}'],
  ["PUT Pingping snail 1 0", 'PUT /Pingping {"Pingping":{"type":"snail","age":"1","leg":"0"}}'],
  ["post 핑핑 달팽이 1 0", 'POST /%ED%95%91%ED%95%91 {"핑핑":{"type":"달팽이","age":"1","leg":"0"}}'],
  ["post a 'sea snail' -1 \"\"", 'POST /a {"a":{"type":"sea snail","age":"-1","leg":""}}'],
  ["post a type=x age=2 leg=3", 'POST /a {"a":{"type":"x","age":"2","leg":"3"}}'],
  ["post a type=x age:=2 leg:=null", 'POST /a {"a":{"type":"x","age":2,"leg":null}}'],
  ['post a type=x age:="2" leg=', 'POST /a {"a":{"type":"x","age":2,"leg":""}}'],
  [`post a tags:='["a:b","c=d"]'`, 'POST /a {"a":{"tags":["a:b","c=d"]}}', FREE],
  ['post a "12:30" "x=y" c\\=d', 'POST /a {"a":{"type":"12:30","age":"x=y","leg":"c=d"}}'],
  ["post a snail 3 true", 'POST /a {"a":{"type":"snail","age":3,"tame":true}}', TYPED],
  ["post a snail age:=3 X-A:1", "wrong: expected 3 values, [type] [age] [leg], saw 1"],
  ["patch a age=2", 'PATCH /a {"a":{"age":"2"}}'],
  ["patch a leg:=null", 'PATCH /a {"a":{"leg":null}}'],
  ["post / a:={}", 'POST / {"a":{}}'],
  ["post all a:={}", 'POST / {"a":{}}'],
  ["put /Pingping type=x", 'PUT /Pingping {"type":"x"}'],
  ["post /submit", "POST /submit"],
  ["post a __proto__=x", 'POST /a {"a":{"__proto__":"x"}}'],
  [
    "brew a",
    'wrong: "brew" is not a command: use get, head, post, put, patch, delete, options, print, header, auth, follow, curl, explain, raw, help, q',
  ],
  ["get", "wrong: get needs an object's name, all, or a /path: get Pingping"],
  ["get ''", "wrong: get needs an object's name, all, or a /path: get Pingping"],
  ["get a b", "wrong: get takes no values, saw b"],
  ["get all age:gte=2 age:lt==9 leg==4", "GET /?age%3Agte=2&age%3Alt=9&leg=4"],
  ["get all 'age:gte=2'", "GET /?age%3Agte=2"],
  ["get all X:y", "GET / (X: y)"],
  [
    "post a n:=12345678901234567890 m:=1e400 o:=' 1.0'",
    'POST /a {"a":{"n":12345678901234567890,"m":1e400,"o": 1.0}}',
    FREE,
  ],
  ["post a 9=x 1=y", 'POST /a {"a":{"9":"x","1":"y"}}', FREE],
  ["get http://a.b/c?d", "wrong: give the server first, then the path: RUN connect http://a.b get /c?d"],
  ["get a b=c", "wrong: get takes no values, saw b; a filter is leg==4"],
  ["delete a b:=1", "wrong: delete takes no values, saw b"],
  ["post a snail 1", "wrong: expected 3 values, [type] [age] [leg], saw 2"],
  ["post a snail 1 0 9", "wrong: expected 3 values, [type] [age] [leg], saw 4"],
  ["post a snail", "wrong: values need names here: type=snail, or age:=1 for JSON", FREE],
  ["post a snail x true", "wrong: the value of age is not JSON: x", TYPED],
  ["post a snail 1.5 true", 'wrong: [age] takes an integer, saw "1.5"', TYPED],
  ["post a snail 1 yes", "wrong: the value of tame is not JSON: yes", TYPED],
  ["post a age:=", "wrong: the value of age is not JSON: it is empty"],
  ["patch a", "wrong: patch needs the fields to change: patch Pingping age=2"],
  ["get a 'b", "wrong: a ' is not closed"],
  ["get a b@c:d", 'wrong: "b@c" is not a field name (quote a value that has a colon)'],
  ["get a b:'c\x01d'", "wrong: the value of b must not contain control characters"],
  ["post a Content-Length:5", "wrong: Content-Length is set by this program, because it frames the message"],
  ["get a Content-Length:5", "wrong: Content-Length is set by this program, because it frames the message"],
  ["get a transfer-encoding:chunked", "wrong: transfer-encoding is set by this program, because it frames the message"],
  ["get \ud800", "wrong: the name is not well-formed Unicode"],
];

for (const [line, shown, table = PLAIN] of commands) {
  Deno.test(`the command ${JSON.stringify(line)}`, () => {
    let result: string;
    try {
      result = showCommand(parseCommand(splitLine(line, false), table), table);
    } catch (error) {
      if (!(error instanceof WrongInput)) throw error;
      result = `wrong: ${error.message}${error.command === undefined ? "" : `: ${error.command}`}`;
    }
    if (typeof shown === "string") assert.equal(result, shown);
    else assert.match(result, shown);
  });
}

Deno.test("entered values complete a command", () => {
  const command = parseCommand(splitLine("post Pingping If-None-Match:*"), PLAIN);
  assert(command.kind === "ask");
  assert.equal(describeFields(PLAIN), "[type] [age] [leg]");
  assert.equal(
    showOrder(completed(command.order, splitLine("snail 1 0"), PLAIN)),
    'POST /Pingping (If-None-Match: *) {"Pingping":{"type":"snail","age":"1","leg":"0"}}',
  );
  assert.equal(
    showOrder(completed(command.order, splitLine(`"12:30" 'a=b' '{"c":1}'`), PLAIN)),
    'POST /Pingping (If-None-Match: *) {"Pingping":{"type":"12:30","age":"a=b","leg":"{\\"c\\":1}"}}',
  );
  assert.throws(() => completed(command.order, [], PLAIN), {
    message: "expected [type] [age] [leg], saw nothing",
  });
});

Deno.test("words of a shell keep their quotes and most backslashes", () => {
  const words = ["post", "a", String.raw`type:="a\"b\\c"`, String.raw`at=1\:2`, String.raw`x\=y=z`].map(shellWord);
  const command = parseCommand(words, FREE);
  assert(command.kind === "request");
  const content = JSON.parse(new TextDecoder().decode(requestOf(command.order, [], FREE).request.content));
  assert.deepEqual(content, { a: { type: 'a"b\\c', at: "1:2", "x=y": "z" } });
});

Deno.test("the user's fields replace defaults, and empty ones are not sent", () => {
  const defaults = [["Host", "h"], ["Accept", "*/*"], ["User-Agent", "u"]] as const;
  const request = (line: string) => {
    const command = parseCommand(splitLine(line, false), PLAIN);
    assert(command.kind === "request");
    return show(requestOf(command.order, [defaults], PLAIN).request).replace(/ \{.*/, "");
  };
  assert.equal(request("get a"), "GET /a (Host: h) (Accept: */*) (User-Agent: u)");
  assert.equal(request("get a host:x accept:"), "GET /a (host: x) (User-Agent: u)");
  assert.equal(
    request("patch a b=c"),
    "PATCH /a (Host: h) (Accept: */*) (User-Agent: u) (Content-Type: application/json)",
  );
  assert.equal(
    request("patch a b=c Content-Type:text/plain"),
    "PATCH /a (Host: h) (Accept: */*) (User-Agent: u) (Content-Type: text/plain)",
  );
});

Deno.test("items take the place of kept fields, and those of defaults, also for what the content is", () => {
  const defaults: AskedField[] = [["Host", "h"], ["Accept", "*/*"]];
  const request = (line: string, ...kept: AskedField[]) => {
    const command = parseCommand(splitLine(line, false), PLAIN);
    assert(command.kind === "request");
    return showOrder(command.order, PLAIN, [kept, defaults]);
  };
  const form: AskedField = ["Content-type", "application/x-www-form-urlencoded"];
  assert.equal(
    request("post /x a=b", form),
    "POST /x (Host: h) (Accept: */*) (Content-type: application/x-www-form-urlencoded) a=b",
  );
  assert.equal(
    request("post /x a=b content-type:application/json", form),
    'POST /x (Host: h) (Accept: */*) (content-type: application/json) {"a":"b"}',
  );
  assert.equal(request("post /x a=b content-type:", form), 'POST /x (Host: h) (Accept: */*) {"a":"b"}');
  assert.equal(request("get a", ["accept", undefined]), "GET /a (Host: h)");
  assert.equal(request("get a", ["accept", ""]), "GET /a (Host: h) (accept: )");
  assert.equal(request("get a Accept:x", ["accept", undefined]), "GET /a (Host: h) (Accept: x)");
  assert.equal(request("get a X:1 X:2", ["x", "3"]), "GET /a (Host: h) (Accept: */*) (X: 1) (X: 2)");
});

Deno.test("a form with files is sent in parts; kim@example.com is a file there only", () => {
  const request = (line: string) => {
    const command = parseCommand(splitLine(line, false), PLAIN);
    assert(command.kind === "request");
    return showOrder(command.order, PLAIN);
  };
  assert.equal(
    request("post /x 'content-type':Multipart/Form-Data;boundary=B a=1 a='@x' photo@dir/p\\\"q.png note@data"),
    "POST /x (content-type: Multipart/Form-Data;boundary=B) " + [
      '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1',
      '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n@x',
      '--B\r\nContent-Disposition: form-data; name="photo"; filename="p%22q.png"\r\nContent-Type: image/png\r\n\r\ndir/p"q.png',
      '--B\r\nContent-Disposition: form-data; name="note"; filename="data"\r\nContent-Type: application/octet-stream\r\n\r\ndata',
      "--B--\r\n",
    ].join("\r\n"),
  );
  assert.match(
    request("post /x Content-Type:multipart/form-data a=1"),
    /^POST \/x \(Content-Type: multipart\/form-data; boundary=([\w-]+)\) --\1\r\n[^]*\r\n1\r\n--\1--\r\n$/,
  );
  assert.throws(() => request("post /x Content-Type:multipart/form-data hello"), /needs its boundary in the type/);
  // As a value, it names no file if its @ is quoted or escaped.
  for (const value of ["kim\\@example.com", '"kim@example.com"', "kim'@'example.com"]) {
    assert.match(
      request(`post A Content-Type:multipart/form-data dog 1 ${value}`),
      /name="leg"\r\n\r\nkim@example\.com\r\n/,
    );
  }
});

Deno.test("a user and a password are sent as UTF-8", () => {
  assert.deepEqual(basicAuthorization("Aladdin:open sesame"), ["Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]);
  assert.deepEqual(basicAuthorization("test:123£"), ["Authorization", "Basic dGVzdDoxMjPCow=="]);
});
