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

// Types of a callback. Both are repaired in the same way: the row may have changed again since it was compared.
const (
	typeMissing   = 1
	typeDifferent = 2
)

// callback is the body of a call.
type callback struct {
	Type int            `json:"type"`
	Row  map[string]any `json:"srcColumn"`
}

type handler struct {
	table   *table
	secrets []secret.String
	log     *slog.Logger
}

// newHandler answers POST on any path.
func newHandler(t *table, secrets []secret.String, log *slog.Logger) http.Handler {
	h := &handler{table: t, secrets: secrets, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", h.post)
	return mux
}

// post answers 204 once the row is committed. Every other answer brings the call again.
func (h *handler) post(w http.ResponseWriter, r *http.Request) {
	status, err := h.handle(w, r)
	log := h.log.With("id", r.Header.Get(webhook.HeaderID), "attempt", r.Header.Get(webhook.HeaderAttempt), "pair", r.Header.Get(webhook.HeaderPair))
	if err != nil {
		log.Error("refused", "status", status, "error", err)
		if status == http.StatusInternalServerError {
			err = errors.New("the row was not stored") // what the database says is for our log alone
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
	err = h.table.repair(ctx, c.Row)
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
	if c.Type != typeMissing && c.Type != typeDifferent {
		return c, fmt.Errorf("type %d is not handled", c.Type)
	}
	return c, nil
}
