package main

// edit replaces one place of a file.
type edit struct {
	file     string // from the root of the checkout
	old, new string // old stands there exactly once
}

// brk is a way to break a promise, and the test that has to notice.
type brk struct {
	promise string
	what    string // what the broken program does
	edits   []edit
	test    string // of cmd/cupid-master; a / leads to a subtest
}

// breaks has one break at least for each promise of the program, and some of the
// supervision ("sup"). Those of its parts are in the packages' own tests.
var breaks = []brk{
	{
		promise: "G1", what: "events are acknowledged before they are on disk", test: "TestG1AcknowledgedEventsSurviveTheKillOfAll",
		edits: []edit{{
			"pkg/callback/store.go",
			"\tif err := s.put(ctx, events); err != nil {\n\t\treturn err\n\t}\n\tfor _, d := range batch {\n\t\td.ack()\n\t}\n\treturn nil\n",
			"\tfor _, d := range batch {\n\t\td.ack()\n\t}\n\tlate, cancel := context.WithTimeout(ctx, 100_000_000_000)\n\t<-late.Done()\n\tcancel()\n\treturn s.put(ctx, events)\n",
		}},
	},
	{
		promise: "G1", what: "the cursor moves past a chunk when it is handed out", test: "TestG1SuspectsSurviveTheKillOfAll",
		edits: []edit{{
			"pkg/manager/lane.go", "\t\t\tl.staged = slices.Delete(l.staged, i, i+1)\n\t\tcase <-l.inbox.wake:\n",
			"\t\t\tl.staged = slices.Delete(l.staged, i, i+1)\n\t\t\tl.finish(chunk.Result{Chunk: next.ID, Pair: next.Pair})\n\t\tcase <-l.inbox.wake:\n",
		}},
	},
	{
		promise: "G1", what: "the chunks of a dead task worker are forgotten", test: "TestG1KilledWorkersLoseNothing/task",
		edits: []edit{{"pkg/router/assign.go", "\t\tidle = append(idle, c)\n", "\t\t_ = c\n"}},
	},
	{
		promise: "G1", what: "nobody looks again for events that were lost on disk", test: "TestG1DamagedQueueIsSweptAgain/one_bit_of_an_event",
		edits: []edit{{"cmd/cupid-worker/manager.go", "\thandle(w, ipc.TypeSweepAgain, m.SweepAgain)\n", ""}},
	},
	{
		promise: "G2", what: "rows that commit behind the cursor are not looked at again", test: "TestG2LateCommitIsFound",
		edits: []edit{{"pkg/manager/insert.go", "\t\t\tp.state.Late = remember(p.state.Late, l)\n", ""}},
	},
	{
		promise: "G2", what: "the update scan begins at the present", test: "TestG2DowntimeIsScanned",
		edits: []edit{{"pkg/manager/update.go", "\t\treturn p.state.Watermark\n", "\t\treturn now\n"}},
	},
	{
		promise: "G2", what: "a sweep ends with the source's last row", test: "TestG2SweepFindsWhatPollingCannot",
		edits: []edit{{"pkg/manager/lane.go", "UpTo: upTo, Open: last, ", "UpTo: upTo, "}},
	},
	{
		promise: "G3", what: "a suspect is looked at again at once", test: "TestG3LateRowIsNoAlarm",
		edits: []edit{{"pkg/task/compare.go", "time.NewTimer(w.config.Settle)", "time.NewTimer(0)"}},
	},
	{
		promise: "G3", what: "a row that differs twice is an event, however it moves", test: "TestG3HotRowsOfAReplicaThatCatchesUpAreNoAlarm",
		edits: []edit{{"pkg/event/look.go", "\tif last.Source == before.Source {\n", "\tif last != before || last == before {\n"}},
	},
	{
		promise: "G3", what: "a task worker reads the source first", test: "TestG3FrozenBetweenTheReadsIsNoAlarm/task",
		edits: []edit{{
			"pkg/task/again.go",
			"\tif b.des, err = p.ReadDestination(ctx, keys); err != nil {\n\t\treturn b, err\n\t}\n\tif b.src, err = p.ReadSource(ctx, ids); err != nil {\n\t\treturn b, err\n\t}\n",
			"\tif b.src, err = p.ReadSource(ctx, ids); err != nil {\n\t\treturn b, err\n\t}\n\tif b.des, err = p.ReadDestination(ctx, keys); err != nil {\n\t\treturn b, err\n\t}\n",
		}},
	},
	{
		promise: "G3", what: "the callback worker reads the source first", test: "TestG3FrozenBetweenTheReadsIsNoAlarm/callback",
		edits: []edit{{
			"pkg/callback/look.go",
			"\tdes, err := l.dest.Pair.ReadDestination(ctx, keys)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\tsrc, payloads, err := l.readSource(ctx, ids, full)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n",
			"\tsrc, payloads, err := l.readSource(ctx, ids, full)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n\tdes, err := l.dest.Pair.ReadDestination(ctx, keys)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n",
		}},
	},
	{
		promise: "G4", what: "the row of the first attempt is sent again", test: "TestG4NothingStaleIsSent",
		edits: []edit{{
			"pkg/callback/look.go", "\tall, err := l.read(ctx, records, payloads)\n\tif err != nil {\n\t\treturn nil, &readError{err}\n\t}\n",
			"\tall, err := l.read(ctx, records, payloads)\n\tif err != nil {\n\t\treturn nil, &readError{err}\n\t}\n\tfor i, r := range records {\n\t\tif old, ok := firstSeen[r.Key]; ok {\n\t\t\tall[i] = old\n\t\t} else {\n\t\t\tfirstSeen[r.Key] = all[i]\n\t\t}\n\t}\n",
		}, {"pkg/callback/look.go", "// known is a record with its note.\n", "var firstSeen = map[string]seen{}\n\n// known is a record with its note.\n"}},
	},
	{
		promise: "G5", what: "an accepted row counts as repaired", test: "TestG5AcceptedAndNotRepairedIsCalledAgain",
		edits: []edit{{"pkg/callback/finish.go", "\tc.Remove = equal\n", "\tc.Remove = true\n"}},
	},
	{
		promise: "G6", what: "all URLs share one gate, which a failure closes for an hour", test: "TestG6DeadURLDelaysNoOtherDestination",
		edits: []edit{
			{"cmd/cupid-worker/callback.go", "\t\tif gates[n.URL] == nil {\n", "\t\tfor _, g := range gates {\n\t\t\tgates[n.URL] = g\n\t\t}\n\t\tif gates[n.URL] == nil {\n"},
			{"pkg/callback/gate.go", "\tdownAfter = 5\n", "\tdownAfter = 1\n"},
			{"pkg/callback/gate.go", "\tprobeBase, probeCap = time.Second, 30 * time.Second\n", "\tprobeBase, probeCap = time.Hour, time.Hour\n"},
		},
	},
	{
		promise: "G6", what: "a chunk of a database that cannot be read is kept in hand", test: "TestG6DeadDestinationDelaysNoOtherPair",
		edits: []edit{{"pkg/task/compare.go", "\t\tr.Error = err.Error()\n", "\t\t<-ctx.Done()\n\t\tr.Error = err.Error()\n"}},
	},
	{
		promise: "G6", what: "chunks of databases that hang fill the hands of the task workers", test: "TestG6NinetyNineBlackHolesHoldUpNoOther",
		edits: []edit{
			{"pkg/task/task.go", "maxInHand + w.stalled.free() - ", "maxInHand - "},
			{"pkg/manager/manager.go", "broken: true, window: maxOpen,", "window: maxOpen,"},
			{"pkg/manager/failure.go", "l.broken, l.wait = true, ", "l.broken, l.wait = false, "},
		},
	},
	{
		promise: "G6", what: "a row that is set aside is read by every later look", test: "TestG6RowThatCrashesItsWorkerIsSetAsideAndGivenBack",
		edits: []edit{{"pkg/manager/lane.go", "l.offers, l.skipping(l.staged[i].chunk)", "l.offers, l.staged[i].chunk"}},
	},
	{
		promise: "G7", what: "a storm is called back at full speed", test: "TestG7StormIsHeldBackAndNothingIsDropped",
		edits: []edit{{"pkg/callback/storm.go", "\tif s.perMinute <= 0 {\n\t\treturn due, false\n", "\tif s.perMinute != 0 {\n\t\treturn due, false\n"}},
	},
	{
		promise: "G7", what: "a full queue takes more", test: "TestG7FullQueueHoldsTheScans",
		edits: []edit{{"pkg/queue/write.go", "\tif w.total < w.q.opt.Limit {\n", "\tif w.total >= 0 {\n"}},
	},
	{
		promise: "G8", what: "workers live on without a master", test: "TestG8StoppedWorkersDieWithTheirMaster",
		edits: []edit{
			{"pkg/process/process.go", "&syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}", "&syscall.SysProcAttr{}"},
			{
				"cmd/cupid-worker/main.go", "\t\tcancel(fmt.Errorf(\"the master is gone: %w\", errOr(w.session.Run(ctx))))\n",
				"\t\t_ = errOr(w.session.Run(ctx))\n\t\t<-ctx.Done()\n",
			},
		},
	},
	{
		promise: "G8", what: "every master has a lock of its own", test: "TestG8SecondMasterIsRefused",
		edits: []edit{{"pkg/process/lock.go", "\tfile, err := tryLock(path)\n\tif locked, ok", "\tfile, err := tryLock(path + strconv.Itoa(os.Getpid()))\n\tif locked, ok"}},
	},
	{
		promise: "G9", what: "a reload with a bad file renews the workers", test: "TestG9BadReloadChangesNothing",
		edits: []edit{{
			"cmd/cupid-master/reload.go", "\tnext, err := load(m.options)\n\tif err != nil {\n\t\treturn err\n\t}\n",
			"\tnext, err := load(m.options)\n\tif err != nil {\n\t\treturn m.pool.Reload(ctx, supervisor.Update{\n\t\t\tSlots: slots(m.setup.config.WorkerNumber), Payload: func(int) json.RawMessage { return m.setup.orders }, Starter: m.starter(m.setup),\n\t\t})\n\t}\n",
		}},
	},
	{
		promise: "G10", what: "a status answer has the whole URL", test: "TestG10SecretsStaySecret",
		edits: []edit{{"cmd/cupid-worker/callback.go", "URL: n.URLForLog(),", "URL: n.URL,"}},
	},
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
}
