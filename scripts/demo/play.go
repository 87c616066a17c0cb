package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/jmoiron/sqlx"
)

// shownRows is how many rows of an answer are shown.
const shownRows = 20

// maxStatement is the longest line of SQL that is taken, in bytes.
const maxStatement = 1 << 20

// play leaves everything running until ctx is done, and executes what is typed.
func (d *demo) play(ctx context.Context) error {
	d.say.begin("It is yours, until you press ^C")
	d.say.line("cupid compares what is new and what is changed in shop.user. SQL that you type here is executed; try")
	d.say.quote("INSERT INTO shop.user (number, name, balance) VALUES (70001, 'lost', 1);\n" +
		"UPDATE shop.user SET name = 'changed' WHERE number = 7;\nSELECT * FROM warehouse.user WHERE number IN (7, 70001);")
	d.say.line("and from another terminal")
	d.say.quote(fmt.Sprintf("%s status -config %s\ntail -f %s/log/*.log\nmariadb --socket=%s --user=root",
		d.cupid.master, d.cupid.config, d.dir, d.shop.server.Socket()))
	d.say.line("For programs: %s", d.shop.server.DSN("shop"))
	d.receiver.tell(func(c call) {
		d.say.good("callback: type %d, number %d, answered %d", c.kind, c.number, c.status)
	})
	statements := make(chan string)
	go d.read(ctx, statements)
	for {
		select {
		case <-ctx.Done():
			d.say.blank()
			return d.stop()
		case err := <-d.cupid.failed:
			return err
		case statement := <-statements:
			if err := d.execute(ctx, statement); err != nil && ctx.Err() == nil {
				d.say.bad("%v", err)
			}
		}
	}
}

// read reads statements, one a line. A read from a terminal cannot be ended, so this goroutine ends with the program.
func (d *demo) read(ctx context.Context, statements chan<- string) {
	lines := bufio.NewScanner(d.stdin)
	lines.Buffer(nil, maxStatement)
	for lines.Scan() {
		text := strings.TrimRight(strings.TrimSpace(lines.Text()), "; ")
		if text == "" {
			continue
		}
		select {
		case statements <- text:
		case <-ctx.Done():
			return
		}
	}
}

// execute executes a statement and shows its answer.
func (d *demo) execute(ctx context.Context, statement string) error {
	word, _, _ := strings.Cut(strings.ToUpper(statement), " ")
	switch word {
	case "SELECT", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "WITH", "TABLE":
	default:
		result, err := d.shop.db.ExecContext(ctx, statement)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		d.say.line("%s affected", rows(n))
		return err
	}
	answer, err := d.shop.db.QueryxContext(ctx, statement)
	if err != nil {
		return err
	}
	text, err := table(answer)
	if err != nil {
		return err
	}
	d.say.quote(text)
	return nil
}

// table writes an answer with its columns below each other, and closes it.
func table(answer *sqlx.Rows) (string, error) {
	defer func() { _ = answer.Close() }() // its errors have come by then
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	names, err := answer.Columns()
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintln(w, strings.Join(names, "\t")) // into memory
	for n := 0; answer.Next(); n++ {
		if n == shownRows {
			_, _ = fmt.Fprintln(w, "…")
			break
		}
		values, err := answer.SliceScan()
		if err != nil {
			return "", err
		}
		words := make([]string, len(values))
		for i, v := range values {
			switch v := v.(type) {
			case nil:
				words[i] = "NULL"
			case []byte:
				words[i] = string(v)
			default:
				words[i] = fmt.Sprint(v)
			}
		}
		_, _ = fmt.Fprintln(w, strings.Join(words, "\t"))
	}
	if err := answer.Err(); err != nil {
		return "", err
	}
	err = w.Flush()
	return b.String(), err
}
