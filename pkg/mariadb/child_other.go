//go:build !linux

package mariadb

import "syscall"

// attributes of a server process. Without a death signal it stays in our group, so that Ctrl-C reaches it.
func attributes() *syscall.SysProcAttr { return nil }
