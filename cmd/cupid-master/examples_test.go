package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The shipped receiver repairs what cupid signs and sends: rows that are missing, that differ, and that are left over.
func TestExampleReceiverRepairs(t *testing.T) {
	t.Parallel()
	const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	r := newRig(t)
	destination := r.config["des"].([]any)[0].(map[string]any)
	destination["columns"].(map[string]any)["update_time"] = "update_time"
	notification := destination["callbackNotification"].(map[string]any)
	notification["url"] = startExampleReceiver(t, r, signing) + "/test/callback"
	notification["secret"] = signing
	r.with("timeZone", exampleZone)
	r.with("delete", true)
	r.with("sweep", true)
	r.with("sweepIntervalSecond", 1)
	r.with("sweepThreadsRunning", 0) // the server is that of other tests, too
	r.src.Exec(t, "INSERT INTO user (number, name, balance) SELECT seq, CONCAT('user-', seq), seq / 7 FROM seq_1_to_300")
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user WHERE number NOT IN (3, 77, 299)",
		"UPDATE user SET name = NULL, balance = 1 WHERE number IN (5, 250)",
		"INSERT INTO user (number, name) VALUES (-1, 'left over'), (1000, 'left over')")
	r.start()
	content := func(name string) (text string) {
		err := r.src.DB.GetContext(t.Context(), &text, "SELECT MD5(GROUP_CONCAT(number, '|', name, '|', balance, '|', update_time ORDER BY number)) FROM "+name+".user")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	r.eventually("tables equal", func() bool { return content(r.src.Name) == content(r.des.Name) })
}

// exampleZone is the zone in which TIMESTAMP values are sent to the example; the servers of the tests have another one.
const exampleZone = "+08:00"

// startExampleReceiver builds and starts examples/receiver on the rig's destination and returns its URL.
func startExampleReceiver(t *testing.T, r *rig, signing string) string {
	t.Helper()
	path := filepath.Join(r.dir, "receiver")
	args := []string{"build", "-o", path}
	if raceFlag != "" {
		args = append(args, raceFlag)
	}
	if out, code := execute(t, "go", append(args, "github.com/masixun71/cupid/examples/receiver")...); code != 0 {
		t.Fatalf("build the receiver: %s", out)
	}
	said := &buffer{}
	cmd := exec.Command(path, "-listen", "127.0.0.1:0", "-dsn", fmt.Sprintf("%s@tcp(%s:%d)/%s", r.des.User, r.des.Host, r.des.Port, r.des.Name),
		"-table", "user", "-key", "number", "-columns", "number=number,name=name,balance=balance,update_time=update_time",
		"-delete", "-time-zone", exampleZone)
	cmd.Env = append(os.Environ(), "RECEIVER_PASSWORD="+r.des.Password, "RECEIVER_SECRET="+signing)
	cmd.Stderr = said
	ended, err := spawn(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may be gone, which the next line tells
		select {
		case <-ended:
			if !cmd.ProcessState.Success() || t.Failed() {
				t.Errorf("receiver ended: %v\n%s", cmd.ProcessState, said)
			}
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			t.Errorf("receiver did not end on SIGTERM: %v\n%s", cmd.ProcessState, said)
		}
	})
	pattern := regexp.MustCompile(`url=(http://\S+)`)
	r.eventually("receiver listens", func() bool { return pattern.MatchString(said.String()) })
	return pattern.FindStringSubmatch(said.String())[1]
}

// The shipped configuration is good as soon as its databases are there.
func TestExampleConfigurationPassesTheCheck(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const columns = "(id BIGINT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, name VARCHAR(64), avatar VARCHAR(64), deleted INT, update_time DATETIME NOT NULL, KEY (update_time))"
	r.src.Exec(t, "DROP TABLE user", "CREATE TABLE user "+columns)
	r.des.Exec(t, "DROP TABLE user", "CREATE TABLE user "+columns)
	writeFile(t, r.path, shipped(t, "cupid.json",
		"mysql:dbname=my;host=127.0.0.1;port=3306", r.src.PDOTCP(), "mysql:dbname=my2;host=127.0.0.1;port=3306", r.des.PDOTCP(),
		`"user": "cupid"`, `"user": "`+r.src.User+`"`,
		"/var/log/cupid", filepath.Join(r.dir, "log"), "/var/lib/cupid", filepath.Join(r.dir, "cache")))
	cmd := exec.Command(filepath.Join(bin, "cupid-master"), "-config", r.path, "-check")
	cmd.Env = append(os.Environ(), "CUPID_SRC_PASSWORD="+r.src.Password, "CUPID_DES_PASSWORD="+r.des.Password,
		"CALLBACK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "CALLBACK_TOKEN=token", "TELEGRAM_TOKEN=110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw")
	out, err := cmd.CombinedOutput()
	// A server whose list of transactions many others read, as other tests do, does not renew it for everyone.
	warnings := bytes.Count(out, []byte("WARNING")) - bytes.Count(out, []byte("may not see open transactions"))
	if err != nil || !bytes.Contains(out, []byte("the configuration is good")) || warnings > 0 {
		t.Errorf("-check: %v\n%s", err, out)
	}
}

// The shipped unit is one that systemd takes, and fits the program and the shipped configuration.
func TestSystemdUnitFits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	master := filepath.Join(bin, "cupid-master")
	unit := shipped(t, "cupid.service", "/usr/local/bin/cupid-master", master)
	writeFile(t, filepath.Join(dir, "cupid.service"), unit)
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		if out, code := execute(t, analyze, "verify", filepath.Join(dir, "cupid.service")); code != 0 || out != "" {
			t.Errorf("systemd-analyze verify: exit code %d\n%s", code, out)
		}
	}
	for _, line := range []string{"Type=notify", "StateDirectory=cupid", "LogsDirectory=cupid", "KillMode=mixed", "Restart=always"} {
		if !slices.Contains(strings.Split(unit, "\n"), line) {
			t.Errorf("the unit has no line %s", line)
		}
	}
	// systemd gives up on exactly what another start does not mend.
	writeFile(t, filepath.Join(dir, "cupid.json"), "{}")
	_, usage := execute(t, master)
	_, configuration := execute(t, master, "-config", filepath.Join(dir, "cupid.json"))
	if want := fmt.Sprintf("\nRestartPreventExitStatus=%d %d\n", usage, configuration); !strings.Contains(unit, want) {
		t.Errorf("the unit has no line %q", want)
	}
	shipped(t, "cupid.json", `"cacheFilePath": "/var/lib/cupid"`, "", `"logDir": "/var/log/cupid"`, "")
}

// What Type=notify waits for is said.
func TestSystemdHearsReadyReloadingAndStopping(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(r.dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() }) // it only received
	t.Setenv("NOTIFY_SOCKET", path)
	hear := func(want string) {
		t.Helper()
		text := make([]byte, 4096)
		_ = socket.SetReadDeadline(time.Now().Add(patience)) // fails on a closed socket alone
		n, err := socket.Read(text)
		if err != nil || !slices.Contains(strings.Split(string(text[:n]), "\n"), want) {
			t.Fatalf("heard %q, %v, want %s", text[:n], err, want)
		}
	}
	m := r.start()
	hear("READY=1")
	if out, code := r.command("reload", "-config", r.path); code != 0 {
		t.Fatalf("reload: exit code %d: %s", code, out)
	}
	hear("RELOADING=1")
	hear("READY=1")
	m.stop()
	hear("STOPPING=1")
}
