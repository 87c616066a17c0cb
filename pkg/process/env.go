package process

import (
	"slices"
	"strings"
)

// safeNames are the variables that a worker may need and that hold no secret. Proxies are not among them: their URLs
// hold passwords.
var safeNames = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "ZONEINFO", "LANG", "LANGUAGE", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GOTRACEBACK", "GODEBUG", "GOCOVERDIR", "GORACE",
}

// SafeEnv returns those variables of environ that a worker may need and that hold no secret. What a worker
// inherits can be read in /proc by every process of the same user, and ends in crash reports.
func SafeEnv(environ []string) []string {
	var safe []string
	for _, variable := range environ {
		name, _, ok := strings.Cut(variable, "=")
		if ok && (slices.Contains(safeNames, name) || strings.HasPrefix(name, "LC_")) {
			safe = append(safe, variable)
		}
	}
	return safe
}
