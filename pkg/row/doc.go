// Package row is the values of rows: how the value of one column is compared with that of another type, how the rows of
// two reads are joined and compared, the key that joins them, and the JSON of a value in a callback's body. It knows
// nothing of databases, queries, chunks or events: it gets the values that the driver delivers and columns as
// information_schema describes them.
//
// # Model
//
// A Rule says how one pair of columns is compared. It brings each value into a canonical form, some bytes, such that
// two values are equal exactly when their forms are equal bytes. A Batch holds the canonical forms of the rows of one
// read; Compare joins two batches by their keys. NULL has no form: the batch marks it, and it equals only NULL.
//
// # Canonical forms
//
// The table is symmetric: source and destination may change places.
//
//	types                                form
//	-----------------------------------  ------------------------------------------------------------------
//	integers, BOOL, BIT, YEAR among      decimal digits of the 64-bit signed or unsigned value; BIT is the
//	  themselves                         unsigned number of its bits; ZEROFILL and widths have no meaning
//	DECIMAL with DECIMAL, integer,       decimal text by value: 1.50 is 1.5, -0.0 is 0, 007 is 7
//	  BIT, YEAR
//	FLOAT with FLOAT, DOUBLE, DECIMAL    shortest text of the value as a float32; -0.0 is 0
//	DOUBLE with DOUBLE, DECIMAL          shortest text of the value as a float64; -0.0 is 0
//	FLOAT, DOUBLE with integer, BIT,     the exact value: 9007199254740993 differs from the DOUBLE
//	  YEAR                               9007199254740992, which cannot hold it
//	a number with text or binary         as above, if the text is a plain number (for floats with an exponent,
//	                                     too); text that is none stays text and equals no number: '7 ', '+7',
//	                                     ' 7', '7abc'
//	DATE with DATE                       its text
//	DATETIME, TIMESTAMP among            text with as many fractional digits as the coarser of the two has;
//	  themselves                         the finer one is cut, or rounded with Rule.RoundFraction; zero dates
//	                                     are text; the session of the reader fixes the zone of a TIMESTAMP
//	DATE with DATETIME, TIMESTAMP        the date is its midnight
//	TIME with TIME                       as DATETIME; -00:00:00 is 00:00:00
//	times with text or binary            the server's text of the time, trailing zeros of the fraction dropped;
//	                                     text of another shape stays and equals none
//	JSON with JSON, text, binary,        the JSON value: objects sorted, the last of equal keys counts, strings
//	  number                             unescaped, numbers by exact decimal value (1, 1.0 and 1e0 are equal,
//	                                     9007199254740993 and 9007199254740992 are not); what is no JSON, or
//	                                     nested deeper than 200, stays bytes. A number is the JSON number
//	CHAR, VARCHAR, TEXT, ENUM, SET,      bytes in utf8mb4, which the connection converts to; case, accents and
//	  UUID, INET among themselves        trailing spaces count (the server itself strips those of a CHAR)
//	text with binary, binary with        bytes; BINARY keeps its padding
//	  binary, BIT with binary
//	GEOMETRY, VECTOR and unknown types   bytes
//	  among themselves, text, binary
//	anything else (DATETIME with BIGINT, none: NewRule returns an error
//	  TIME with DATE, JSON with DATE)
//
// FLOAT must be read by the binary protocol: in text the server prints six digits of it.
//
// # Tolerance
//
// A rule of two floats, or of a float and a DECIMAL, may have an absolute tolerance (Rule.WithTolerance). Equality is no
// matter of bytes then, and not transitive: Compare looks at the two values, a server cannot add such columns up (ShapeNone), and
// whether a row shows a version that the other side had before is told by Nearby and Near beside the exact Version.
//
// # Keys
//
// A key is the canonical form of byColumn. Where that loses how the source writes the value ('007' in a VARCHAR against
// an INT), the Key of a source row keeps the source's spelling, so that the same row is found by it again; matching
// uses the canonical form all the same. On a text column the destination is asked for the text that the source's server
// prints; another spelling of the same number is not found there.
package row
