package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
)

// receiver takes callbacks in this process. A path names the table of the
// destination that it repairs, one row a call; at /none it only answers.
type receiver struct {
	url    string // ends in a slash
	db     *sqlx.DB
	server *http.Server
	served chan error
	repair map[string]*sqlx.Stmt // by path

	calls       atomic.Int64
	first, last atomic.Int64 // when calls came, in microseconds since 1970
}

// body is what a callback holds.
type body struct {
	Type int `json:"type"`
	Row  row `json:"srcColumn"`
}

// row is a row as a callback has it.
type row struct {
	ID         int64    `json:"id" db:"id"`
	Number     int64    `json:"number" db:"number"`
	Name       *string  `json:"name" db:"name"`
	Avatar     *string  `json:"avatar" db:"avatar"`
	Balance    string   `json:"balance" db:"balance"`
	Score      *float64 `json:"score" db:"score"`
	CreatedAt  string   `json:"created_at" db:"created_at"`
	UpdateTime string   `json:"update_time" db:"update_time"`
}

// bodies are the callbacks of the lost rows.
func (w *world) bodies(ctx context.Context) ([][]byte, error) {
	var rows []row
	if err := w.src.SelectContext(ctx, &rows, "SELECT "+strings.Join(userColumns, ", ")+" FROM lost ORDER BY id"); err != nil {
		return nil, err
	}
	all := make([][]byte, len(rows))
	for i, r := range rows {
		var err error
		if all[i], err = json.Marshal(body{1, r}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (w *world) newReceiver(ctx context.Context) (_ *receiver, err error) {
	r := &receiver{repair: map[string]*sqlx.Stmt{}, served: make(chan error, 1)}
	if r.db, err = w.connect(w.desName); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.db.Close())
		}
	}()
	r.db.SetMaxOpenConns(w.concurrency)
	r.db.SetMaxIdleConns(w.concurrency)
	set := make([]string, 0, len(userColumns))
	for _, c := range userColumns[1:] {
		set = append(set, c+" = VALUES("+c+")")
	}
	for _, t := range []string{"lost", "lost_bare"} {
		text := fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON DUPLICATE KEY UPDATE %s", t, strings.Join(userColumns, ", "),
			strings.Repeat(", ?", len(userColumns)-1), strings.Join(set, ", "))
		if r.repair["/"+t], err = r.db.PreparexContext(ctx, text); err != nil { //nolint:sqlclosecheck // closed with db
			return nil, err
		}
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.url = "http://" + listener.Addr().String() + "/"
	r.server = &http.Server{Handler: http.HandlerFunc(r.take), ReadHeaderTimeout: patience, ErrorLog: log.New(os.Stderr, "bench: receiver: ", 0)}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

func (r *receiver) close() error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, r.db.Close())
}

// reset forgets earlier calls.
func (r *receiver) reset() {
	r.calls.Store(0)
	r.first.Store(0)
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	now := time.Now().UnixMicro()
	r.calls.Add(1)
	r.first.CompareAndSwap(0, now)
	r.last.Store(now)
	var b body
	if err := json.NewDecoder(req.Body).Decode(&b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if repair, ok := r.repair[req.URL.Path]; ok {
		v := b.Row
		_, err := repair.ExecContext(req.Context(), v.ID, v.Number, v.Name, v.Avatar, v.Balance, v.Score, v.CreatedAt, v.UpdateTime)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
