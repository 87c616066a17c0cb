package row

import "strings"

// Column describes one column of one side, as information_schema tells it.
type Column struct {
	Name       string
	DataType   string // lower-case DATA_TYPE: "bigint", "varchar", "timestamp", "json"
	ColumnType string // COLUMN_TYPE, for words only: "bigint(20) unsigned", "varchar(64)"
	Unsigned   bool
	Length     int64 // characters or bytes; the width of a BIT in bits
	Scale      int   // fractional digits of a DECIMAL
	FSP        int   // fractional digits of a TIME, DATETIME or TIMESTAMP
	Charset    string
	Collation  string
	Nullable   bool
	Generated  bool
	Invisible  bool
	JSON       bool // a MySQL JSON, or a MariaDB LONGTEXT under a json_valid check
}

// kind is the family of a column's type: what a value of it is, whatever its width.
type kind uint8

const (
	kindOpaque kind = iota // GEOMETRY, VECTOR and every type unknown here: bytes that only equal themselves
	kindInt
	kindBit
	kindYear
	kindDecimal
	kindFloat
	kindDouble
	kindDate
	kindDateTime // TIMESTAMP too: the reader's session fixes its zone
	kindTime
	kindJSON
	kindText
	kindBinary
)

// kinds maps every DATA_TYPE that MySQL and MariaDB report, and the aliases that they do not.
var kinds = map[string]kind{
	"tinyint": kindInt, "smallint": kindInt, "mediumint": kindInt, "int": kindInt, "integer": kindInt,
	"bigint": kindInt, "bool": kindInt, "boolean": kindInt,
	"bit": kindBit, "year": kindYear,
	"decimal": kindDecimal, "numeric": kindDecimal, "dec": kindDecimal, "fixed": kindDecimal,
	"float": kindFloat, "double": kindDouble, "real": kindDouble,
	"date": kindDate, "datetime": kindDateTime, "timestamp": kindDateTime, "time": kindTime,
	"json": kindJSON,
	"char": kindText, "varchar": kindText, "tinytext": kindText, "text": kindText, "mediumtext": kindText,
	"longtext": kindText, "enum": kindText, "set": kindText,
	"uuid": kindText, "inet4": kindText, "inet6": kindText,
	"binary": kindBinary, "varbinary": kindBinary, "tinyblob": kindBinary, "blob": kindBinary,
	"mediumblob": kindBinary, "longblob": kindBinary,
}

func (c Column) kind() kind {
	if c.JSON {
		return kindJSON
	}
	return kinds[strings.ToLower(c.DataType)]
}

func (c Column) unsigned() bool {
	return c.Unsigned || strings.Contains(strings.ToLower(c.ColumnType), "unsigned")
}

// typeName is the type in the words of a person: without MariaDB's display widths and without the values of an ENUM.
func (c Column) typeName() string {
	name := strings.ToUpper(c.DataType)
	switch {
	case c.JSON:
		return "JSON"
	case c.kind() == kindInt:
		if c.unsigned() {
			name += " UNSIGNED"
		}
		return name
	case c.ColumnType == "", name == "ENUM", name == "SET":
		return name
	}
	return strings.ToUpper(c.ColumnType)
}

func (k kind) number() bool   { return k == kindInt || k == kindBit || k == kindYear || k == kindDecimal }
func (k kind) float() bool    { return k == kindFloat || k == kindDouble }
func (k kind) temporal() bool { return k == kindDate || k == kindDateTime || k == kindTime }
func (k kind) bytes() bool    { return k == kindText || k == kindBinary }
