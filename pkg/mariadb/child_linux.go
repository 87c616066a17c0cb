package mariadb

import "syscall"

// attributes of a server process. The group of its own keeps a terminal's Ctrl-C from it: it is stopped in order, by us.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
