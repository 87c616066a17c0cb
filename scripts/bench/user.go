package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// userColumns are those of the table user, the id first.
var userColumns = []string{"id", "number", "name", "avatar", "balance", "score", "created_at", "update_time"}

// userTable is what the table looks like: an id, a unique key in another order, and the
// types that real tables are made of.
const userTable = `(
	id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	number      BIGINT NOT NULL UNIQUE,
	name        VARCHAR(64),
	avatar      VARCHAR(255),
	balance     DECIMAL(20,4) NOT NULL,
	score       DOUBLE,
	created_at  DATETIME(3) NOT NULL,
	update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
	KEY (update_time)
) ENGINE=InnoDB`

// userRows makes the rows. number is a bijection of the id (a multiplication by a
// number prime to 10^9+7), so that the unique key is scattered over the primary key.
const userRows = `SELECT seq, 1000000000 + (seq * 7368787) % 1000000007,
	IF(seq % 97 = 0, NULL, CONCAT('user-', LPAD(CONV(CRC32(seq), 10, 36), 8, '0'), IF(seq % 5 = 0, ' 张伟', ''))),
	CONCAT('https://img.example.com/avatar/', MD5(seq), '/', seq % 1000, '.png'),
	(CRC32(CONCAT('b', seq)) % 1000000000) / 10000 * 3,
	IF(seq % 89 = 0, NULL, CRC32(CONCAT('s', seq)) / 4294967.295),
	'2024-01-01' + INTERVAL (seq * 29000 + CRC32(seq) % 1000 * 1000) MICROSECOND + INTERVAL seq * 20 SECOND,
	'2024-06-01' + INTERVAL (seq * 15 + CRC32(CONCAT('u', seq)) % 60) SECOND
	FROM seq_1_to_{last}`

// in puts the names of the databases and numbers into a text: {src} and {des}, {rows}, and
// {last}, the last id. MySQL has no tables of numbers, MD5 or SHA1.
func (w *world) in(text string, rows, last int) string {
	if w.mysql {
		text = strings.NewReplacer(
			"seq_1_to_{last}", "(SELECT seq FROM {src}.numbers WHERE seq <= {last}) AS numbered",
			"MD5(seq)", "LEFT(SHA2(seq, 256), 32)", "SHA1(seq)", "LEFT(SHA2(seq, 256), 40)").Replace(text)
	}
	return strings.NewReplacer("{src}", w.srcName, "{des}", w.desName, "{rows}", strconv.Itoa(rows), "{last}", strconv.Itoa(last)).Replace(text)
}

// fillNumbers makes the table of numbers that takes the place of MariaDB's.
func (w *world) fillNumbers(ctx context.Context, last int) error {
	texts := []string{"CREATE TABLE IF NOT EXISTS {src}.numbers (seq BIGINT PRIMARY KEY)", "INSERT IGNORE INTO {src}.numbers VALUES (1)"}
	for n := 1; n < last; n *= 2 {
		texts = append(texts, fmt.Sprintf("INSERT IGNORE INTO {src}.numbers SELECT seq + %d FROM {src}.numbers WHERE seq + %d <= {last}", n, n))
	}
	for _, text := range texts {
		if err := w.execute(ctx, w.in(text, 0, last)); err != nil {
			return err
		}
	}
	return nil
}
