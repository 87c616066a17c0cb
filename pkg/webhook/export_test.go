package webhook

// Seams for the outside tests.
var (
	RetryAfter = retryAfter
	Refused    = refused
	Encode     = encode
	EncodeList = encodeList
)

// MaxListBytes is the limit of Cupid-Columns.
const MaxListBytes = maxListBytes
