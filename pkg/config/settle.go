package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/masixun71/cupid/pkg/secret"
)

// settle turns what was read into its one form, with Jobs filled, and checks what
// holds between keys.
func (d *decoder) settle(c *Config) {
	paths := d.jobs(c)
	d.top(c)
	for i := range c.Jobs {
		job := &c.Jobs[i]
		d.checkSource(paths[i].src, &job.Src)
		for k := range job.Des {
			d.checkDestination(index(paths[i].des, k), &job.Src, &job.Des[k], paths[i].src)
		}
		job.connect()
	}
	d.checkNames(c, paths)
	if len(d.faults) > 0 {
		return
	}
	if data, err := c.EncodeWire(); err != nil || len(data) > MaxWireBytes {
		d.add(Fault{Problem: fmt.Sprintf("configuration is longer than %d bytes after ${NAME} is replaced", MaxWireBytes), Hint: "shorten it, or share it among several cupids"})
	}
}

// jobPaths are where the parts of a job stand in the file.
type jobPaths struct{ name, src, des string }

// jobs moves src and des into Jobs and returns the paths of all jobs.
func (d *decoder) jobs(c *Config) []jobPaths {
	if d.has("jobs") {
		for _, key := range []string{"src", "des"} {
			if d.has(key) {
				d.fault(key, "stands beside jobs", "move it into jobs, or remove jobs")
			}
		}
		if len(c.Jobs) == 0 && d.ok("jobs") {
			d.fault("jobs", "empty", "at least one is needed")
		}
		c.Src, c.Des = nil, nil
		paths := make([]jobPaths, len(c.Jobs))
		for i := range paths {
			at := index("jobs", i)
			paths[i] = jobPaths{name: join(at, "name"), src: join(at, "src"), des: join(at, "des")}
		}
		return paths
	}
	for _, key := range []string{"src", "des"} {
		if !d.has(key) {
			d.fault(key, "missing", "add the key "+strconv.Quote(key)+", or jobs for many tables")
		}
	}
	if d.has("des") && len(c.Des) == 0 && d.ok("des") {
		d.fault("des", "empty", "at least one is needed")
	}
	if c.Src == nil {
		return nil
	}
	c.Jobs = []Job{{Src: *c.Src, Des: c.Des}}
	c.Src, c.Des = nil, nil
	return []jobPaths{{name: "src.table", src: "src", des: "des"}}
}

// top checks the keys at the top and takes over those that the original has in src.
func (d *decoder) top(c *Config) {
	single := !d.has("jobs")
	for i := range c.Jobs {
		s := &c.Jobs[i].Src
		path := "src"
		if !single {
			path = join(index("jobs", i), "src")
		}
		for _, key := range []string{"cacheFilePath", "pushbearSendKey"} {
			at := join(path, key)
			switch {
			case !d.has(at):
			case !single:
				d.fault(at, "stands inside of a job", "move it to the top level")
			case d.has(key):
				d.fault(at, "stands at the top level too", "remove one of the two")
			case key == "cacheFilePath":
				c.CacheFilePath = s.CacheFilePath
			default:
				c.PushbearSendKey = s.PushbearSendKey
			}
		}
		s.CacheFilePath, s.PushbearSendKey = "", secret.String{}
	}
	if c.CacheFilePath == "" && d.ok("cacheFilePath") && d.ok("src.cacheFilePath") {
		at := "cacheFilePath"
		if single && !d.has(at) {
			at = "src.cacheFilePath"
		}
		d.fault(at, "missing", "name a directory for the cache files")
	}
	d.pushbear(c)
	for i, u := range c.Notify.URLs {
		if at := index("notify.urls", i); d.ok(at) && !strings.Contains(u.Reveal(), "://") {
			d.fault(at, "no service URL", "write SERVICE://…, for example telegram://TOKEN@telegram?chats=ID")
		}
	}
}

func (d *decoder) pushbear(c *Config) {
	if c.PushbearURL == "" {
		c.PushbearURL = DefaultPushbearURL
	}
	text, problem := normalURL(c.PushbearURL)
	if problem != "" && d.ok("pushbearUrl") {
		d.fault("pushbearUrl", problem, "write https://HOST/PATH")
	}
	c.PushbearURL = text
}

// checkNames gives jobs and destinations their names and checks that pairs can
// be told apart.
func (d *decoder) checkNames(c *Config, paths []jobPaths) {
	jobs := map[string]bool{}
	for i := range c.Jobs {
		job := &c.Jobs[i]
		at := paths[i].name
		if job.Name == "" {
			job.Name = job.Src.Table
		}
		if jobs[job.Name] && d.ok(at) {
			d.fault(at, "another job has the same name", "give each job a name of its own")
		}
		jobs[job.Name] = true
		d.name(at, job.Name)
	}
	pairs := map[string]bool{}
	for i := range c.Jobs {
		job := &c.Jobs[i]
		for k, name := range job.destinationNames() {
			at := join(index(paths[i].des, k), "name")
			full := job.Name + "/" + name
			if pairs[full] && d.ok(at) {
				d.fault(at, "another destination has the same name", "give each destination a name of its own")
			}
			pairs[full] = true
			d.name(at, name)
			if len(full) > MaxNameBytes && d.ok(at) {
				d.fault(at, fmt.Sprintf("name of the pair, JOB/DESTINATION, is longer than %d bytes", MaxNameBytes), "give shorter names")
			}
		}
	}
}

// name checks a name that is shown everywhere.
func (d *decoder) name(path, name string) {
	switch {
	case !d.ok(path):
	case len(name) > MaxNameBytes:
		d.fault(path, fmt.Sprintf("name longer than %d bytes", MaxNameBytes), "give a shorter name")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		d.fault(path, "name with characters that cannot be printed", "give a name of letters, digits and signs")
	case strings.TrimSpace(name) != name:
		d.fault(path, "name with a space at its end", "remove the space")
	}
}
