package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// shiftedClock is a library that sets the wall clock of the program it is loaded into. What
// waits until a time of that clock is told the real one.
const shiftedClock = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) { const char *s = getenv("CUPID_TEST_SHIFT"); return s ? atol(s) : 0; }

int clock_gettime(clockid_t c, struct timespec *t) {
	static int (*real)(clockid_t, struct timespec *);
	if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(c, t);
	if (!r && (c == CLOCK_REALTIME || c == CLOCK_REALTIME_COARSE)) t->tv_sec += shift();
	return r;
}
int gettimeofday(struct timeval *t, void *z) {
	struct timespec now;
	int r = clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return r;
}
time_t time(time_t *to) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (to) *to = now.tv_sec;
	return now.tv_sec;
}
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until) {
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	struct timespec t = *until;
	if (t.tv_sec > 1000000000) t.tv_sec -= shift();
	return real(c, m, &t);
}
`

// shiftedRig has its source on a server of its own, whose clock is off by so much and
// whose machine is in a zone.
func shiftedRig(t *testing.T, off time.Duration, zone string) *rig {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("a C compiler makes the library that sets the server's clock, and there is none")
	}
	dir := t.TempDir()
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	if err := os.WriteFile(source, []byte(shiftedClock), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), compiler, "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		t.Skipf("the library that sets the server's clock cannot be made: %v\n%s", err, out)
	}
	s := mariadbtest.Start(t, mariadb.Options{TCP: true, Env: []string{
		"LD_PRELOAD=" + library, fmt.Sprintf("CUPID_TEST_SHIFT=%d", int(off.Seconds())), "TZ=" + zone,
	}})
	db, err := sqlx.Open("mysql", s.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the server goes with it
	src := &mariadbtest.Database{Name: "shifted", User: "shifted", Password: "p", Host: "127.0.0.1", Port: s.Port(), DB: db}
	db.SetMaxOpenConns(1) // USE holds for one connection
	src.Exec(t, "CREATE DATABASE shifted", "USE shifted", "CREATE TABLE user "+table,
		"GRANT ALL ON *.* TO shifted@'%' IDENTIFIED BY 'p'")
	r := newRig(t)
	r.src = src
	r.with("dsn", src.PDOTCP())
	r.with("user", src.User)
	r.with("password", src.Password)
	return r
}

// repairedAs waits until the destination has the row under this name.
func (r *rig) repairedAs(number int, name string) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("row %d is %s", number, name), func() bool {
		var got string
		err := r.des.DB.GetContext(r.t.Context(), &got, "SELECT name FROM user WHERE number = ?", number)
		return err == nil && got == name
	})
}

// The clocks of cupid and of the database are an hour apart: the database's counts.
func TestG2ClockAnHourOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"the database is ahead": time.Hour, "the database is behind": -time.Hour} {
		for _, kind := range []string{"TIMESTAMP", "DATETIME"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				r := shiftedRig(t, off, "JST-9")
				r.with("updateScanSecond", 1)
				r.src.Exec(t, "ALTER TABLE user MODIFY update_time "+kind+" NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")
				var now int64
				if err := r.src.DB.GetContext(t.Context(), &now, "SELECT UNIX_TIMESTAMP()"); err != nil || time.Since(time.Unix(now, 0).Add(-off)).Abs() > 10*time.Minute {
					t.Fatalf("the server's clock is %s, which is not off by %s; %v", time.Unix(now, 0), off, err)
				}
				r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'new')")
				r.start()
				r.repairedAs(1, "new")
				r.eventually("the watermark is written", func() bool { return strings.Contains(r.state(), "watermark") })
				for i := range 3 {
					r.src.Exec(t, fmt.Sprintf("UPDATE user SET name = 'changed %d' WHERE number = 1", i))
					r.repairedAs(1, fmt.Sprintf("changed %d", i))
				}
			})
		}
	}
}

// Clocks are set back an hour while rows change: an hour of DATETIME occurs twice. A pass of
// the scan takes in what changed before and after.
func TestG2HourThatOccursTwice(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"TIMESTAMP", "DATETIME"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			end := time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC) // of daylight saving time in Central Europe
			const before, around = 15 * time.Second, 4 * time.Second
			r := shiftedRig(t, time.Until(end.Add(-before)), "CET-1CEST,M3.5.0,M10.5.0/3")
			r.with("insert", false)
			r.with("updateScanSecond", 1)
			r.with("updateIntervalMillisecond", 3000)
			r.src.Exec(t, "ALTER TABLE user MODIFY update_time "+kind+" NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
				"INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_1000")
			r.des.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_1000")
			r.start()
			r.eventually("the watermark is written", func() bool { return strings.Contains(r.state(), "watermark") })
			fromEnd := func() time.Duration {
				var now int64
				if err := r.src.DB.GetContext(t.Context(), &now, "SELECT UNIX_TIMESTAMP()"); err != nil {
					t.Fatal(err)
				}
				return time.Unix(now, 0).Sub(end)
			}
			r.eventually("the clocks are about to be set back", func() bool { return fromEnd() >= -around })
			changed := 0
			for ; changed < 1000 && fromEnd() < around; wait(t.Context(), 100*time.Millisecond) {
				changed++
				r.src.Exec(t, fmt.Sprintf("UPDATE user SET name = 'changed' WHERE number = %d", changed))
			}
			r.eventually("all that changed is repaired", func() bool {
				var n int
				err := r.des.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM user WHERE name = 'changed'")
				return err == nil && n == changed
			})
		})
	}
}
