// Package webhook makes one signed POST and says what its answer means.
//
// It knows nothing of events, of queues and of when to try again: it is handed a finished body and hands back an
// [Outcome].
//
// # What is sent
//
//	POST <url>
//	Content-Type: application/json
//	User-Agent: cupid/<version>
//	Webhook-Id: <Request.ID>                      the same over all attempts
//	Webhook-Timestamp: <unix seconds>             of this attempt
//	Webhook-Signature: v1,<base64> v1,<base64>    one for each live secret; absent without a secret
//	Cupid-Attempt: <n>
//	Cupid-Pair: <pair>
//	Cupid-Columns: <column>,<column>              absent without columns
//
// The signature is that of Standard Webhooks 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over
// "<id>.<timestamp>.<body>". A secret is "whsec_" followed by base64, or any other text, whose bytes are the key then.
// [Verify] is the receiver's side.
//
// Webhook-Id, Cupid-Pair and every name in Cupid-Columns are percent-encoded (RFC 3986) where they hold anything but
// visible ASCII, and where they hold "%" or ",". A list of columns longer than 2 KiB is cut after a whole name and
// ends with ",..." then, because many receivers refuse a request whose headers exceed 8 KiB.
//
// # What an answer means
//
// Any status 2xx is an acceptance, also when the rest of the answer does not arrive. Everything else is a failure:
// other statuses, redirects (none is followed: the body would go to somebody who was not named), a timeout, an answer
// that is no HTTP. 410 says that the URL is gone ([Outcome.Parked]).
//
// A failure may be that of this one body or of the URL ([Outcome.OfRow]). All that differs from one request to the next
// is the body, and in the headers the id, the attempt and the columns. So these may be of the body: 400, 406 (filters of
// content answer so), 409, 412, 413, 415, 422, 424, 431 (many columns), 500 (the receiver has stumbled over a value) and
// 501 (it does not know the type). These are of the URL: no answer; whatever is about the path, the method, who we are or how
// often we come, as 401, 403, 404, 405, 407, 408, 410, 421, 425 and 429; 411, for a length is always sent; 502, 503 and 504,
// which say that there is nobody behind; and every other status.
//
// At most 4 KiB of an answer are read, for at most two seconds after its head. A longer or slower one costs its
// connection; one that was read to its end gives its connection back for the next request. So a receiver that answers
// without end, or a byte a minute, harms nobody.
//
// # What is refused
//
// The address is checked after the name was resolved, at the moment of dialling, so that no answer of a name server
// leads past it: link-local addresses (169.254.0.0/16, fe80::/10) and the metadata services of clouds. Private
// addresses are allowed, as most callbacks live there. No proxy is used, as a proxy would dial in our stead.
//
// # Concurrency
//
// A [Client] is safe for concurrent use and meant to be shared: it holds the connections.
package webhook
