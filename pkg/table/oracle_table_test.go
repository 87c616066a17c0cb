package table_test

// verdict is what two values of two types are to each other, written by hand. Each line
// of values is one comparison, with = for equal and ≠ for different; it holds the same way
// round when the sides change places.
type verdict struct {
	src, des string
	values   string
}

// The limits of each type are compared with their neighbours, and each type with those
// that it may be replicated into.
var verdicts = []verdict{
	{"TINYINT", "TINYINT", `
		-128 = -128
		127 ≠ -128
		0 ≠ NULL
		NULL = NULL`},
	{"TINYINT UNSIGNED", "SMALLINT", `
		255 = 255
		0 = 0
		255 ≠ -1
		NULL ≠ 0`},
	{"BOOL", "BIT(1)", `
		TRUE = b'1'
		FALSE = b'0'
		FALSE ≠ b'1'
		NULL ≠ b'0'`},
	{"MEDIUMINT", "MEDIUMINT UNSIGNED", `
		8388607 = 8388607
		-8388608 ≠ 8388608`},
	{"INT UNSIGNED", "INT ZEROFILL", `
		4294967295 = 4294967295
		7 = 0007`},
	{"INT UNSIGNED", "INT", `
		2147483647 = 2147483647
		4294967295 ≠ -1`},
	{"BIGINT", "BIGINT UNSIGNED", `
		9223372036854775807 = 9223372036854775807
		-9223372036854775808 ≠ 9223372036854775808
		-1 ≠ 18446744073709551615
		NULL ≠ 0`},
	{"BIGINT UNSIGNED", "BIGINT UNSIGNED", `
		18446744073709551615 = 18446744073709551615
		18446744073709551615 ≠ 18446744073709551614
		9007199254740993 ≠ 9007199254740992`},
	{"BIGINT UNSIGNED", "DECIMAL(65,0)", `
		18446744073709551615 = 18446744073709551615
		18446744073709551615 ≠ 18446744073709551616`},
	{"BIGINT", "DOUBLE", `
		9007199254740992 = 9007199254740992
		9007199254740993 ≠ 9007199254740992
		0 = -0e0`},
	{"BIGINT UNSIGNED", "VARCHAR(30)", `
		18446744073709551615 = '18446744073709551615'
		9007199254740993 ≠ '9007199254740992'
		7 = '7'
		7 ≠ ' 7'
		7 ≠ '7abc'
		0 ≠ ''
		NULL ≠ ''`},
	{"BIT(64)", "BIGINT UNSIGNED", `
		x'FFFFFFFFFFFFFFFF' = 18446744073709551615
		x'8000000000000000' ≠ 1
		b'0' ≠ NULL`},
	{"BIT(9)", "BIT(16)", `
		b'100000001' = b'100000001'
		b'100000001' ≠ b'1'`},
	{"YEAR", "SMALLINT", `
		1901 = 1901
		2155 = 2155
		2024 ≠ 24
		0000 = 0`},
	{"DECIMAL(65,30)", "DECIMAL(65,30)", `
		99999999999999999999999999999999999.999999999999999999999999999999 = 99999999999999999999999999999999999.999999999999999999999999999999
		0.000000000000000000000000000001 ≠ 0.000000000000000000000000000002
		-0.0 = 0
		NULL ≠ 0`},
	{"DECIMAL(20,4)", "DECIMAL(20,2)", `
		1.5000 = 1.50
		1.5001 ≠ 1.50`},
	{"DECIMAL(20,4)", "VARCHAR(30)", `
		1.5 = '1.50'
		1.5 = '1.5000'
		1.5 ≠ '1,5'`},
	{"FLOAT", "FLOAT", `
		0.1 = 0.1
		16777216 ≠ 16777218
		3.4028234e38 ≠ 3.4028233e38
		1e-45 ≠ 0
		-0e0 = 0
		NULL ≠ 0`},
	{"FLOAT", "DOUBLE", `
		0.1 = 0.1
		0.5 = 0.5
		0.1 ≠ 0.2`},
	{"DOUBLE", "DOUBLE", `
		1.7976931348623157e308 = 1.7976931348623157e308
		1.7976931348623157e308 ≠ 1.7976931348623155e308
		5e-324 ≠ 0
		5e-324 ≠ 1e-323
		2.2250738585072014e-308 ≠ 2.225073858507201e-308
		0.30000000000000004 ≠ 0.3
		-0e0 = 0
		9007199254740993 = 9007199254740992
		NULL ≠ 0`},
	{"DOUBLE", "VARCHAR(40)", `
		0.1 = '0.1'
		1e300 = '1e300'
		0.1 ≠ '0.1 '`},
	{"DOUBLE", "DECIMAL(40,20)", `
		0.1 = 0.1
		0.5 ≠ 0.50000000000000020000`},
	{"DATE", "DATE", `
		'1000-01-01' = '1000-01-01'
		'9999-12-31' = '9999-12-31'
		'0000-00-00' = '0000-00-00'
		'0000-00-00' ≠ NULL
		'2024-00-00' ≠ '2024-01-01'
		'2024-02-29' ≠ '2024-02-28'`},
	{"DATE", "DATETIME", `
		'2024-02-29' = '2024-02-29 00:00:00'
		'2024-02-29' ≠ '2024-02-29 00:00:01'
		'0000-00-00' = '0000-00-00 00:00:00'`},
	{"DATETIME(6)", "DATETIME(6)", `
		'9999-12-31 23:59:59.999999' = '9999-12-31 23:59:59.999999'
		'2024-05-06 07:08:09.000001' ≠ '2024-05-06 07:08:09.000002'
		'0000-00-00 00:00:00' ≠ NULL`},
	{"DATETIME(6)", "DATETIME", `
		'2024-05-06 07:08:09.000000' = '2024-05-06 07:08:09'
		'2024-05-06 07:08:09.400000' = '2024-05-06 07:08:09'
		'2024-05-06 07:08:09.400000' ≠ '2024-05-06 07:08:08'`},
	{"TIMESTAMP NULL", "TIMESTAMP NULL", `
		'1970-01-01 00:00:01' = '1970-01-01 00:00:01'
		'2038-01-19 03:14:07' = '2038-01-19 03:14:07'
		'0000-00-00 00:00:00' = '0000-00-00 00:00:00'
		'0000-00-00 00:00:00' ≠ NULL
		'2024-10-27 00:30:00' ≠ '2024-10-27 01:30:00'`},
	{"TIMESTAMP(3) NULL", "DATETIME(3)", `
		'2024-02-29 23:59:59.999' = '2024-02-29 23:59:59.999'
		'2024-02-29 23:59:59.999' ≠ '2024-02-29 23:59:59.998'`},
	{"TIME(6)", "TIME(6)", `
		'838:59:58.999999' = '838:59:58.999999'
		'-838:59:59' ≠ '838:59:59'
		'-00:00:00' = '00:00:00'
		'-00:00:00.000001' ≠ '00:00:00.000001'
		NULL ≠ '00:00:00'`},
	{"DATETIME(3)", "VARCHAR(30)", `
		'2024-05-06 07:08:09.120' = '2024-05-06 07:08:09.12'
		'2024-05-06 07:08:09.000' = '2024-05-06 07:08:09'
		'2024-05-06 07:08:09.000' ≠ '2024-05-06T07:08:09'`},
	{"CHAR(9)", "VARCHAR(9)", `
		'a' = 'a'
		'a  ' = 'a'
		'a' ≠ 'a '
		'' = ''
		'' ≠ NULL`},
	{"VARCHAR(20)", "VARCHAR(20)", `
		'a' ≠ 'A'
		'a' ≠ 'a '
		'a ' ≠ 'a  '
		'é' ≠ 'e'
		'é' ≠ CONCAT('e', _utf8mb4 x'CC81')
		CONCAT('e', _utf8mb4 x'CC81') = CONCAT('e', _utf8mb4 x'CC81')
		'ß' ≠ 'ss'
		'😀' = '😀'
		'😀' ≠ '😁'
		'👩‍👩‍👧' ≠ '👩👩👧'
		'' ≠ NULL
		'\0' ≠ ''
		'NULL' ≠ NULL`},
	{"VARCHAR(20) COLLATE utf8mb4_general_ci", "VARCHAR(20) COLLATE utf8mb4_bin", `
		'a' = 'a'
		'a' ≠ 'A'
		'😀' ≠ '😁'
		'é' ≠ 'e'`},
	{"VARCHAR(20) CHARACTER SET latin1", "VARCHAR(20)", `
		'äöü€' = 'äöü€'
		x'FF' = 'ÿ'
		x'E4' ≠ 'Ã¤'
		x'80' = '€'`},
	{"VARCHAR(20) CHARACTER SET utf8mb3", "VARCHAR(20)", `
		'中' = '中'
		'?' ≠ '😀'`},
	{"VARCHAR(20) CHARACTER SET gbk", "VARCHAR(20) CHARACTER SET ucs2", `
		'中文' = '中文'
		'中文' ≠ '中'`},
	{"TINYTEXT", "TEXT", `
		REPEAT('x', 255) = REPEAT('x', 255)
		REPEAT('x', 255) ≠ REPEAT('x', 254)`},
	{"MEDIUMTEXT", "LONGTEXT", `
		REPEAT('😀', 20000) = REPEAT('😀', 20000)
		REPEAT('x', 70000) ≠ CONCAT(REPEAT('x', 69999), 'y')
		'' ≠ NULL`},
	{"VARBINARY(9)", "VARBINARY(9)", `
		x'FF' ≠ x'FE'
		x'FF' ≠ x'C3'
		x'00' ≠ x''
		x'0061' ≠ x'6100'
		x'61' ≠ x'6120'
		x'' ≠ NULL
		x'C0AF' = x'C0AF'`},
	{"BINARY(4)", "VARBINARY(9)", `
		x'00FF' = x'00FF0000'
		x'00FF' ≠ x'00FF'`},
	{"BLOB", "VARCHAR(9)", `
		'é' = 'é'
		x'E9' ≠ 'é'`},
	{"TINYBLOB", "MEDIUMBLOB", `
		REPEAT(x'C3', 255) = REPEAT(x'C3', 255)
		REPEAT(x'C3', 255) ≠ REPEAT(x'C3', 254)`},
	{"LONGBLOB", "LONGBLOB", `
		REPEAT(x'00', 70000) = REPEAT(x'00', 70000)
		REPEAT(x'00', 70000) ≠ REPEAT(x'00', 70001)`},
	{"ENUM('a','b')", "ENUM('b','a')", `
		'a' = 'a'
		'a' ≠ 'b'
		NULL ≠ 'a'`},
	{"ENUM('a','')", "VARCHAR(9)", `
		'a' = 'a'
		'' = ''
		'a' ≠ 'A'`},
	{"SET('a','b','c')", "SET('c','b','a')", `
		'a' = 'a'
		'' = ''
		'a,b' ≠ 'a'
		'' ≠ NULL`},
	{"JSON", "JSON", `
		'{"a": 1, "b": [1, 2]}' = '{"b":[1,2],"a":1}'
		'{"a": 1.0}' = '{"a": 1}'
		'{"a": 9007199254740993}' ≠ '{"a": 9007199254740992}'
		'{"a": 18446744073709551615}' ≠ '{"a": 18446744073709551614}'
		'{"a": null}' ≠ '{}'
		'[1,2]' ≠ '[2,1]'
		'"1"' ≠ '1'
		'null' ≠ NULL`},
	{"JSON", "LONGTEXT", `
		'{"a": "\\u00fc"}' = '{"a":"ü"}'
		'{"a": 1}' ≠ '{"a": 1'`},
	{"GEOMETRY", "POINT", `
		POINT(1, 2) = POINT(1, 2)
		POINT(1, 2) ≠ POINT(2, 1)
		NULL ≠ POINT(0, 0)`},
}

// mariaDBVerdicts are of types that MySQL does not have.
var mariaDBVerdicts = []verdict{
	{"UUID", "CHAR(36)", `
		'123e4567-e89b-12d3-a456-426655440000' = '123e4567-e89b-12d3-a456-426655440000'
		'123e4567-e89b-12d3-a456-426655440000' ≠ '123e4567-e89b-12d3-a456-426655440001'`},
	{"INET6", "VARCHAR(40)", `
		'::1' = '::1'
		'2001:db8::ff00:42:8329' ≠ '2001:db8::ff00:42:832a'`},
}

// strangers are types of which no value is like one of the other; the mapping is refused.
var strangers = [][2]string{
	{"DATETIME", "BIGINT"},
	{"TIME", "DATE"},
	{"TIME", "DATETIME"},
	{"JSON", "DATE"},
	{"TIMESTAMP NULL", "DOUBLE"},
	{"YEAR", "DATE"},
	{"GEOMETRY", "INT"},
}
