package main

// supervision are the breaks of how the master and its workers bear faults.
var supervision = []brk{
	{
		promise: "sup", what: "a machine that stood still counts as workers that hang", test: "TestFrozenMachineIsNoReasonToReplaceWorkers",
		edits: []edit{{"pkg/supervisor/timing.go", "late > p.pulse() {", "late > 1000*p.pulse() {"}},
	},
	{
		promise: "sup", what: "process 1 leaves its orphans alone", test: "TestAsProcessOne",
		edits: []edit{{"cmd/cupid-master/serve.go", "\thandling.Go(func() { process.ReapOrphans(ctx) })\n", ""}},
	},
	{
		promise: "sup", what: "the runtime writes the stacks of a hang", test: "TestWorkersWithFaultsAreReplacedAndLoseNothing/busy_loop",
		edits: []edit{{"cmd/cupid-worker/main.go", "\tprocess.StacksOnQuit(crash)\n", ""}},
	},
	{
		promise: "sup", what: "workers are whatever the file is by then", test: "TestReloadWithAnotherWorkerBinary",
		edits: []edit{{"pkg/process/binary.go", "\tif b.file == nil {\n\t\treturn b.path\n", "\tif b.path != \"\" {\n\t\treturn b.path\n"}},
	},
	{
		promise: "sup", what: "the control socket spins without descriptors", test: "TestDescriptorsExhausted",
		edits: []edit{{"cmd/cupid-master/control.go", "ctx.Err() != nil || !pause(ctx, 100*time.Millisecond)", "ctx.Err() != nil || !pause(ctx, 0)"}},
	},
	{
		promise: "sup", what: "a closed pipe ends the master", test: "TestLogReaderMayGo",
		edits: []edit{{"cmd/cupid-master/serve.go", "\tprocess.TolerateBrokenOutput()\n", ""}},
	},
	{
		promise: "sup", what: "workers heed the ^C that is meant for the master", test: "TestInterruptOfTheGroupStopsInOrder/INT",
		edits: []edit{{"cmd/cupid-worker/main.go", "\tprocess.IgnoreStopSignals()\n", ""}},
	},
	{
		promise: "sup", what: "a second SIGTERM kills a worker that is drained", test: "TestSignalsFindProcessesThatEnd",
		edits: []edit{{"cmd/cupid-worker/main.go", "\t\tclose(done)\n\t\t<-ended\n", "\t\tsignal.Stop(signals)\n\t\tclose(done)\n\t\t<-ended\n"}},
	},
	{
		promise: "sup", what: "a worker that hangs is left alone", test: "TestWorkersWithFaultsAreReplacedAndLoseNothing/STOP",
		edits: []edit{{"pkg/supervisor/timing.go", "\t\t\tp.hung(s)\n", "\t\t\ts.worker.beatBy = time.Time{}\n"}},
	},
	{
		promise: "sup", what: "a worker that hangs is not asked for its stacks", test: "TestWorkersWithFaultsAreReplacedAndLoseNothing/deadlock",
		edits: []edit{{"pkg/supervisor/timing.go", "p.config.HeartbeatTimeout), syscall.SIGQUIT,", "p.config.HeartbeatTimeout), syscall.SIGKILL,"}},
	},
	{
		promise: "sup", what: "a frame may be of any length", test: "TestWorkersWithFaultsAreReplacedAndLoseNothing/crash",
		edits: []edit{{"ipc/frame.go", "\tcase length > MaxFrameBytes:\n", "\tcase length > 1<<32-1:\n"}},
	},
	{
		promise: "sup", what: "a line without an end is kept whole", test: "TestNoisyWorkersDisturbNobody",
		edits: []edit{{"pkg/process/output.go", "\t\tkeep := min(len(line), maxLineBytes-len(o.rest))\n", "\t\tkeep := len(line)\n"}},
	},
	{
		promise: "sup", what: "a stop waits for the start", test: "TestTermWhenever/while_the_databases_are_checked",
		edits: []edit{{"cmd/cupid-master/signals.go", "\t\t\t\tstop(errStopSignal)\n", "\t\t\t\t<-started\n\t\t\t\tstop(errStopSignal)\n"}},
	},
	{
		promise: "sup", what: "a stop waits for what hangs", test: "TestStopsWithinOneAndAHalfSeconds",
		edits: []edit{{"pkg/supervisor/config.go", "&c.StopTimeout:      1200 * time.Millisecond,", "&c.StopTimeout:      time.Minute,"}},
	},
	{
		promise: "sup", what: "each signal is a reload of its own", test: "TestReloadsUnderLoadLoseAndDoubleNothing",
		edits: []edit{{"cmd/cupid-master/serve.go", "m.reloads.wanted = make(chan struct{}, 1)", "m.reloads.wanted = make(chan struct{}, 100)"}},
	},
	{
		promise: "sup", what: "a reload leaves the pairs as they were", test: "TestReloadAddsAndRemovesAPair",
		edits: []edit{{"cmd/cupid-master/reload.go", "return next.orders }", "return now.orders }"}},
	},
	{
		promise: "sup", what: "a database that was away once is not asked again", test: "TestDatabaseThatComesLater",
		edits: []edit{{"pkg/manager/failure.go", "\tl.wait = time.Now().Add(delay(l.failures))\n", "\tl.wait = time.Now().Add(time.Hour)\n"}},
	},
}

// beside are the breaks of what has no promise of its own number: who may see and reach
// what, and when values are equal.
var beside = []brk{
	{
		promise: "files", what: "everybody may use the control socket", test: "TestFilesAreTheirOwnersAlone",
		edits: []edit{{"cmd/cupid-master/control.go", "filepath.Join(dir, boot.SocketFile), 0o600)", "filepath.Join(dir, boot.SocketFile), 0o666)"}},
	},
	{
		promise: "files", what: "everybody may read the logs", test: "TestFilesAreTheirOwnersAlone",
		edits: []edit{
			{"cmd/cupid-master/main.go", "syscall.Umask(0o077)", "syscall.Umask(0)"},
			{"pkg/logfile/logfile.go", "os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)", "os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)"},
		},
	},
	{
		promise: "files", what: "everybody may look into the directories", test: "TestFilesAreTheirOwnersAlone",
		edits: []edit{
			{"cmd/cupid-master/main.go", "syscall.Umask(0o077)", "syscall.Umask(0)"},
			{"cmd/cupid-master/setup.go", "os.MkdirAll(dir, 0o700)", "os.MkdirAll(dir, 0o755)"},
		},
	},
	{
		promise: "files", what: "everybody may read the cache files", test: "TestFilesAreTheirOwnersAlone",
		edits: []edit{{"pkg/cache/disk.go", "renameio.WithStaticPermissions(0o600)", "renameio.WithStaticPermissions(0o644)"}},
	},
	{
		promise: "files", what: "a stale control socket stops the start", test: "TestStaleFilesOfADeadMaster",
		edits: []edit{{
			"cmd/cupid-master/control.go",
			"\tif err := os.Remove(filepath.Join(dir, boot.SocketFile)); err != nil && !errors.Is(err, os.ErrNotExist) {\n\t\treturn nil, fmt.Errorf(\"open control socket: %w\", err)\n\t}\n",
			"",
		}},
	},
	{
		promise: "net", what: "backticks of a name are not doubled", test: "TestNamesAreQuoted",
		edits: []edit{{"pkg/table/fault.go", "\"`\" + strings.ReplaceAll(name, \"`\", \"``\") + \"`\"", "\"`\" + name + \"`\""}},
	},
	{
		promise: "net", what: "an answer is read to its end", test: "TestHostileReceivers",
		edits: []edit{{"pkg/webhook/post.go", "\tn, err := io.ReadFull(resp.Body, buf[:])\n", "\tn, err := io.ReadFull(resp.Body, buf[:])\n\t_, _ = io.Copy(io.Discard, resp.Body)\n"}},
	},
	{
		promise: "net", what: "an attempt may take for ever", test: "TestHostileReceivers",
		edits: []edit{{"pkg/webhook/client.go", "\treturn context.WithTimeoutCause(ctx, d, timeoutError(d))\n", "\treturn context.WithCancel(ctx)\n"}},
	},
	{
		promise: "net", what: "receivers may have any certificate", test: "TestOwnCertificates",
		edits: []edit{{"pkg/webhook/client.go", "\t\to.TLS = &tls.Config{MinVersion: tls.VersionTLS12}\n", "\t\to.TLS = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}\n"}},
	},
	{
		promise: "net", what: "databases may have any certificate", test: "TestOwnCertificates",
		edits: []edit{{"pkg/table/session.go", "c.TLS = &tls.Config{RootCAs: roots, ", "c.TLS = &tls.Config{InsecureSkipVerify: true, RootCAs: roots, "}},
	},
	{
		promise: "types", what: "NULL equals the empty text", test: "TestTypeOracle", pkg: "./pkg/table",
		edits: []edit{{"pkg/row/compare.go", "\t\tif a[c]-a0 != b[c]-b0 {\n", "\t\tif (a[c]-a0)>>1 != (b[c]-b0)>>1 {\n"}},
	},
}
