package main

// bounds are the breaks of what the program must not do: G6 to G10.
var bounds = []brk{
	{
		promise: "G6", what: "all URLs share one gate, which a failure closes for an hour", test: "TestG6DeadURLDelaysNoOtherDestination",
		edits: []edit{
			{"cmd/cupid-worker/callback.go", "\t\tif gates[n.URL] == nil {\n", "\t\tfor _, g := range gates {\n\t\t\tgates[n.URL] = g\n\t\t}\n\t\tif gates[n.URL] == nil {\n"},
			{"pkg/callback/gate.go", "\tdownAfter = 5\n", "\tdownAfter = 1\n"},
			{"pkg/callback/gate.go", "\tprobeBase, probeCap = time.Second, 30 * time.Second\n", "\tprobeBase, probeCap = time.Hour, time.Hour\n"},
		},
	},
	{
		promise: "G6", what: "a database that nobody has reached is given work, and its chunks are kept in hand", test: "TestG6DeadDestinationDelaysNoOtherPair",
		edits: []edit{
			{"pkg/task/compare.go", "\t\tr.Error = err.Error()\n", "\t\t<-ctx.Done()\n\t\tr.Error = err.Error()\n"},
			{"pkg/manager/manager.go", "broken: true, window: maxOpen,", "window: maxOpen,"},
		},
	},
	{
		promise: "G6", what: "chunks of databases that hang fill the hands of the task workers", test: "TestG6NinetyNineBlackHolesHoldUpNoOther",
		edits: []edit{
			{"pkg/task/task.go", "w.inHand + w.stalled.free() - ", "w.inHand - "},
			{"pkg/manager/manager.go", "broken: true, window: maxOpen,", "window: maxOpen,"},
			{"pkg/manager/failure.go", "l.broken, l.wait = true, ", "l.broken, l.wait = false, "},
		},
	},
	{
		promise: "G6", what: "a row that is set aside is read by every later look", test: "TestG6RowThatCrashesItsWorkerIsSetAsideAndGivenBack",
		edits: []edit{{"pkg/manager/halve.go", "\t\tc.Skip = l.ledger.skip(l.pair, l.scan, l.byKey(), p.owed)\n", ""}},
	},
	{
		promise: "G6", what: "events of pairs that are not configured are not counted when the queue is shared", test: "TestG6EventsOfARemovedPairLeaveRoomForTheOthers", pkg: "./pkg/callback",
		edits: []edit{{"pkg/callback/store.go", "free := s.config.Limit - total - s.config.Queue.Len()", "free := s.config.Limit - total - s.config.Queue.Depth(pair)"}},
	},
	{
		promise: "G6", what: "nobody hears that a row is given back", test: "TestG6RowThatCrashesItsWorkerIsSetAsideAndGivenBack",
		edits: []edit{{"cmd/cupid-worker/manager.go", "\thandle(w, ipc.TypeRetry, m.Retry)\n", ""}},
	},
	{
		promise: "G6", what: "every death by one row slows the next start down", test: "TestG6RowThatCrashesItsWorkerIsSetAsideAndGivenBack",
		edits: []edit{{"pkg/router/assign.go", "\t\t\tblamed = true\n", ""}},
	},
	{
		promise: "G6", what: "a row that is refused again and again takes its URL down", test: "TestG6RefusedRowsDelayNoOther", pkg: "./pkg/callback",
		edits: []edit{{"pkg/callback/gate.go", "case !was && o.OfRow && (p.again || now.Sub(g.took) < trusted):", "case !was && o.OfRow && p.again && false:"}},
	},
	{
		promise: "G6", what: "a URL that is down is probed with what is due first", test: "TestG6FreshEventIsProbedBeforeTheRefusedRows", pkg: "./pkg/callback",
		edits: []edit{{"pkg/callback/check.go", "\tif !down || l.probes%2 == 1 {\n", "\tif !down || l.probes >= 0 {\n"}},
	},
	{
		promise: "G7", what: "a storm ends while its URL is away", test: "TestStormGoesOnAfterAnOutage", pkg: "./pkg/callback",
		edits: []edit{{"pkg/callback/storm.go", "\tif away {\n", "\tif away && depth < 0 {\n"}},
	},
	{
		promise: "G7", what: "a storm is called back at full speed", test: "TestG7StormIsHeldBackAndNothingIsDropped",
		edits: []edit{{"pkg/callback/storm.go", "\tif s.perMinute <= 0 {\n\t\treturn due, false\n", "\tif s.perMinute != 0 {\n\t\treturn due, false\n"}},
	},
	{
		promise: "G7", what: "a storm is told of again and again", test: "TestG7StormIsHeldBackAndNothingIsDropped",
		edits: []edit{{"pkg/callback/storm.go", "if !s.began.IsZero() || s.sum < max(", "if s.sum < max("}},
	},
	{
		promise: "G7", what: "a full queue takes more", test: "TestG7FullQueueHoldsTheScans",
		edits: []edit{{"pkg/queue/write.go", "\tif w.total < w.q.opt.Limit {\n", "\tif w.total >= 0 {\n"}},
	},
	{
		promise: "G7", what: "what a full disk does not take is acknowledged", test: "TestG7FullQueueDiskStopsTheScansAlone",
		edits: []edit{{"pkg/callback/store.go", "\ts.waiting[d.pair()] = append(s.waiting[d.pair()], d)\n", "\td.ack()\n"}},
	},
	{
		promise: "G7", what: "a full disk is tried without a wait", test: "TestG7FullQueueDiskStopsTheScansAlone",
		edits: []edit{{"pkg/callback/store.go", "storeRetry = time.Second", "storeRetry = time.Microsecond"}},
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
			"\tnext, err := load(m.options)\n\tif err != nil {\n\t\treturn errors.Join(err, m.pool.Reload(ctx, supervisor.Update{}))\n\t}\n",
		}},
	},
	{
		promise: "G9", what: "a reload does not ask the databases", test: "TestG9BadReloadChangesNothing",
		edits: []edit{{"cmd/cupid-master/reload.go", "\tif err := next.preflight(ctx, next.checkDatabases, none, m.warn); err != nil {\n\t\treturn err\n\t}\n\tm.swap(next)\n", "\tm.swap(next)\n"}},
	},
	{
		promise: "G10", what: "a status answer has the whole URL", test: "TestG10SecretsStaySecret",
		edits: []edit{{"cmd/cupid-worker/callback.go", "URL: n.URLForLog(),", "URL: n.URL,"}},
	},
	{
		promise: "G10", what: "the configuration is in the environment of the workers", test: "TestG10SecretsStaySecret",
		edits: []edit{{
			"cmd/cupid-master/serve.go",
			"\t\t\tfmt.Sprintf(\"%s=%d\", ipc.EnvSlot, order.Slot),",
			"\t\t\t\"CUPID_ORDERS=\" + string(s.orders), fmt.Sprintf(\"%s=%d\", ipc.EnvSlot, order.Slot),",
		}},
	},
	{
		promise: "G10", what: "errors name the whole callback URL", test: "TestG10SecretsStaySecret",
		edits: []edit{{"pkg/webhook/client.go", "t := &target{name: (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()}", "t := &target{name: u.String()}"}},
	},
}
