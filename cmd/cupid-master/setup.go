package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/process"
)

// setup is a configuration that has been read, and everything that follows from it.
type setup struct {
	config   *config.Config
	worker   *process.Binary
	stateDir string
	orders   json.RawMessage // boot.Orders, for the workers

	// unreachable are the pairs whose databases did not answer the preflight, with
	// what was said.
	unreachable []string
}

// load reads the configuration and opens the worker binary, which close gives up. The
// check of the databases sees its version. Nothing is started and nothing changed.
func load(o options) (_ *setup, err error) {
	text, err := os.ReadFile(o.config)
	if err != nil {
		return nil, &setupError{fmt.Errorf("read configuration: %w", err)}
	}
	c, err := config.Load(o.config, text, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	if err := c.ReadFiles(os.ReadFile); err != nil {
		return nil, err
	}
	s := &setup{config: c, stateDir: stateDir(c.CacheFilePath, o)}
	path := o.worker
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find the worker binary: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), "cupid-worker")
	}
	if s.worker, err = process.OpenBinary(path); err != nil {
		return nil, &setupError{err}
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	wire, err := c.EncodeWire()
	if err != nil {
		return nil, err
	}
	orders := boot.Orders{Config: wire, StartID: o.startID, DryRun: o.dryRun, StateDir: s.stateDir}
	if o.once {
		orders.Once, orders.Resume, orders.Run = true, o.resume, rand.Text()
		orders.SQL = o.sql != ""
		orders.Report = o.report != "" || orders.SQL // a statement comes with its line
	}
	s.orders, err = json.Marshal(orders)
	if err != nil {
		return nil, fmt.Errorf("write orders: %w", err)
	}
	return s, nil
}

// close gives up what a setup holds, when no worker is started from it any more.
func (s *setup) close() { _ = s.worker.Close() }

// stateDir is where the cache files lie. A dry run has its own, so that the rows it
// passes are still called back by the next run.
func stateDir(cachePath string, o options) string {
	if o.dryRun {
		return filepath.Join(cachePath, "dry-run")
	}
	return cachePath
}

// dirWarnings says what works but should not stay so.
func (s *setup) dirWarnings() []string {
	info, err := os.Stat(s.config.CacheFilePath)
	if err != nil || info.Mode().Perm()&0o002 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("cacheFilePath %s can be written by everybody: another account can put files in cupid's way; give cupid a directory of its own", s.config.CacheFilePath)}
}

// makeDirs makes the directories that the processes write to, and finds out now
// whether they can be written.
func (s *setup) makeDirs() error {
	for key, dir := range map[string]string{"cacheFilePath": s.stateDir, "logDir": s.config.LogDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return &setupError{fmt.Errorf("%s: %w", key, err)}
		}
		probe, err := os.CreateTemp(dir, ".writable-")
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			continue // it passes
		}
		if err != nil {
			return &setupError{fmt.Errorf("%s: the directory cannot be written: %w", key, err)}
		}
		if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
			return &setupError{fmt.Errorf("%s: %w", key, err)}
		}
	}
	return nil
}
