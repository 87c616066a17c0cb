// Package mariadb runs a private MariaDB server for tests and the demo: in a temporary directory, on a Unix socket of
// its own, gone afterwards. It knows nothing of cupid's tables or configuration.
//
// # Model
//
// The server program is, in this order: the one that CUPID_MARIADBD names, mariadbd or mysqld of the machine, the copy
// in the cache folder, a fresh copy for the cache folder. The last is fetched with apt and unpacked with dpkg-deb, both
// as an ordinary user; nothing of the system is changed.
//
//	<module root>/.cache/mariadb/             the cache folder, else one in the user's cache directory
//	    server-debian-12-amd64/usr/sbin/…     the unpacked packages
//	    template-<hash>/                      an empty data directory, made once for each server version
//	    *.lock                                whoever makes one of the above holds its lock
//
// A server starts on a copy of the template, which takes a fraction of the time that a new data directory takes.
//
// # Promises
//
// A folder in the cache is complete or absent: it is made under another name and renamed. Several programs may start at
// once. A server ends with the process that started it, however that one dies (on Linux: PDEATHSIG). What a killed
// process leaves in the temporary directory is removed by the next one that starts a server.
//
// # Durability
//
// The server syncs nothing to disk, so what it holds survives a kill of its process at most (see
// Options.FlushLogAtCommit) and never a crash of the machine.
package mariadb
