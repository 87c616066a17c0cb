package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
)

// Header names, in the form that net/http uses as map keys.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
	HeaderAttempt   = "Cupid-Attempt"
	HeaderPair      = "Cupid-Pair"
	HeaderColumns   = "Cupid-Columns"
)

const (
	secretPrefix    = "whsec_"
	signatureScheme = "v1,"
)

// Reasons why Verify refuses a request.
var (
	// ErrSignatureMissing: a header is absent or cannot be read.
	ErrSignatureMissing = errors.New("webhook headers are missing or malformed")
	// ErrSignatureTime: the timestamp lies further from now than is tolerated.
	ErrSignatureTime = errors.New("webhook timestamp is outside of the tolerance")
	// ErrSignatureMismatch: no secret gives one of the signatures.
	ErrSignatureMismatch = errors.New("webhook signature does not match")
	// ErrSecret: a secret cannot be used to sign.
	ErrSecret = errors.New("webhook secret is empty or not whsec_ followed by base64")
)

// signer signs with one key. Computing the two inner states of an HMAC costs more than signing a small body, so they
// are kept and reset.
type signer struct {
	pool sync.Pool // of hash.Hash
}

func newSigner(s secret.String) (*signer, error) {
	key, err := signingKey(s)
	if err != nil {
		return nil, err
	}
	return &signer{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}, nil
}

// signingKey returns the bytes to sign with.
func signingKey(s secret.String) ([]byte, error) {
	text := s.Reveal()
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		if text == "" {
			return nil, ErrSecret
		}
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(encoded) // some tools leave the padding away
	}
	if err != nil || len(key) == 0 {
		return nil, ErrSecret
	}
	return key, nil
}

// CheckSecret says whether s can be used to sign. Its error does not show the secret.
func CheckSecret(s secret.String) error {
	_, err := signingKey(s)
	return err
}

// appendMAC appends the HMAC-SHA256 of "id.timestamp.body".
func (s *signer) appendMAC(dst []byte, id, timestamp string, body []byte) []byte {
	h := s.pool.Get().(hash.Hash)
	defer s.pool.Put(h)
	h.Reset()
	var head [128]byte
	signed := append(head[:0], id...)
	signed = append(signed, '.')
	signed = append(signed, timestamp...)
	signed = append(signed, '.')
	h.Write(signed)
	h.Write(body)
	return h.Sum(dst)
}

// signature returns the value of the Webhook-Signature header for all signers.
func signature(signers []*signer, id, timestamp string, body []byte) string {
	var room [256]byte
	out := room[:0]
	for i, s := range signers {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, signatureScheme...)
		var mac [sha256.Size]byte
		out = base64.StdEncoding.AppendEncode(out, s.appendMAC(mac[:0], id, timestamp, body))
	}
	return string(out)
}

// Verify says whether a request that was received is signed with one of the secrets, and was signed within tolerance
// of now. Zero tolerance leaves the time unchecked. It is for receivers; the errors are ErrSignatureMissing,
// ErrSignatureTime, ErrSignatureMismatch and ErrSecret.
func Verify(headers http.Header, body []byte, secrets []secret.String, now time.Time, tolerance time.Duration) error {
	id, timestamp := headers.Get(HeaderID), headers.Get(HeaderTimestamp)
	signatures := headers.Get(HeaderSignature)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || signatures == "" || err != nil {
		return ErrSignatureMissing
	}
	if tolerance > 0 && now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrSignatureTime
	}
	for i, s := range secrets {
		key, err := newSigner(s)
		if err != nil {
			return fmt.Errorf("secret %d: %w", i+1, err)
		}
		want := key.appendMAC(nil, id, timestamp, body)
		for candidate := range strings.FieldsSeq(signatures) {
			encoded, ok := strings.CutPrefix(candidate, signatureScheme)
			if !ok {
				continue // another version of the scheme, such as v1a
			}
			got, err := base64.StdEncoding.DecodeString(encoded)
			if err == nil && hmac.Equal(got, want) {
				return nil
			}
		}
	}
	return ErrSignatureMismatch
}
