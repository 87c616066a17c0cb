// Package failpoint has the points at which a test may have a process die: "after the queue's commit, before the
// acknowledgment" and the like. Released binaries have none of it: without the build tag failpoint, Enabled is a
// constant false and Reach is empty. It knows nothing of what happens at a point, and of who arms it.
//
// # With the tag
//
// Beside the program's binary lies a directory failpoints. Whoever wants a process to die at a point writes what is to
// happen into failpoints/armed/ROLE.POINT, under another name first and then renamed. ROLE is the second word of the
// process's title: master, manager, callback, task. The process that reaches the point first takes the file away, to
// failpoints/reached/ROLE.POINT.PID, and does it:
//
//	kill     SIGKILL
//	segv     SIGSEGV
//	stop     SIGSTOP; whoever armed the point sends SIGCONT
//	exit N   exit code N
//
// A worker gets neither an environment nor a file from its master, so the place is known by the binary alone, and
// several test runs have copies of it in directories of their own.
package failpoint
