package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprint is a hash of what decides which rows of the pair differ: where both tables
// are, which rows and columns are compared, and how, and what an update scan cuts them by.
// Two configurations of a pair with the same one have the same result on the same data. Logins, intervals, limits and receivers
// are not in it, nor is any secret. It is for comparing, and may be another one after an
// update of cupid.
//
// A key is in it unless its field is aside: one that is added and thought of by nobody
// has work done again, and vouches for nothing that was not done.
func (p Pair) Fingerprint() string {
	var b bytes.Buffer
	for _, side := range []object{p.Source, p.Destination} {
		for _, f := range side.fields() {
			if f.aside {
				continue
			}
			b.Write(quote(f.key))
			b.WriteByte(':')
			if err := encodeValue(&b, f); err != nil {
				panic("config: " + err.Error()) // as no key of a type without a wire form is
			}
			b.WriteByte('\n')
		}
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:16])
}
