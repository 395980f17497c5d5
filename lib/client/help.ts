/**
 * The help at the prompt.
 *
 * @module
 */

/** The output of `help`. */
export const HELP: string = `\
get NAME            one row             get all      every row; get all age:gte=2 leg==4 some
head NAME           only the head       get /a?b=c   any target, sent as it is
post NAME [values]  a new row           put NAME [values]    a new row, or over the old one
patch NAME items    some fields         delete NAME  options NAME   PURGE /x  any method
values: one for each field in order, or items: type=snail text, age:=1 JSON,
        page==2 query, If-Match:'"1"' header; quote values with spaces or colons;
        or the whole content: {"type":"snail"}, @FILE
print HBhb          what is shown: H B request head and body, h b response's
header Name: value  send a field from now on; header lists them, header -Name drops one
auth USER:PASS      send credentials (Basic); auth - drops them
follow              request the last response's Location
curl                the last request as a command line
explain             the last exchange: what each of its octets means
raw STEP…           octets as they are: raw "GET / HTTP/1.1\\r\\n…"; help raw has examples
help, q (or Ctrl-D) to quit; Ctrl-C cancels the line, the question or the transfer
`;

/** The output of `help raw`: examples to start with. */
export const RAW_HELP: string = String.raw`raw STEP…   send octets as they are; show what comes back, with times
"…"         one write, as typed; \r \n \t \0 \xHH \\ \" stand for one octet each
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
