package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

const (
	// maxBody is the largest body that is read, in bytes. It has to hold the largest row of the source.
	maxBody = 16 << 20
	// tolerance is how old a signed call may be, so that one that was overheard cannot be used later.
	tolerance = 5 * time.Minute
)

// Types of a callback. The first two are repaired in the same way: the row may have changed again since it was compared.
const (
	typeMissing   = 1
	typeDifferent = 2
	typeOrphan    = 3 // a row that only the destination has
)

// callback is the body of a call.
type callback struct {
	Type int            `json:"type"`
	Row  map[string]any `json:"srcColumn"` // the source's row; of an orphan the destination's, by the names that it has there
}

type handler struct {
	table   *table
	secrets []secret.String
	deletes bool // orphans are deleted
	log     *slog.Logger
}

// newHandler answers POST on any path.
func newHandler(t *table, o options, log *slog.Logger) http.Handler {
	h := &handler{table: t, secrets: o.secrets, deletes: o.deletes, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", h.post)
	return mux
}

// post answers 204 once the repair is committed. Every other answer brings the call again.
func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	status, err := h.handle(w, r)
	log := h.log.With("id", r.Header.Get(webhook.HeaderID), "attempt", r.Header.Get(webhook.HeaderAttempt), "pair", r.Header.Get(webhook.HeaderPair))
	if err != nil {
		log.Error("refused", "status", status, "error", err)
		if status == http.StatusInternalServerError {
			err = errors.New("the row was not repaired") // what the database says is for our log alone
		}
		http.Error(w, err.Error(), status)
		return
	}
	log.Info("repaired", "columns", r.Header.Get(webhook.HeaderColumns))
	w.WriteHeader(status)
}

// handle does the work and returns the status to answer.
func (h *handler) handle(w http.ResponseWriter, r *http.Request) (int, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, err
	}
	if err != nil {
		return http.StatusBadRequest, err
	}
	// The signature is over the bytes as they came, so it is checked before anything is made of them.
	if len(h.secrets) > 0 {
		if err := webhook.Verify(r.Header, body, h.secrets, time.Now(), tolerance); err != nil {
			return http.StatusUnauthorized, err
		}
	}
	c, err := decode(body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callLimit)
	defer cancel()
	switch c.Type {
	case typeMissing, typeDifferent:
		err = h.table.repair(ctx, c.Row)
	case typeOrphan:
		if !h.deletes {
			return http.StatusBadRequest, errors.New("type 3 asks for a delete, for which the receiver needs -delete")
		}
		err = h.table.remove(ctx, c.Row)
	default:
		return http.StatusBadRequest, fmt.Errorf("type %d is not handled", c.Type)
	}
	switch {
	case errors.Is(err, errRow):
		return http.StatusBadRequest, err
	case err != nil:
		return http.StatusInternalServerError, err
	}
	return http.StatusNoContent, nil
}

func decode(body []byte) (callback, error) {
	var c callback
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("read body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("read body: something follows the object")
	}
	return c, nil
}
