package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// subject is what is put to the test: cupid, or the control.
type subject struct {
	*program
	original bool
}

// newCupid writes cupid's configuration.
func newCupid(bin, dir, socket, url string) (*subject, error) {
	programs := filepath.Join(dir, "bin")
	if err := copyPrograms(bin, programs); err != nil {
		return nil, err
	}
	for _, name := range []string{armedDir, reachedDir} {
		if err := os.MkdirAll(filepath.Join(programs, name), 0o700); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "cupid.json")
	p := newProgram(dir, filepath.Join(programs, "cupid-master"), "-config", config)
	text, err := json.MarshalIndent(map[string]any{
		"workerNumber": 4, "logDir": filepath.Join(dir, "log"), "cacheFilePath": p.stateIn,
		"settleMillisecond": settle.Milliseconds(), "callbackWorkerIntervalMillisecond": 100, "taskWorkerIntervalMillisecond": 50,
		"jobs": []any{
			job("scanned", socket, url, map[string]any{"sweep": false}),
			job("swept", socket, url, map[string]any{"sweepIntervalSecond": 5, "delete": true, "deletePerHour": 1_000_000}),
		},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return &subject{program: p}, os.WriteFile(config, text, 0o600)
}

// job is a pair of tables in the configuration.
func job(name, socket, url string, more map[string]any) map[string]any {
	src := map[string]any{
		"dsn": "mysql:unix_socket=" + socket + ";dbname=origin", "user": account, "password": password, "table": name, "byColumn": "number",
		"insert": true, "insertIntervalMillisecond": 200,
		// Longer than a transaction and a late copy of it together, so that a scan sees what happens last to the copy.
		"update": true, "updateColumn": "update_time", "updateIntervalMillisecond": 500, "updateScanSecond": 30,
	}
	maps.Copy(src, more)
	return map[string]any{
		"name": name, "src": src,
		"des": []any{map[string]any{
			"dsn": "mysql:unix_socket=" + socket + ";dbname=copy", "user": account, "password": password, "table": name, "byColumn": "number",
			"columns": map[string]any{"number": "number", "name": "full_name", "balance": "balance"},
			"callbackNotification": map[string]any{
				"url": url + "/" + name, "timeoutSecond": int(callTimeout.Seconds()), "concurrency": callsAtATime, "repairGraceSecond": 1, "retryMaxSecond": 2,
			},
		}},
	}
}

// callsAtATime is how many calls there may be at a time to each URL.
const callsAtATime = 8

// newOriginal prepares the control.
func newOriginal(dir, dsn, url string) (*subject, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "original.json")
	p := newProgram(dir, self, pollCommand, config)
	text, err := json.Marshal(pollerConfig{DSN: dsn, URL: url, Cursors: p.stateIn, Tables: []string{"scanned", "swept"}})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.stateIn, 0o700); err != nil {
		return nil, err
	}
	return &subject{program: p, original: true}, os.WriteFile(config, text, 0o600)
}

// status is how the subject is. The control is one process, ready as soon as it has said so.
func (s *subject) status(ctx context.Context) (status, error) {
	if !s.original {
		return ask(ctx, s.stateIn)
	}
	pid := s.pid()
	if _, err := os.Stat(filepath.Join(s.stateIn, fmt.Sprint(pid))); err != nil {
		return status{}, err
	}
	now := status{Pid: pid}
	err := json.Unmarshal([]byte(`[{"slot":9,"role":"original","state":"ready"}]`), &now.Workers)
	return now, err
}
