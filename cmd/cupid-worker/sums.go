package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/manager"
)

// sums keeps what sweeps by buckets have added up, in a file for each pair: they are
// too much for the file that is written with every step.
type sums struct {
	dir string
	log zerolog.Logger
}

// namedSums are sums with the pair whose they are.
type namedSums struct {
	Pair string           `json:"pair"`
	Sums manager.SumState `json:"sums"`
}

// Load reads the sums of a pair. What cannot be read is added up anew.
func (s sums) Load(pair string) (manager.SumState, error) {
	kept, err := cache.New[namedSums](boot.SumsFile(s.dir, pair)).Load()
	if damaged, ok := errors.AsType[*cache.Damaged](err); ok {
		s.log.Error().Err(damaged).Str("pair", pair).Msg("file of sums was damaged")
		err = nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return manager.SumState{}, err
	}
	if kept.Pair != pair {
		return manager.SumState{}, nil
	}
	return kept.Sums, nil
}

// forget removes the files of pairs that are not configured, which are only a cache: a pair that comes back is
// added up anew. Where its scans are is kept for ever, since rows would be missed without that. A file that was
// damaged stays for whoever looks into it.
func (s sums) forget(configured map[string]bool) {
	keep := map[string]bool{}
	for pair := range configured {
		keep[boot.SumsFile(s.dir, pair)] = true
	}
	entries, err := os.ReadDir(s.dir) // and no pattern, since the directory may have any name
	for _, e := range entries {
		path, _ := strings.CutSuffix(filepath.Join(s.dir, e.Name()), ".previous")
		if boot.IsSumsFile(path) && !keep[path] {
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, e.Name())))
		}
	}
	if err != nil {
		s.log.Warn().Err(err).Msg("files of sums of pairs that are no longer configured could not be removed")
	}
}

// Save replaces the file.
func (s sums) Save(pair string, state manager.SumState) error {
	return cache.New[namedSums](boot.SumsFile(s.dir, pair)).Save(namedSums{pair, state})
}
