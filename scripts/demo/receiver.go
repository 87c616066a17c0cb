package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// call is one callback as the receiver had it.
type call struct {
	kind   int
	number int64
	status int
}

// receiver is what cupid calls: it repairs a row of the copy by writing it as the source has it. (examples/receiver is
// one to copy; this one can be told to fail.)
type receiver struct {
	shop   *shop
	url    string
	server *http.Server
	ended  chan error // how serving ended; room for one

	mu     sync.Mutex // guards all below
	works  bool
	calls  []call
	onCall func(call)
}

// openReceiver listens. Until it is mended it answers 500.
func openReceiver(ctx context.Context, s *shop) (*receiver, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{shop: s, url: listener.Addr().String() + "/repair", ended: make(chan error, 1)}
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { r.ended <- r.server.Serve(listener) }()
	return r, nil
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	var body struct {
		Type int `json:"type"`
		Row  struct {
			Number  int64   `json:"number"`
			Name    *string `json:"name"`
			Balance string  `json:"balance"` // DECIMAL is text, so that no digit is lost
		} `json:"srcColumn"`
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := call{kind: body.Type, number: body.Row.Number, status: http.StatusInternalServerError}
	if r.working() {
		err := r.shop.exec(req.Context(), `INSERT INTO warehouse.user (number, full_name, balance) VALUES (?, ?, ?)
			ON DUPLICATE KEY UPDATE full_name = VALUES(full_name), balance = VALUES(balance)`, body.Row.Number, body.Row.Name, body.Row.Balance)
		if err == nil {
			c.status = http.StatusNoContent
		}
	}
	r.note(c)
	w.WriteHeader(c.status)
}

func (r *receiver) working() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.works
}

// mend lets it work from now on.
func (r *receiver) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.works = true
}

// tell has every call told from now on.
func (r *receiver) tell(f func(call)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onCall = f
}

func (r *receiver) note(c call) {
	r.mu.Lock()
	r.calls = append(r.calls, c)
	f := r.onCall
	r.mu.Unlock()
	if f != nil {
		f(c)
	}
}

// counts are the figures of the receiver.
type counts struct {
	calls, refused, accepted int
	repaired                 map[int64]int // the type of the last accepted call, by row
	late, unknown            int           // calls for rows that were late, and for rows to which nothing had happened
}

func (r *receiver) counts() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := counts{calls: len(r.calls), repaired: map[int64]int{}}
	for _, c := range r.calls {
		if c.status == http.StatusNoContent {
			n.accepted++
			n.repaired[c.number] = c.kind
		} else {
			n.refused++
		}
		switch broken, late := r.shop.knows(c.number); {
		case late:
			n.late++
		case !broken:
			n.unknown++
		}
	}
	return n
}

// close ends the receiver.
func (r *receiver) close() error {
	if r == nil {
		return nil
	}
	err := r.server.Close()
	if serving := <-r.ended; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}
