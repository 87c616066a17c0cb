package main

import "slices"

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
	test    string // a / leads to a subtest
	pkg     string // of the test; empty: that of the programs
}

// breaks has one break at least for each promise of the program. What its parts promise each
// other is in the packages' own tests.
var breaks = slices.Concat(rows, bounds, supervision, beside)

// rows are the breaks of what becomes of a row: G1 to G5.
var rows = []brk{
	{
		promise: "G1", what: "events are acknowledged before they are on disk", test: "TestG1AcknowledgedEventsSurviveTheKillOfAll",
		edits: []edit{{
			"pkg/callback/store.go",
			"\tif err := s.put(ctx, events); err != nil {\n\t\treturn err\n\t}\n\tfor _, d := range batch {\n\t\td.ack()\n\t}\n\treturn nil\n",
			"\tfor _, d := range batch {\n\t\td.ack()\n\t}\n\tlate, _ := context.WithTimeout(ctx, 100_000_000_000)\n\tcontext.AfterFunc(late, func() { _ = s.put(context.WithoutCancel(ctx), events) })\n\treturn nil\n",
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
		promise: "G1", what: "a new manager is asked for nothing", test: "TestG1KilledWorkersLoseNothing/manager",
		edits: []edit{{"pkg/router/router.go", "\t\tr.sweepAgain(r.lost)\n\t\tr.ask()\n", "\t\tr.sweepAgain(r.lost)\n"}},
	},
	{
		promise: "G1", what: "a queue without its bytes is taken for a new one", test: "TestG1DamagedQueueIsSweptAgain/zero_bytes",
		edits: []edit{{"pkg/queue/file.go", "\t\treturn \"the file is empty\", nil\n", "\t\treturn \"\", q.create(ctx)\n"}},
	},
	{
		promise: "G1", what: "a sweep by buckets begins anew with every manager", test: "TestG1ScatteredSweepGoesOnAfterTheMasterIsKilled",
		edits: []edit{{"pkg/manager/buckets.go", "usable := kept.Pass == s.state.Pass &&", "usable := kept.Pass != s.state.Pass &&"}},
	},
	{
		promise: "G1", what: "a record that a clock ahead has written waits for its date", test: "TestG1ClockThatIsSetBackLeavesNoEventBehind", pkg: "./pkg/callback",
		edits: []edit{{"pkg/callback/check.go", "\treturn append(due, stuck...), err\n", "\treturn append(due, stuck[:0]...), err\n"}},
	},
	{
		promise: "G1", what: "the queue is not synced with every commit", test: "TestPowerLoss", pkg: "./pkg/queue",
		edits: []edit{{"pkg/queue/database.go", "\"PRAGMA synchronous = FULL\"", "\"PRAGMA synchronous = NORMAL\""}},
	},
	{
		promise: "G1", what: "the directory of a cache file is not synced", test: "TestPowerLoss", pkg: "./pkg/cache",
		edits: []edit{{"pkg/cache/disk.go", "\treturn errors.Join(d.Sync(), d.Close())\n", "\treturn d.Close()\n"}},
	},
	{
		promise: "G1", what: "a damaged cache file is thrown away", test: "TestDamagedCacheFileIsKeptAndTold",
		edits: []edit{{"pkg/cache/cache.go", "if d.Kept, err = f.setAside(f.Path); err != nil", "if err = f.disk.remove(f.Path); err != nil"}},
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
		edits: []edit{{"pkg/manager/lane.go", "UpTo: upTo, Open: last && k.span.open, ", "UpTo: upTo, "}},
	},
	{
		promise: "G2", what: "open transactions are not waited for", test: "TestG2TransactionCommitsLate/7_s,_seen",
		edits: []edit{{"pkg/manager/late.go", "\treturn c.Listed.Sub(l.Seen) >= ahead && (c.Oldest.IsZero() || c.Oldest.After(l.Seen.Add(ahead)))\n", "\treturn true\n"}},
	},
	{
		promise: "G2", what: "what cannot be seen of transactions is taken for nothing", test: "TestG2TransactionCommitsLate/7_s,_unseen",
		edits: []edit{{"pkg/manager/late.go", "\t\treturn c.Applied.Sub(l.Seen) >= blindAge\n", "\t\treturn true\n"}},
	},
	{
		promise: "G2", what: "statements that wait for a lock are not waited for", test: "TestG2StatementWaitsForALock",
		edits: []edit{{"pkg/table/lists.go", "\t\t\treturn earlier(t.Oldest, begun), err == nil, err\n", "\t\t\t_ = begun\n\t\t\treturn t.Oldest, err == nil, err\n"}},
	},
	{
		promise: "G2", what: "a replica has everything at once", test: "TestG2ReplicaStandsStill",
		edits: []edit{{"pkg/table/clock.go", "if c.Applied = c.Now; l.upstream.channels > 0 {", "if c.Applied = c.Now; l.upstream.channels < 0 {"}},
	},
	{
		promise: "G2", what: "updates that commit behind the watermark are not looked at again", test: "TestG2TransactionCommitsLate/7_s,_seen",
		edits: []edit{{"pkg/manager/update.go", "\t\tp.state.Late = remember(p.state.Late, Late{From: start, To: clock.Now, Seen: clock.Now})\n", ""}},
	},
	{
		promise: "G2", what: "the next chunk of updates begins with the next update time", test: "TestG2ManyRowsInOneSecond/TIMESTAMP",
		edits: []edit{{
			"pkg/table/bind.go",
			"\treturn anyOf(tie.add(update, \"=\", after.Value).add(id, \">\", after.ID),\n\t\trest.add(update, \">\", after.Value)",
			"\t_, _ = tie, id\n\treturn anyOf(rest.add(update, \">\", after.Value)",
		}},
	},
	{
		promise: "G2", what: "many updates are equal whatever their checksums are", test: "TestG2BulkOfADowntimeIsScanned",
		edits: []edit{{"pkg/table/updates.go", "if err == nil && src[i] != des[i] {", "if err == nil && src[i] != des[i] && src == nil {"}},
	},
	{
		promise: "G2", what: "updates are looked for by cupid's own clock", test: "TestG2ClockAnHourOff/the_database_is_behind_TIMESTAMP",
		edits: []edit{{"pkg/table/clock.go", "c := Clock{Now: time.UnixMicro(micro).UTC()}", "c := Clock{Now: time.Now().UTC()}"}},
	},
	{
		promise: "G2", what: "clocks are never set back", test: "TestG2HourThatOccursTwice/DATETIME",
		edits: []edit{{"pkg/table/window.go", "widen := set(fromOffset, toOffset, to.Sub(from))", "widen := time.Duration(0)"}},
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
		promise: "G3", what: "a look by metadata that is out of date counts", test: "TestG3AlteredTablesAreNoAlarm",
		edits: []edit{{"pkg/table/pair.go", "return err == nil && &pl.mapping == of, err", "return err == nil && pl != nil && of != nil, err"}},
	},
	{
		promise: "G3", what: "a suspect has a tenth of the settle time", test: "TestG3LagUpToTheSettleTimeIsNoAlarm",
		edits: []edit{{"pkg/task/compare.go", "time.NewTimer(w.config.Settle)", "time.NewTimer(w.config.Settle / 10)"}},
	},
	{
		promise: "G4", what: "the row of the first attempt is sent again", test: "TestG4NothingStaleIsSent",
		edits: []edit{{
			"pkg/callback/look.go", "\tif err != nil {\n\t\treturn nil, &readError{err}\n\t}\n",
			"\tif err != nil {\n\t\treturn nil, &readError{err}\n\t}\n\tfor i, r := range records {\n\t\tif old, ok := firstSeen[r.Key]; ok {\n\t\t\tall[i] = old\n\t\t} else {\n\t\t\tfirstSeen[r.Key] = all[i]\n\t\t}\n\t}\n",
		}, {"pkg/callback/look.go", "// known is a record with its note.\n", "var firstSeen = map[string]seen{}\n\n// known is a record with its note.\n"}},
	},
	{
		promise: "G5", what: "an accepted row counts as repaired", test: "TestG5AcceptedAndNotRepairedIsCalledAgain",
		edits: []edit{{"pkg/callback/finish.go", "\tc.Remove = equal\n", "\tc.Remove = true\n"}},
	},
	{
		promise: "G5", what: "what heals by itself counts as healed by a callback", test: "TestG5WhatBecomesOfARowIsTold",
		edits: []edit{{"pkg/callback/heal.go", "\t\tif n.Accepted > 0 {\n\t\t\thow =", "\t\tif n.Accepted >= 0 {\n\t\t\thow ="}},
	},
	{
		promise: "G5", what: "healed rows are forgotten at once", test: "TestG5WhatBecomesOfARowIsTold",
		edits: []edit{{"pkg/callback/heal.go", "\t\tl.config.lately.healed(r.Pair, r.Key, time.Now())\n", ""}},
	},
	{
		promise: "G5", what: "nobody is told that an accepted row is not repaired", test: "TestG5WhatBecomesOfARowIsTold",
		edits: []edit{{
			"pkg/callback/finish.go",
			"\t\tl.config.Alerts.Alert(\"accepted, not repaired\", l.name+\": rows were accepted by the receiver and still differ, the latest \"+p.rec.Key)\n",
			"",
		}},
	},
}
