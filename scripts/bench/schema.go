package main

import "strings"

// minRows leaves room for what is planted.
const minRows = 20_000

// A schema is a table on the source, equal and damaged copies of it on the
// destination, and what is measured on them. In its texts {src} and {des} stand for the
// databases, {rows} for the number of rows and {last} for the last id.
type schema struct {
	table   string
	part    int // the table has 1/part of the rows
	columns string
	text    []string // of columns, those whose length the unit adds up as well
	fill    []string // statements
	// values and keys are the texts that cupid would hash, as it prints them for a
	// MariaDB: of all columns, and of the key.
	values, keys string
	order        string // the primary key
	cases        []sweepCase
}

// checksum is the one that cupid would send, without its salt; see package table.
func (s schema) checksum(mysql bool) string {
	if !mysql {
		return "BIT_XOR(CRC32(" + s.values + ") * (CRC32(" + s.keys + ") | 1))"
	}
	values := strings.NewReplacer("POINT(IFNULL(score, 0) + 0e0, ISNULL(score))", "IFNULL(score + 0e0, CAST(0xFE AS BINARY))", "CRC32(body)", "SHA2(body, 256)").Replace(s.values)
	return "BIT_XOR(CAST(CONV(LEFT(SHA2(" + values + ", 256), 16), 16, 10) AS UNSIGNED))"
}

// A sweepCase is a run of cupid that is measured.
type sweepCase struct {
	name    string
	copy    string // the table on the destination
	by      []string
	workers int // task workers
	most    float64
	// planted selects the keys, as a report writes them, and the kinds that a report
	// must hold; nothing else may stand in it. Empty for equal tables.
	planted string
}

const userOrphans = `SELECT seq, 3000000000 + seq, CONCAT('orphan-', seq), 'x', 1, 1, '2024-01-01', '2024-06-01' + INTERVAL seq * 15 SECOND
	FROM seq_1_to_{last} WHERE seq % 10001 = 7777`

// userPair makes the source and its equal copy. Indexes that are made of a full table are made
// several times as fast as row by row.
var userPair = []string{
	"CREATE TABLE {src}.user " + userTable,
	"ALTER TABLE {src}.user DROP KEY number, DROP KEY update_time",
	"CREATE TABLE {des}.user LIKE {src}.user",
	"INSERT INTO {src}.user " + userRows + " WHERE seq % 10001 <> 7777",
	"INSERT INTO {des}.user SELECT * FROM {src}.user ORDER BY id",
	"ALTER TABLE {src}.user ADD UNIQUE KEY number (number), ADD KEY update_time (update_time)",
	"ALTER TABLE {des}.user ADD UNIQUE KEY number (number), ADD KEY update_time (update_time)",
}

// userDamage makes a copy with 500 rows of a million missing, 500 altered in one of four
// columns and 100 orphans, spread evenly; and one as it is in real life: 5, 5 and 1,
// whatever the size.
var userDamage = []string{
	"CREATE TABLE {des}.user_diff " + userTable,
	"INSERT INTO {des}.user_diff SELECT * FROM {src}.user ORDER BY id",
	"DELETE FROM {des}.user_diff WHERE id % 2000 = 1000",
	"UPDATE {des}.user_diff SET name = CONCAT(COALESCE(name, ''), 'x'), update_time = update_time WHERE id % 8000 = 500",
	"UPDATE {des}.user_diff SET balance = balance + 0.0001, update_time = update_time WHERE id % 8000 = 2500",
	"UPDATE {des}.user_diff SET score = COALESCE(score, 0) + 0.5, update_time = update_time WHERE id % 8000 = 4500",
	"UPDATE {des}.user_diff SET created_at = created_at + INTERVAL 1 SECOND, update_time = update_time WHERE id % 8000 = 6500",
	"INSERT INTO {des}.user_diff " + userOrphans,
	"CREATE TABLE {des}.user_few " + userTable,
	"INSERT INTO {des}.user_few SELECT * FROM {src}.user ORDER BY id",
	"DELETE FROM {des}.user_few WHERE id % ({rows} DIV 5) = {rows} DIV 11",
	"UPDATE {des}.user_few SET balance = balance + 0.0001, update_time = update_time WHERE id % ({rows} DIV 5) = {rows} DIV 7",
	"INSERT INTO {des}.user_few " + userOrphans + " LIMIT 1",
	"ANALYZE TABLE {src}.user, {des}.user, {des}.user_diff, {des}.user_few",
}

func userPlanted(key, table, missing, altered string) string {
	return strings.NewReplacer("KEY", key, "TABLE", table, "GONE", missing, "ALTERED", altered).Replace(
		`SELECT KEY, 'missing' FROM {src}.user WHERE GONE
		UNION ALL SELECT KEY, 'different' FROM {src}.user WHERE ALTERED
		UNION ALL SELECT KEY, 'orphan' FROM {des}.TABLE WHERE number >= 3000000000`)
}

func userDiff(key string) string {
	return userPlanted(key, "user_diff", "id % 2000 = 1000", "id % 2000 = 500")
}

func userFew(key string) string {
	return userPlanted(key, "user_few", "id % ({rows} DIV 5) = {rows} DIV 11", "id % ({rows} DIV 5) = {rows} DIV 7")
}

// userCupid is what cupid makes of the columns; see package table.
const userCupid = "CONCAT_WS(CAST(0xFF AS BINARY), number, IFNULL(name, CAST(0xFE AS BINARY)), IFNULL(avatar, CAST(0xFE AS BINARY)), balance, " +
	"POINT(IFNULL(score, 0) + 0e0, ISNULL(score)), created_at, update_time)"

var userSchema = schema{
	table: "user", part: 1, columns: strings.Join(userColumns, ", "), text: []string{"name", "avatar"},
	fill: append(append([]string{}, userPair...), userDamage...), values: userCupid, keys: "id", order: "id",
	cases: []sweepCase{
		{"equal, 1 task worker", "user", []string{"id"}, 1, 0.95, ""},
		{"equal, 2 task workers", "user", []string{"id"}, 2, 0.5, ""},
		{"few, 1 task worker", "user_few", []string{"id"}, 1, 0, userFew("id")},
		{"few, 2 task workers", "user_few", []string{"id"}, 2, 0.6, userFew("id")},
		{"diff, 1 task worker", "user_diff", []string{"id"}, 1, 0, userDiff("id")},
		{"diff, 2 task workers", "user_diff", []string{"id"}, 2, 1.3, userDiff("id")},
		{"scattered key, equal, 1 task worker", "user", []string{"number"}, 1, 0, ""},
		{"scattered key, equal, 2 task workers", "user", []string{"number"}, 2, 1.6, ""},
		{"scattered key, diff, 2 task workers", "user_diff", []string{"number"}, 2, 2.5, userDiff("number")},
	},
}

// growthSchema is the pair of equal tables alone, to be measured in several sizes.
var growthSchema = schema{
	table: "user", part: 1, columns: userSchema.columns, text: userSchema.text,
	fill: append(append([]string{}, userPair...), "ANALYZE TABLE {src}.user, {des}.user"), values: userCupid, keys: "id", order: "id",
	cases: []sweepCase{
		{"equal, 1 task worker", "user", []string{"id"}, 1, 0, ""},
		{"equal, 2 task workers", "user", []string{"id"}, 2, 0, ""},
	},
}

const entryTable = `(
	tenant  VARCHAR(24) NOT NULL,
	number  INT UNSIGNED NOT NULL,
	id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE,
	title   VARCHAR(200) NOT NULL,
	body    TEXT NOT NULL,
	note    VARCHAR(1000),
	amount  DECIMAL(12,2) NOT NULL,
	changed DATETIME(6) NOT NULL,
	PRIMARY KEY (tenant, number)
) ENGINE=InnoDB`

const entryRows = `SELECT CONCAT('tenant-', LPAD(CRC32(seq DIV 700) % 100000, 5, '0'), '-', seq DIV 700), seq % 700, seq,
	CONCAT('Bericht über ', MD5(seq), ', ', REPEAT('ä', seq % 40)),
	REPEAT(CONCAT(MD5(seq), ' 张伟 '), 12 + seq % 20),
	IF(seq % 3 = 0, NULL, REPEAT(SHA1(seq), 1 + seq % 8)),
	CRC32(seq) / 100 % 100000, '2024-01-01' + INTERVAL seq * 1000001 MICROSECOND
	FROM seq_1_to_{last} WHERE seq % 10001 `

// wideSchema has rows of a kilobyte and more and a key of two columns, of which the
// first is text under a collation.
var wideSchema = schema{
	table: "entry", part: 5, columns: "tenant, number, id, title, body, note, amount, changed", text: []string{"title", "body", "note"},
	fill: []string{
		"CREATE TABLE {src}.entry " + entryTable,
		"INSERT INTO {src}.entry " + entryRows + "<> 7777 ORDER BY 1, 2",
		"CREATE TABLE {des}.entry " + entryTable,
		"INSERT INTO {des}.entry SELECT * FROM {src}.entry ORDER BY tenant, number",
		"CREATE TABLE {des}.entry_diff " + entryTable,
		"INSERT INTO {des}.entry_diff SELECT * FROM {src}.entry ORDER BY tenant, number",
		"DELETE FROM {des}.entry_diff WHERE id % 2000 = 1000",
		"UPDATE {des}.entry_diff SET body = CONCAT(body, ' ') WHERE id % 4000 = 500",
		"UPDATE {des}.entry_diff SET note = COALESCE(CONCAT(note, 'x'), '') WHERE id % 4000 = 2500",
		"INSERT INTO {des}.entry_diff " + entryRows + "= 7777",
		"ANALYZE TABLE {src}.entry, {des}.entry, {des}.entry_diff",
	},
	values: "CONCAT_WS(CAST(0xFF AS BINARY), id, title, CRC32(body), IFNULL(note, CAST(0xFE AS BINARY)), amount, changed)",
	keys:   "CONCAT_WS(CAST(0xFF AS BINARY), tenant, number)",
	order:  "tenant, number",
	cases: []sweepCase{
		{"wide, composite key, equal, 1 task worker", "entry", []string{"tenant", "number"}, 1, 0, ""},
		{"wide, composite key, equal, 2 task workers", "entry", []string{"tenant", "number"}, 2, 0, ""},
		{
			"wide, composite key, diff, 2 task workers", "entry_diff",
			[]string{"tenant", "number"},
			2, 0,
			`SELECT CONCAT_WS(',', tenant, number), 'missing' FROM {src}.entry WHERE id % 2000 = 1000
			UNION ALL SELECT CONCAT_WS(',', tenant, number), 'different' FROM {src}.entry WHERE id % 2000 = 500
			UNION ALL SELECT CONCAT_WS(',', tenant, number), 'orphan' FROM {des}.entry_diff WHERE id % 10001 = 7777`,
		},
	},
}
