package main

import (
	"errors"
	"flag"
	"io"

	"github.com/masixun71/cupid/pkg/boot"
)

const usage = `cupid finds rows that replication has lost or changed, and calls back until they are right.

  cupid-master -config FILE             run in the foreground
  cupid-master -config FILE -check      test the configuration, the databases and the form of the
                                        URLs, say in words what would be done, change nothing and
                                        call nobody (also -t)
  cupid-master -config FILE -dry-run    run, and call nobody; its cursors are kept apart
  cupid-master -config FILE -once       compare all rows of all pairs once, tell, and end; beside a
                                        running cupid only with -dry-run, which has files of its own
      -dry-run        call nobody; without it what is found is called back before it ends
      -report FILE    write each row that differs, and a summary, as JSON lines (- is standard output)
      -sql FILE       write statements that would repair them; cupid executes none (- likewise)
      -resume         go on where a run that was stopped left off; files are added to
  cupid-master -config FILE -start-id N begin insert scans that have no cursor yet after id N
  cupid-master status -config FILE      show what the running cupid does (-json: for programs)
  cupid-master reload -config FILE      read the configuration again, worker by worker
  cupid-master retry PAIR ROW -config FILE  compare a row again that status shows as set aside
  cupid-master forget PAIR -config FILE     remove the queued events of a pair that is not configured any more
  cupid-master stop -config FILE        stop it
  cupid-master -version                 show the version
  cupid-master -help                    show this

Signals to the master: TERM, INT stop; USR1, USR2, HUP reload; WINCH opens the logs again.
Exit codes: 0 done, 1 failure, 64 usage, 69 not running, 75 already running, 78 configuration.
With -once: 0 everything was compared and equal, 1 rows differ, repaired since or not, 2 it could
not tell: a pair failed, had no rows, or the run was stopped; the last four as above.
`

// options are the command line.
type options struct {
	command string   // one of commands
	words   []string // after it
	config  string
	check   bool
	dryRun  bool
	startID string
	once    bool
	resume  bool
	report  string // file for the lines of a once run; empty: none
	sql     string // file for its statements; empty: none
	worker  string
	json    bool
	version bool
	help    bool
}

// commands are what a running master is asked, and what each takes.
var commands = map[string]words{
	"status": {}, "reload": {}, "stop": {},
	"retry":  {2, "a pair and a row, as status shows them"},
	"forget": {1, "a pair that is not configured, as status shows it"},
}

type words struct {
	n    int
	what string
}

// parse reads the command line. A command may stand before or after the flags.
func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("cupid-master", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.config, "config", "", "")
	f.BoolVar(&o.check, "check", false, "")
	f.BoolVar(&o.check, "t", false, "")
	f.BoolVar(&o.dryRun, "dry-run", false, "")
	f.StringVar(&o.startID, "start-id", "", "")
	f.BoolVar(&o.once, "once", false, "")
	f.BoolVar(&o.resume, "resume", false, "")
	f.StringVar(&o.report, "report", "", "")
	f.StringVar(&o.sql, "sql", "", "")
	f.StringVar(&o.worker, "worker", "", "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.version, "version", false, "")
	f.BoolVar(&o.help, "help", false, "")
	f.BoolVar(&o.help, "h", false, "")
	for rest := args; ; {
		if err := f.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				o.help = true
				return o, nil
			}
			return o, &usageError{err.Error()}
		}
		if f.NArg() == 0 {
			break
		}
		word := f.Arg(0)
		rest = f.Args()[1:]
		if len(o.words) < commands[o.command].n {
			o.words = append(o.words, word)
			continue
		}
		if _, ok := commands[word]; !ok {
			return o, &usageError{"there is no command " + word}
		}
		if o.command != "" {
			return o, &usageError{"there are two commands, " + o.command + " and " + word}
		}
		o.command = word
	}
	return o, o.fit()
}

// fit checks what flags go together.
func (o options) fit() error {
	switch {
	case o.help || o.version:
		return nil
	case o.config == "":
		return &usageError{"-config FILE is missing"}
	case o.command != "" && (o.check || o.startID != ""):
		return &usageError{"-check and -start-id do not go with " + o.command}
	case len(o.words) < commands[o.command].n:
		return &usageError{o.command + " takes " + commands[o.command].what}
	case o.once && (o.command != "" || o.check || o.startID != ""):
		return &usageError{"-once goes with no command, and not with -check or -start-id"}
	case !o.once && (o.resume || o.report != "" || o.sql != ""):
		return &usageError{"-report, -sql and -resume go with -once"}
	case o.report != "" && o.report == o.sql:
		return &usageError{"-report and -sql cannot write to the same place"}
	case o.json && o.command != "status":
		return &usageError{"-json goes with status"}
	case o.startID != "" && !boot.IsStartID(o.startID):
		return &usageError{"-start-id takes a number from 0 on"}
	}
	return nil
}
