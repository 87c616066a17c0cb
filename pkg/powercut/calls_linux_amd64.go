package powercut

import "golang.org/x/sys/unix"

// canonical turns a system call into the newer one that does the same.
func canonical(c *call) {
	a := c.args
	switch c.number {
	case unix.SYS_OPEN:
		c.number, c.args = unix.SYS_OPENAT, [6]uint64{cwd, a[0], a[1], a[2]}
	case unix.SYS_CREAT:
		c.number, c.args = unix.SYS_OPENAT, [6]uint64{cwd, a[0], unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, a[1]}
	case unix.SYS_UNLINK:
		c.number, c.args = unix.SYS_UNLINKAT, [6]uint64{cwd, a[0]}
	case unix.SYS_LINK:
		c.number, c.args = unix.SYS_LINKAT, [6]uint64{cwd, a[0], cwd, a[1]}
	case unix.SYS_RENAME:
		c.number, c.args = unix.SYS_RENAMEAT2, [6]uint64{cwd, a[0], cwd, a[1]}
	case unix.SYS_RENAMEAT:
		c.number = unix.SYS_RENAMEAT2
		c.args[4] = 0
	case unix.SYS_MKDIR:
		c.number, c.args = unix.SYS_MKDIRAT, [6]uint64{cwd, a[0], a[1]}
	case unix.SYS_SYMLINK:
		c.number, c.args = unix.SYS_SYMLINKAT, [6]uint64{a[0], cwd, a[1]}
	}
}
