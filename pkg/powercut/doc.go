// Package powercut shows tests what a disk may hold after a power loss. It runs a
// program, records through ptrace(2) what it does to the files of one directory, and
// makes from the record the directories that a cut at any point could leave behind.
// It knows nothing of SQLite, JSON or what the files mean.
//
// # What is certain
//
//   - What was written to a file before an fsync or fdatasync of that file that has
//     returned, its length included.
//   - Which names the directory has, as of the last fsync of the directory.
//
// # What is not
//
// Everything else may be there or not, each thing for itself and in any order:
//
//   - Of a write every sector (512 or 4096 bytes, at multiples of that in the file).
//   - A truncation. A file may have grown over a sector that was not written; it then
//     reads as zeros.
//   - A new name, a rename, a removal. A rename is in one piece: the new name is never
//     without a file. A name can be there before the content of its file is.
//   - All of a file that is mapped into memory for writing.
//
// That is harsher than ext4, XFS or btrfs are, which keep the order of changes to a
// directory. Not shown: a disk that confirms a sync and has not made it, and bits that
// rot; the checksums of the packages under test are for those.
package powercut
