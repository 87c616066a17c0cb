package config

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

// EncodeWire returns c as JSON with every key and every secret, for a worker that
// may have them and for nobody else: not for a log, not for a file.
func (c *Config) EncodeWire() ([]byte, error) {
	var b bytes.Buffer
	if err := encodeObject(&b, c); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeWire returns the Config that EncodeWire was given. It checks the form and
// not the limits: the sender has loaded the Config, so it is valid.
func DecodeWire(data []byte) (*Config, error) {
	d := &decoder{file: "wire", wire: true}
	c := newConfig()
	if d.parse(data, c) {
		for i := range c.Jobs {
			c.Jobs[i].connect()
		}
	}
	if err := d.err(); err != nil {
		return nil, fmt.Errorf("decode config: %w", err)
	}
	return c, nil
}

// connect puts user and password into the addresses, which the wire form has
// apart.
func (j *Job) connect() {
	j.Src.DSN = j.Src.DSN.With(j.Src.User, j.Src.Password)
	for i := range j.Des {
		des := &j.Des[i]
		des.DSN = des.DSN.With(des.User, des.Password)
	}
}

func encodeObject(b *bytes.Buffer, o object) error {
	separator := byte('{')
	for _, f := range o.fields() {
		if source, isSource := f.into.(**Source); isSource && *source == nil {
			continue
		}
		b.WriteByte(separator)
		separator = ','
		b.Write(quote(f.key))
		b.WriteByte(':')
		if err := encodeValue(b, f); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func encodeValue(b *bytes.Buffer, f field) error {
	switch value := f.into.(type) {
	case *bool:
		b.WriteString(strconv.FormatBool(*value))
	case *int:
		b.WriteString(strconv.Itoa(*value))
	case *string:
		b.Write(quote(*value))
	case *secret.String:
		b.Write(quote(value.Reveal()))
	case *dsn.DSN:
		b.Write(quote(encodeAddress(*value)))
	case *[]string:
		return encodeList(b, *value, func(s *string) error { b.Write(quote(*s)); return nil })
	case *Names:
		return encodeList(b, *value, func(s *string) error { b.Write(quote(*s)); return nil })
	case *[]secret.String:
		return encodeList(b, *value, func(s *secret.String) error { b.Write(quote(s.Reveal())); return nil })
	case *Secrets:
		return encodeList(b, *value, func(s *secret.String) error { b.Write(quote(s.Reveal())); return nil })
	case *Columns:
		data, err := value.MarshalJSON()
		b.Write(data)
		return err
	case *Tolerances:
		data, err := value.MarshalJSON()
		b.Write(data)
		return err
	case *map[string]secret.String:
		encodeHeaders(b, *value)
	case **Source:
		return encodeObject(b, *value)
	case *[]Destination:
		return encodeList(b, *value, func(d *Destination) error { return encodeObject(b, d) })
	case *[]Job:
		return encodeList(b, *value, func(j *Job) error { return encodeObject(b, j) })
	case object:
		return encodeObject(b, value)
	default:
		return fmt.Errorf("key %s: type %T has no wire form", f.key, f.into)
	}
	return nil
}

// encodeAddress leaves user and password to their own keys: the text form cannot
// carry every user name.
func encodeAddress(d dsn.DSN) string {
	if d.With("", secret.String{}).IsZero() {
		return ""
	}
	return d.With("", secret.String{}).Format().Reveal()
}

func encodeList[T any](b *bytes.Buffer, list []T, each func(*T) error) error {
	b.WriteByte('[')
	for i := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := each(&list[i]); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func encodeHeaders(b *bytes.Buffer, headers map[string]secret.String) {
	separator := byte('{')
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		b.WriteByte(separator)
		separator = ','
		b.Write(quote(name))
		b.WriteByte(':')
		b.Write(quote(headers[name].Reveal()))
	}
	if len(headers) == 0 {
		b.WriteByte(separator)
	}
	b.WriteByte('}')
}
