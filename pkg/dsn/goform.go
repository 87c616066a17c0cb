package dsn

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/masixun71/cupid/pkg/secret"
)

// parseGo reads `[user[:password]@][net[(addr)]]/dbname[?name=value&…]` with the
// rules of go-sql-driver/mysql: the last slash ends the address, the last @ before
// it ends the login, so a password may hold any character.
func parseGo(text string) (DSN, error) {
	slash := strings.LastIndexByte(text, '/')
	if slash < 0 {
		return DSN{}, &Error{Problem: "neither the PDO form nor the Go form: no \"mysql:\" in front, no slash before a database", Hint: pdoExample + " or " + goExample}
	}
	left, right := text[:slash], text[slash+1:]
	d := DSN{Net: "tcp"}
	if at := strings.LastIndexByte(left, '@'); at >= 0 {
		user, password, _ := strings.Cut(left[:at], ":")
		d.User, d.Password = user, secret.New(password)
		left = left[at+1:]
	}
	if err := d.address(left); err != nil {
		return DSN{}, err
	}
	name, query, _ := strings.Cut(right, "?")
	database, err := url.PathUnescape(name)
	if err != nil {
		return DSN{}, &Error{Problem: "database name has a % without two hexadecimal digits", Hint: "write a percent sign as %25"}
	}
	d.Database = database
	if err := d.params(query); err != nil {
		return DSN{}, err
	}
	return d, d.check()
}

// address reads net(addr), net, or nothing.
func (d *DSN) address(text string) error {
	network, addr, found := strings.Cut(text, "(")
	if found {
		if !strings.HasSuffix(addr, ")") {
			return &Error{Problem: "address has no closing bracket before the last slash", Hint: "write tcp(HOST:PORT)/NAME; a slash in a parameter is written %2F"}
		}
		addr = strings.TrimSuffix(addr, ")")
	}
	switch network {
	case "", "tcp":
		d.Addr = withPort(addr)
	case "unix":
		if addr == "" {
			addr = "/tmp/mysql.sock" // as the driver
		}
		d.Net, d.Addr = "unix", addr
	default:
		return &Error{Problem: "network is neither tcp nor unix", Hint: "write tcp(HOST:PORT) or unix(/PATH)"}
	}
	return nil
}

// withPort fills in the driver's defaults.
func withPort(addr string) string {
	if addr == "" {
		return net.JoinHostPort("127.0.0.1", DefaultPort)
	}
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]"), DefaultPort)
}

func (d *DSN) params(query string) error {
	for i, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		name, raw, found := strings.Cut(pair, "=")
		if !found || !word(name) {
			return &Error{Problem: fmt.Sprintf("parameter %d after the question mark is no NAME=VALUE", i+1), Hint: "names are letters, digits and _"}
		}
		value, err := url.QueryUnescape(raw)
		if err != nil {
			return &Error{Problem: fmt.Sprintf("parameter %d has a %% without two hexadecimal digits", i+1), Hint: "write a percent sign as %25"}
		}
		if d.Params == nil {
			d.Params = map[string]string{}
		}
		d.Params[name] = value
	}
	return nil
}

func word(text string) bool {
	for i := range len(text) {
		c := text[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return text != ""
}

// escape writes what url.PathUnescape and url.QueryUnescape both read back. It
// leaves commas as they are, since the driver does not unescape a list of
// charsets.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; word(text[i:i+1]) || strings.IndexByte("-.~,:$", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
