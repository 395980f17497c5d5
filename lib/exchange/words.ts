/** What the words of HTTP mean, one line each, with the section that says more: methods, statuses, fields. */

/** A meaning and the section it comes from. */
export type Meaning = readonly [text: string, rule: string];

/** Methods (RFC 9110 §9.3, RFC 5789). */
export const METHOD_MEANINGS: Readonly<Record<string, Meaning>> = {
  GET: ["give me a representation; safe, idempotent", "RFC 9110 §9.3.1"],
  HEAD: ["as GET, but send the head only; safe, idempotent", "RFC 9110 §9.3.2"],
  POST: ["process this content; neither safe nor idempotent", "RFC 9110 §9.3.3"],
  PUT: ["store this content under the target; idempotent", "RFC 9110 §9.3.4"],
  DELETE: ["remove the target; idempotent", "RFC 9110 §9.3.5"],
  CONNECT: ["open a tunnel to the target", "RFC 9110 §9.3.6"],
  OPTIONS: ["say what the target can do; safe, idempotent", "RFC 9110 §9.3.7"],
  TRACE: ["send back what you received; safe, idempotent", "RFC 9110 §9.3.8"],
  PATCH: ["change the target as this content says; not idempotent", "RFC 5789 §2"],
};

/** Statuses of the IANA registry that are in use. */
export const STATUS_MEANINGS: Readonly<Record<number, Meaning>> = {
  100: ["go on and send the content", "RFC 9110 §15.2.1"],
  101: ["the connection changes its protocol now", "RFC 9110 §15.2.2"],
  102: ["the request is being processed", "RFC 2518 §10.1"],
  103: ["fields that the final response will probably have", "RFC 8297 §2"],
  200: ["the request has succeeded", "RFC 9110 §15.3.1"],
  201: ["a resource has been created", "RFC 9110 §15.3.2"],
  202: ["accepted, but not done yet", "RFC 9110 §15.3.3"],
  203: ["changed by a proxy on the way", "RFC 9110 §15.3.4"],
  204: ["done, and there is no content", "RFC 9110 §15.3.5"],
  205: ["done: reset the form", "RFC 9110 §15.3.6"],
  206: ["only the range asked for", "RFC 9110 §15.3.7"],
  207: ["several statuses, in the content", "RFC 4918 §11.1"],
  208: ["members were listed before", "RFC 5842 §7.1"],
  226: ["a difference to an older representation", "RFC 3229 §10.4.1"],
  300: ["there are several representations: choose", "RFC 9110 §15.4.1"],
  301: ["moved for good: use Location from now on", "RFC 9110 §15.4.2"],
  302: ["elsewhere for now: see Location", "RFC 9110 §15.4.3"],
  303: ["the answer is at Location: GET it", "RFC 9110 §15.4.4"],
  304: ["not changed: use the copy you have", "RFC 9110 §15.4.5"],
  305: ["use a proxy (deprecated)", "RFC 9110 §15.4.6"],
  306: ["not used any more", "RFC 9110 §15.4.7"],
  307: ["elsewhere for now: repeat the request at Location", "RFC 9110 §15.4.8"],
  308: ["moved for good: repeat the request at Location", "RFC 9110 §15.4.9"],
  400: ["the server cannot understand the request", "RFC 9110 §15.5.1"],
  401: ["credentials are needed: see WWW-Authenticate", "RFC 9110 §15.5.2"],
  402: ["payment is required (reserved)", "RFC 9110 §15.5.3"],
  403: ["understood, and refused", "RFC 9110 §15.5.4"],
  404: ["there is nothing at the target", "RFC 9110 §15.5.5"],
  405: ["the target does not take this method: see Allow", "RFC 9110 §15.5.6"],
  406: ["no representation that the client accepts", "RFC 9110 §15.5.7"],
  407: ["the proxy needs credentials", "RFC 9110 §15.5.8"],
  408: ["the request did not come in time", "RFC 9110 §15.5.9"],
  409: ["it conflicts with the state of the target", "RFC 9110 §15.5.10"],
  410: ["gone, and will not come back", "RFC 9110 §15.5.11"],
  411: ["a Content-Length is needed", "RFC 9110 §15.5.12"],
  412: ["a condition of the request is false", "RFC 9110 §15.5.13"],
  413: ["the content is larger than the server takes", "RFC 9110 §15.5.14"],
  414: ["the target is longer than the server takes", "RFC 9110 §15.5.15"],
  415: ["the server does not take this media type", "RFC 9110 §15.5.16"],
  416: ["the range asked for is not there", "RFC 9110 §15.5.17"],
  417: ["the server cannot do what Expect asks", "RFC 9110 §15.5.18"],
  418: ["not used: known from an April joke", "RFC 9110 §15.5.19"],
  421: ["this server does not answer for that host", "RFC 9110 §15.5.20"],
  422: ["well formed, but it makes no sense", "RFC 9110 §15.5.21"],
  423: ["the target is locked", "RFC 4918 §11.3"],
  424: ["something it depends on has failed", "RFC 4918 §11.4"],
  425: ["too early: it might be replayed", "RFC 8470 §5.2"],
  426: ["another protocol is needed: see Upgrade", "RFC 9110 §15.5.22"],
  428: ["a condition such as If-Match is needed", "RFC 6585 §3"],
  429: ["too many requests in this time", "RFC 6585 §4"],
  431: ["fields are larger than the server takes", "RFC 6585 §5"],
  451: ["refused for legal reasons", "RFC 7725 §3"],
  500: ["the server has failed", "RFC 9110 §15.6.1"],
  501: ["the server cannot do what the request asks", "RFC 9110 §15.6.2"],
  502: ["the server behind gave no valid response", "RFC 9110 §15.6.3"],
  503: ["overloaded or under maintenance: try later", "RFC 9110 §15.6.4"],
  504: ["the server behind gave no response in time", "RFC 9110 §15.6.5"],
  505: ["the server does not speak this version", "RFC 9110 §15.6.6"],
  506: ["content negotiation is set up wrongly", "RFC 2295 §8.1"],
  507: ["the server has no room left", "RFC 4918 §11.5"],
  508: ["a loop was found", "RFC 5842 §7.2"],
  510: ["an extension is needed (obsolete)", "RFC 2774 §7"],
  511: ["the network wants a login first", "RFC 6585 §6"],
};

/** What the first digit of a status means (RFC 9110 §15). */
export const STATUS_CLASSES: readonly Meaning[] = [
  ["no class", "RFC 9110 §15"],
  ["informational", "RFC 9110 §15.2"],
  ["successful", "RFC 9110 §15.3"],
  ["redirection", "RFC 9110 §15.4"],
  ["the client's error", "RFC 9110 §15.5"],
  ["the server's error", "RFC 9110 §15.6"],
];

/** How a field's value is cut into parts. */
export type ValueKind =
  | "list"
  | "parameters"
  | "cache"
  | "options"
  | "date"
  | "tags"
  | "range"
  | "cookies"
  | "condition"
  | "uri"
  | "credentials";

/** A field: what it says, the section, what its value is made of, and what a member of a list or the first part is. */
export type FieldMeaning = readonly [text: string, rule: string, value?: ValueKind, member?: string];

/** Fields by their names in lower case. */
export const FIELD_MEANINGS: ReadonlyMap<string, FieldMeaning> = new Map<string, FieldMeaning>([
  ["accept", ["media types the client takes", "RFC 9110 §12.5.1", "list", "media type"]],
  ["accept-charset", ["charsets the client takes (deprecated)", "RFC 9110 §12.5.2", "list", "charset"]],
  ["accept-encoding", ["content codings the client takes", "RFC 9110 §12.5.3", "list", "coding"]],
  ["accept-language", ["languages the client prefers", "RFC 9110 §12.5.4", "list", "language"]],
  ["accept-patch", ["documents the server takes as patches", "RFC 5789 §3.1", "list", "media type"]],
  ["accept-ranges", ["units of ranges the target takes", "RFC 9110 §14.3", "list", "unit"]],
  ["access-control-allow-credentials", ["the page may read it with credentials", "Fetch §3.3.3"]],
  ["access-control-allow-headers", ["fields that pages may send", "Fetch §3.3.3", "list", "field"]],
  ["access-control-allow-methods", ["methods that pages may use", "Fetch §3.3.3", "list", "method"]],
  ["access-control-allow-origin", ["whose pages may read this", "Fetch §3.3.3"]],
  ["access-control-allow-private-network", ["public pages may ask this host", "Private Network Access §2.3"]],
  ["access-control-expose-headers", ["fields that pages may read", "Fetch §3.3.3", "list", "field"]],
  ["access-control-max-age", ["seconds this permission is kept", "Fetch §3.3.3"]],
  ["access-control-request-headers", ["fields that a page wants to send", "Fetch §3.3.2", "list", "field"]],
  ["access-control-request-method", ["method that a page wants to use", "Fetch §3.3.2"]],
  ["access-control-request-private-network", ["a public page wants a private host", "Private Network Access §2.3"]],
  ["age", ["seconds it has been in caches", "RFC 9111 §5.1"]],
  ["allow", ["methods the target takes", "RFC 9110 §10.2.1", "list", "method"]],
  ["alt-svc", ["other places for this service", "RFC 7838 §3", "list", "service"]],
  ["authentication-info", ["what follows from authentication", "RFC 9110 §11.6.3"]],
  ["authorization", ["credentials for the server", "RFC 9110 §11.6.2", "credentials"]],
  ["cache-control", ["rules for caches", "RFC 9111 §5.2", "cache"]],
  ["connection", ["options for this connection alone", "RFC 9110 §7.6.1", "options"]],
  ["content-disposition", ["whether to show or save the content", "RFC 6266 §4", "parameters", "disposition"]],
  ["content-encoding", ["codings applied to the content", "RFC 9110 §8.4", "list", "coding"]],
  ["content-language", ["language of the content's audience", "RFC 9110 §8.5", "list", "language"]],
  ["content-length", ["octets of content", "RFC 9110 §8.6"]],
  ["content-location", ["where this very content is found", "RFC 9110 §8.7", "uri"]],
  ["content-range", ["which part of the whole this is", "RFC 9110 §14.4"]],
  ["content-security-policy", ["what a page may load and run", "CSP Level 3 §3.1"]],
  ["content-type", ["media type of the content", "RFC 9110 §8.3", "parameters", "media type"]],
  ["cookie", ["cookies that the server set before", "RFC 6265 §4.2", "cookies"]],
  ["date", ["when the message was made", "RFC 9110 §6.6.1", "date"]],
  ["etag", ["tag of this version of the content", "RFC 9110 §8.8.3", "tags"]],
  ["expect", ["what the server must do first", "RFC 9110 §10.1.1"]],
  ["expires", ["when the response becomes stale", "RFC 9111 §5.3", "date"]],
  ["forwarded", ["what proxies saw of the client", "RFC 7239 §4", "list", "hop"]],
  ["from", ["mailbox of the person behind a robot", "RFC 9110 §10.1.2"]],
  ["host", ["which site this is for", "RFC 9110 §7.2"]],
  ["if-match", ["only if the target has one of these tags", "RFC 9110 §13.1.1", "tags"]],
  ["if-modified-since", ["only if changed since then", "RFC 9110 §13.1.3", "date"]],
  ["if-none-match", ["only if the target has none of these tags", "RFC 9110 §13.1.2", "tags"]],
  ["if-range", ["the range only if unchanged, else all", "RFC 9110 §13.1.5", "condition"]],
  ["if-unmodified-since", ["only if unchanged since then", "RFC 9110 §13.1.4", "date"]],
  ["keep-alive", ["how long the connection is kept", "RFC 2068 §19.7.1", "list"]],
  ["last-modified", ["when the content was changed last", "RFC 9110 §8.8.2", "date"]],
  ["link", ["related resources", "RFC 8288 §3", "list", "link"]],
  ["location", ["where to go, or what was created", "RFC 9110 §10.2.2", "uri"]],
  ["max-forwards", ["hops that are left", "RFC 9110 §7.6.2"]],
  ["mime-version", ["version of MIME, without use in HTTP", "RFC 9112 §B.1"]],
  ["origin", ["site of the page that sends this", "RFC 6454 §7"]],
  ["pragma", ["as Cache-Control, of HTTP/1.0", "RFC 9111 §5.4", "list", "directive"]],
  ["priority", ["how urgent the response is", "RFC 9218 §5", "list"]],
  ["proxy-authenticate", ["how to log in to the proxy", "RFC 9110 §11.7.1"]],
  ["proxy-authentication-info", ["what follows from the proxy's login", "RFC 9110 §11.7.3"]],
  ["proxy-authorization", ["credentials for the proxy", "RFC 9110 §11.7.2", "credentials"]],
  ["range", ["the part that is wanted", "RFC 9110 §14.2", "range"]],
  ["referer", ["where the link to the target was", "RFC 9110 §10.1.3", "uri"]],
  ["retry-after", ["when to try again", "RFC 9110 §10.2.3", "condition"]],
  ["sec-fetch-dest", ["what the page needs this for", "Fetch Metadata §2.1"]],
  ["sec-fetch-mode", ["mode of the page's request", "Fetch Metadata §2.2"]],
  ["sec-fetch-site", ["how the page's site and the target's differ", "Fetch Metadata §2.3"]],
  ["sec-fetch-user", ["a person caused this", "Fetch Metadata §2.4"]],
  ["server", ["software of the server", "RFC 9110 §10.2.4"]],
  ["set-cookie", ["a cookie to be sent back", "RFC 6265 §4.1", "cookies"]],
  ["strict-transport-security", ["use TLS only, from now on", "RFC 6797 §6.1", "cookies"]],
  ["te", ["transfer codings the client takes", "RFC 9110 §10.1.4", "list"]],
  ["trailer", ["fields that come after the content", "RFC 9110 §6.6.2", "list", "field"]],
  ["transfer-encoding", ["how the content is framed", "RFC 9112 §6.1", "list", "coding"]],
  ["upgrade", ["protocols to change to", "RFC 9110 §7.8", "list", "protocol"]],
  ["upgrade-insecure-requests", ["the client prefers https", "Upgrade Insecure Requests §3.2.1"]],
  ["user-agent", ["software of the client", "RFC 9110 §10.1.5"]],
  ["vary", ["request fields the response depends on", "RFC 9110 §12.5.5", "list", "field"]],
  ["via", ["proxies on the way", "RFC 9110 §7.6.3", "list", "proxy"]],
  ["warning", ["what to know about the content (obsolete)", "RFC 9111 §5.5", "list", "warning"]],
  ["www-authenticate", ["how to log in", "RFC 9110 §11.6.1"]],
  ["x-content-type-options", ["do not guess the media type", "Fetch §3.6"]],
  ["x-forwarded-for", ["addresses of the client and of proxies", "RFC 7239 §7.4", "list", "address"]],
  ["x-total-count", ["rows in all, by custom", "RFC 9110 §16.3"]],
]);

/** Directives of Cache-Control (RFC 9111 §5.2). */
export const CACHE_DIRECTIVES: Readonly<Record<string, string>> = {
  "max-age": "fresh for so many seconds",
  "max-stale": "stale by so many seconds is fine",
  "min-fresh": "fresh for so many seconds more",
  "must-revalidate": "never use it stale unasked",
  "must-understand": "keep it only if you know its status",
  "no-cache": "ask before each use",
  "no-store": "keep no copy",
  "no-transform": "do not change the content",
  "only-if-cached": "from a cache or not at all",
  "private": "for one user's cache only",
  "proxy-revalidate": "shared caches: never stale unasked",
  "public": "any cache may keep it",
  "s-maxage": "for shared caches: fresh for so many seconds",
  "immutable": "never changes while fresh",
  "stale-while-revalidate": "stale for so many seconds while asking",
  "stale-if-error": "stale for so many seconds if asking fails",
};

/** Options of Connection (RFC 9110 §7.6.1, RFC 9112 §9.3). */
export const CONNECTION_OPTIONS: Readonly<Record<string, string>> = {
  "close": "the connection ends after this message",
  "keep-alive": "the connection stays, also in HTTP/1.0",
  "upgrade": "the Upgrade field counts",
  "te": "the TE field counts",
};
