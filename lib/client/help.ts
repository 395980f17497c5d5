/**
 * The help at the prompt.
 *
 * @module
 */

/** The output of `help`. Its lines fit a terminal of 60 columns. */
export const HELP: string = `\
get NAME            one row; get all: every row
get all age:gte=2 leg==4 _sort==-age      some rows, sorted
get /a?b=c          any target, sent as it is
head NAME           only the head; delete NAME, options NAME
post NAME [values]  a new row
put NAME [values]   a new row, or over the old one
patch NAME items    some fields of a row
PURGE /x            any method, in capitals
  values: one for each field in order, or items:
  type=snail text, age:=1 JSON, page==2 query,
  If-Match:'"1"' header; quote spaces and colons;
  or the whole content: {"type":"snail"}, @FILE
print HBhb          what is shown: H B the request's head,
                    body; h b the response's
header Name: value  send a field from now on; header lists
                    them, header -Name drops one
auth USER:PASS      send credentials (Basic); auth - drops
follow              request the last response's Location
curl                the last request as a command of curl
explain             each octet of the last exchange
raw STEP…           octets as they are; help raw tells more
help, q             q or Ctrl-D quits; Ctrl-C cancels the
                    line, the question or the transfer
`;

/** The output of `help raw`: examples to start with. */
export const RAW_HELP: string = String.raw`raw STEP…   send octets as they are, show the answer, timed
"…"         one write; \r \n \t \0 \xHH \\ \" are an octet each
"a"*9000    the same, repeated
200ms, 2s   wait
fin         close this side (half-close)

A request in two pieces:
  raw "GET / HT" 200ms "TP/1.1\r\nHost: localhost\r\n\r\n"
Two requests in one write (pipelining):
  raw "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
A bare LF, which strict servers refuse and others accept:
  raw "GET / HTTP/1.1\nHost: localhost\n\n"
Both lengths, which is how requests are smuggled:
  raw "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"
Half-close: the server sees the end, and still answers:
  raw "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" fin
`;
