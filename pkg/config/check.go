package config

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/masixun71/cupid/pkg/phpdate"
	"github.com/masixun71/cupid/pkg/secret"
)

// checkSource checks what holds between the keys of one source.
func (d *decoder) checkSource(path string, s *Source) {
	d.login(path, s.DSN.User, &s.User, &s.Password, s.DSN.Password)
	d.databaseCA(path, s.CAFile, s.DSN)
	d.identifier(join(path, "table"), s.Table)
	d.keyColumns(join(path, "byColumn"), s.ByColumn)
	d.identifier(join(path, "idColumn"), s.IDColumn)
	d.zone(join(path, "timeZone"), s.TimeZone)
	insert, update, sweep := join(path, "insert"), join(path, "update"), join(path, "sweep")
	if !s.Insert && !s.Update && !s.Sweep && d.ok(insert) && d.ok(update) && d.ok(sweep) {
		d.fault(sweep, "none of insert, update and sweep is true, so nothing would be checked", "set at least one of them to true")
	}
	if s.Update {
		d.checkUpdate(path, s)
	}
}

func (d *decoder) checkUpdate(path string, s *Source) {
	column, scan, format := join(path, "updateColumn"), join(path, "updateScanSecond"), join(path, "updateTimeFormate")
	switch {
	case s.UpdateColumn == "" && d.ok(column):
		d.fault(column, "missing, and update is true", "name the column that holds when a row was last changed")
	default:
		d.identifier(column, s.UpdateColumn)
	}
	if !d.has(scan) {
		d.fault(scan, "missing, and update is true", "write how many seconds each look reaches back, for example 5")
	}
	if !d.ok(format) {
		return
	}
	if err := phpdate.Monotonic(s.UpdateTimeFormat); err != nil {
		d.fault(format, err.Error(), "the usual format is "+DefaultUpdateTimeFormat)
	}
}

// checkDestination checks what holds between the keys of one destination and its
// source.
func (d *decoder) checkDestination(path string, s *Source, des *Destination, sourcePath string) {
	d.login(path, des.DSN.User, &des.User, &des.Password, des.DSN.Password)
	d.databaseCA(path, des.CAFile, des.DSN)
	d.identifier(join(path, "table"), des.Table)
	by := join(path, "byColumn")
	d.keyColumns(by, des.ByColumn)
	if n, want := len(des.ByColumn), len(s.ByColumn); n != want && n > 0 && want > 0 && d.ok(by) && d.ok(join(sourcePath, "byColumn")) {
		d.fault(by, fmt.Sprintf("%d columns, and byColumn of the source has %d", n, want), "name one column for each of the source's, in the same order")
	}
	d.zone(join(path, "timeZone"), des.TimeZone)
	d.checkColumns(join(path, "columns"), des.Columns)
	d.checkTolerances(join(path, "tolerance"), des)
	d.checkMasks(join(path, "maskColumns"), s, des)
	d.checkCallback(join(path, "callbackNotification"), &des.CallbackNotification)
}

func (d *decoder) checkColumns(path string, columns Columns) {
	taken := map[string]string{} // MySQL folds the case of column names
	for _, c := range columns {
		at := join(path, c.Src)
		d.identifier(at, c.Src)
		if !d.ok(at) {
			continue
		}
		d.identifier(at, c.Des)
		if other, again := taken[strings.ToLower(c.Des)]; again {
			d.fault(at, "goes to the same column of the destination as "+strconv.QuoteToASCII(other), "each column of the destination has one column of the source")
		}
		taken[strings.ToLower(c.Des)] = c.Src
	}
}

// checkTolerances makes sure that each is of a column that is compared.
func (d *decoder) checkTolerances(path string, des *Destination) {
	compared, seen := des.Columns.Src(), map[string]bool{}
	for _, t := range des.Tolerance {
		at, near := join(path, t.Column), nearest(t.Column, compared)
		folded := strings.ToLower(t.Column)
		switch {
		case !d.ok(at):
		case seen[folded]:
			d.fault(at, "the same column again", "remove one")
		case slices.ContainsFunc(compared, func(c string) bool { return strings.EqualFold(c, t.Column) }):
		case near != "":
			d.fault(at, "no column of the source in columns", "did you mean "+strconv.QuoteToASCII(near)+"?")
		default:
			d.fault(at, "no column of the source in columns", "only those are compared; remove it or add it to columns")
		}
		seen[folded] = true
	}
}

// checkMasks makes sure that a slip of the pen hides no column less.
func (d *decoder) checkMasks(path string, s *Source, des *Destination) {
	logged := append(des.Columns.Src(), s.ByColumn...)
	for i, name := range des.MaskColumns {
		near := nearest(name, logged)
		switch {
		case strings.EqualFold(near, name), !d.ok(index(path, i)), !d.ok(path):
		case near != "":
			d.fault(index(path, i), "no column of the source in columns or byColumn", "did you mean "+strconv.QuoteToASCII(near)+"?")
		default:
			d.fault(index(path, i), "no column of the source in columns or byColumn", "only those are logged; remove it or add it to columns")
		}
	}
}

// login takes user and password from the address where they have no key of their
// own.
func (d *decoder) login(path, dsnUser string, user *string, password *secret.String, dsnPassword secret.String) {
	at := join(path, "user")
	if *user == "" && d.ok(at) {
		*user = dsnUser
		if dsnUser == "" && d.ok(join(path, "dsn")) {
			d.fault(at, "missing", "add the key \"user\"")
		}
	}
	if at := join(path, "password"); !d.has(at) {
		*password = dsnPassword
		if dsnUser == "" && d.ok(join(path, "dsn")) {
			d.fault(at, "missing", "add the key \"password\"; an account without one has \"\"")
		}
	}
}

// identifier checks the name of a table or column (MySQL manual, "Schema Object
// Names").
func (d *decoder) identifier(path, name string) {
	switch {
	case !d.ok(path):
	case name == "":
		if d.has(path) {
			d.fault(path, "empty", "write a name")
		}
	case utf8.RuneCountInString(name) > MaxIdentifierRunes:
		d.fault(path, fmt.Sprintf("name longer than %d characters", MaxIdentifierRunes), "no table or column of MySQL has such a name")
	case strings.HasSuffix(name, " "):
		d.fault(path, "name ends with a space", "remove it")
	case strings.ContainsRune(name, 0):
		d.fault(path, "name holds a NUL byte", "remove it")
	}
}

func (d *decoder) keyColumns(path string, names Names) {
	seen := map[string]bool{}
	for i, name := range names {
		at := index(path, i)
		if !d.has(at) { // a single name in place of a list
			at = path
		}
		d.identifier(at, name)
		if seen[strings.ToLower(name)] && d.ok(at) {
			d.fault(at, "the same column again", "remove it")
		}
		seen[strings.ToLower(name)] = true
	}
	if len(names) == 0 && d.has(path) && d.ok(path) {
		d.fault(path, "empty", "write a name")
	}
}

var zonePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?i:SYSTEM|[+-](?:0?\d|1[0-4]):[0-5]\d|[A-Z][A-Z0-9_+\-]*(?:/[A-Z0-9_+\-]+)*)$`)
})

// zone checks the form; whether the server knows the name is its own business.
func (d *decoder) zone(path, name string) {
	if name == "" || !d.ok(path) || len(name) <= MaxIdentifierRunes && zonePattern().MatchString(name) {
		return
	}
	d.fault(path, "no time zone", "write +08:00, a name such as Asia/Shanghai, or SYSTEM")
}

func (d *decoder) checkCallback(path string, n *CallbackNotification) {
	if at := join(path, "url"); n.URL != "" && d.ok(at) {
		text, problem := normalURL(n.URL)
		if problem != "" {
			d.fault(at, problem, "write http://HOST:PORT/PATH or https://HOST/PATH")
		}
		n.URL = text
	}
	if at := join(path, "caFile"); n.CAFile != "" && strings.HasPrefix(n.URL, "http:") && d.ok(at) && d.ok(join(path, "url")) {
		d.fault(at, "the url is not encrypted, so nobody would look at it", "write https:// in url, or remove it")
	}
	for name, value := range n.Headers {
		d.header(join(join(path, "headers"), name), name, value.Reveal())
	}
	for i, s := range n.Secret {
		at := index(join(path, "secret"), i)
		if !d.has(at) {
			at = join(path, "secret")
		}
		if problem, hint := signingSecret(s.Reveal()); problem != "" && d.ok(at) {
			d.fault(at, problem, hint)
		}
	}
}

// normalURL gives a URL without a scheme http, as curl does and the original did.
func normalURL(text string) (normal, problem string) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(text, "//"):
		text = "http:" + text
	case strings.HasPrefix(lower, "http:") && !strings.HasPrefix(lower, "http://"),
		strings.HasPrefix(lower, "https:") && !strings.HasPrefix(lower, "https://"):
		return text, "URL has no // after its scheme"
	case !schemePattern().MatchString(text):
		text = "http://" + text
	}
	u, err := url.Parse(text) // its error quotes the URL, which may hold a token
	switch {
	case err != nil:
		return text, "no URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return text, "URL of a scheme other than http and https"
	case u.Hostname() == "":
		return text, "URL without a host"
	case strings.HasSuffix(u.Host, ":"):
		return text, "URL with a colon and no port"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return text, "URL with a port that is no number from 1 to 65535"
		}
	}
	return u.String(), ""
}

var schemePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.\-]*://`)
})

// ownHeader matches the headers that a delivery or the connection sets itself.
var ownHeader = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(content-(type|length|encoding)|user-agent|idempotency-key|host|(webhook|cupid)-.*|(proxy-)?connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect)$`)
})

// token is the form of a header's name (RFC 9110, section 5.6.2).
var token = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$")
})

func (d *decoder) header(path, name, value string) {
	switch {
	case !d.ok(path):
	case !token().MatchString(name):
		d.fault(path, "no name of a header", "write letters, digits and hyphens")
	case ownHeader().MatchString(name):
		d.fault(path, "a header that cupid sets itself", "remove it")
	case strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }):
		d.fault(path, "header value with a line break or control character", "remove it")
	}
}

// signingSecret checks a secret of Standard Webhooks.
func signingSecret(text string) (problem, hint string) {
	encoded, prefixed := strings.CutPrefix(text, "whsec_")
	if !prefixed {
		if len(text) < MinRawSecretBytes {
			return fmt.Sprintf("signing secret shorter than %d bytes", MinRawSecretBytes), "make one: echo whsec_$(openssl rand -base64 32)"
		}
		return "", ""
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "signing secret is no base64 after whsec_", "make one: echo whsec_$(openssl rand -base64 32)"
	}
	if len(key) < MinSigningKeyBytes || len(key) > MaxSigningKeyBytes {
		return fmt.Sprintf("signing secret of fewer than %d or more than %d bytes", MinSigningKeyBytes, MaxSigningKeyBytes), "make one: echo whsec_$(openssl rand -base64 32)"
	}
	return "", ""
}

// Granularity returns how fine the text of UpdateTimeFormat is: two moments
// that are closer may have the same text.
func (s *Source) Granularity() time.Duration { return phpdate.Granularity(s.UpdateTimeFormat) }
