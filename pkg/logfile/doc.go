// Package logfile writes the log of one process into daily files, and on a terminal in a form for people. It knows
// nothing of what is logged.
//
// # Files
//
//	<dir>/cupid-<process>-process-2006-01-02.log      mode 0600, one JSON object a line
//
// The date is that of the write, in local time: the first line after midnight opens the next file. No file is ever
// renamed, and each is opened with O_APPEND and gets a line in one write, so that an old and a new process of one name
// may write side by side, as they do during a reload. Files of the same process whose date is KeepDay days or more
// before today are removed when a file is opened. A file that somebody has removed or moved comes back with
// [File.Reopen], which is what SIGWINCH asks for.
//
// # Failures
//
// Nothing that happens to the disk ends or stops the program. A line that cannot be written goes to standard error,
// one line a minute at most, with the number of those that were lost since; a file that cannot be opened is tried again
// once a second. A line that the disk took only in part is ended with a line break before the next one, so that it
// spoils no other.
//
// Standard error and the terminal are written to by a goroutine of their own with a queue of 256 lines, as a terminal
// that is stopped by Ctrl-S, or a pipe that nobody reads, stops who writes to it. What does not fit is dropped there;
// the file has it. (A disk that neither takes a write nor refuses it does stop the program; no other disk would help.)
//
// # Concurrency
//
// A [File] and its loggers are safe for concurrent use.
package logfile
