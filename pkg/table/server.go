package table

import (
	"fmt"
	"strconv"
	"strings"
)

// server says what a server is.
type server struct {
	// MariaDB is false for MySQL and what imitates it.
	MariaDB bool
	// Version is the server's own text.
	Version string
	// Major and Minor are its first two numbers.
	Major, Minor int
}

// parseServer reads the answer of VERSION(), such as "10.11.19-MariaDB" or "9.7.4".
func parseServer(version string) server {
	s := server{Version: version, MariaDB: strings.Contains(strings.ToLower(version), "mariadb")}
	number := strings.TrimPrefix(version, "5.5.5-") // what MariaDB puts before its version for old replicas
	major, rest, _ := strings.Cut(number, ".")
	minor, _, _ := strings.Cut(rest, ".")
	s.Major, _ = strconv.Atoi(major)
	s.Minor, _ = strconv.Atoi(minor)
	return s
}

// String is the server as it stands in -check.
func (s server) String() string {
	if s.MariaDB {
		return fmt.Sprintf("MariaDB %s", s.Version)
	}
	return fmt.Sprintf("MySQL %s", s.Version)
}
