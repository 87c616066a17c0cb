package config

import (
	"time"

	"github.com/masixun71/cupid/pkg/secret"
)

// Config is a whole configuration. Load makes it; as it comes from there it is
// valid, and Jobs holds every table to watch: Src and Des have moved there. It
// prints and marshals without its secrets.
type Config struct {
	// Where an editor finds the JSON schema of this file. cupid does not read it.
	Schema string `json:"$schema,omitempty"`
	// Number of worker processes: one manager, one callback worker, the rest task workers, which share the machine's processors. Default 3, from 3 to 256.
	WorkerNumber int `json:"workerNumber"`
	// Directory of the log files, one file a process and day. Required.
	LogDir string `json:"logDir"`
	// Days for which log files are kept. Default 14, at most 3650; 0 keeps them for ever.
	LogKeepDay int `json:"logKeepDay"`
	// Lowest level that is logged: trace, debug, info, warn or error. Default info.
	LogLevel string `json:"logLevel"`
	// Whether the values of diverging columns are logged. Default true; maskColumns hides single columns.
	LogValues bool `json:"logValues"`
	// How often the idle callback worker looks for work, in milliseconds. Default 1000, from 1 to 86400000. Once it finds some it works it all off.
	CallbackWorkerIntervalMillisecond int `json:"callbackWorkerIntervalMillisecond"`
	// How often an idle task worker looks for work, in milliseconds. Default 1000, from 1 to 86400000. Once it finds some it works it all off.
	TaskWorkerIntervalMillisecond int `json:"taskWorkerIntervalMillisecond"`
	// How long a row that diverges is given before both sides are read again, in milliseconds. Default 1000, from 1 to 600000. Set it above the usual delay of the replication.
	SettleMillisecond int `json:"settleMillisecond"`
	// Most rows in one chunk, the unit of work of a task worker. Default 2000, from 1 to 10000. A scan that is behind takes up to 40000 where checksums compare its rows.
	ChunkRow int `json:"chunkRow"`
	// How long a query may run, in seconds. Default 60, from 1 to 3600.
	QueryTimeoutSecond int `json:"queryTimeoutSecond"`
	// How long connecting to a database may take, in seconds. Default 5, from 1 to 300.
	ConnectTimeoutSecond int `json:"connectTimeoutSecond"`
	// Most events that wait for their callback. Default 1000000, from 100 to 100000000. When that many wait, the scans wait too; nothing is dropped.
	QueueLimit int `json:"queueLimit"`
	// Directory of the cache files: cursors, the queue, locks and the control socket. Required, here or, without jobs, in src.
	CacheFilePath string `json:"cacheFilePath"`
	// Send key of PushBear. Without it PushBear is not notified. Here or, without jobs, in src.
	PushbearSendKey secret.String `json:"pushbearSendKey,omitzero"`
	// Address of the PushBear service. Default https://pushbear.ftqq.com/sub.
	PushbearURL string `json:"pushbearUrl"`
	// Who is told of trouble, and when.
	Notify Notify `json:"notify"`
	// The source table, in a file without jobs.
	Src *Source `json:"src,omitempty"`
	// The destination tables, in a file without jobs. At most 100.
	Des []Destination `json:"des,omitempty"`
	// The tables to watch, each with its destinations, in place of src and des. At most 1000.
	Jobs []Job `json:"jobs,omitempty"`
}

// Notify says who is told of trouble, and when.
type Notify struct {
	// Services to notify, as service URLs (for example telegram://TOKEN@telegram?chats=ID). At most 20; none: nobody is notified but PushBear.
	URLs []secret.String `json:"urls,omitempty"`
	// For how long notifications are collected into one message, in seconds. Default 60, from 1 to 86400.
	CollectSecond int `json:"collectSecond"`
	// After how many failed attempts an event is notified. Default 10, from 1 to 1000000.
	FailedAttempt int `json:"failedAttempt"`
}

// Job is one source table with its destinations.
type Job struct {
	// Name of the job in logs, cursors and status. Default the name of the source table; at most 200 bytes, unique. A new name starts a new cursor.
	Name string `json:"name"`
	// The source table. Required.
	Src Source `json:"src"`
	// The destination tables. Required, at most 100.
	Des []Destination `json:"des"`
}

// newConfig returns a Config that holds the default of every key.
func newConfig() *Config {
	return &Config{
		WorkerNumber:                      DefaultWorkerNumber,
		LogKeepDay:                        DefaultLogKeepDay,
		LogLevel:                          DefaultLogLevel,
		LogValues:                         true,
		CallbackWorkerIntervalMillisecond: DefaultIntervalMillisecond,
		TaskWorkerIntervalMillisecond:     DefaultIntervalMillisecond,
		SettleMillisecond:                 DefaultSettleMillisecond,
		ChunkRow:                          DefaultChunkRow,
		QueryTimeoutSecond:                DefaultQueryTimeoutSecond,
		ConnectTimeoutSecond:              DefaultConnectTimeoutSecond,
		QueueLimit:                        DefaultQueueLimit,
		PushbearURL:                       DefaultPushbearURL,
		Notify:                            Notify{CollectSecond: DefaultCollectSecond, FailedAttempt: DefaultFailedAttempt},
	}
}

func (c *Config) fields() []field {
	return []field{
		{key: "$schema", into: &c.Schema},
		{key: "workerNumber", into: &c.WorkerNumber, min: MinWorkerNumber, max: MaxWorkerNumber},
		{key: "logDir", into: &c.LogDir, required: true},
		{key: "logKeepDay", into: &c.LogKeepDay, max: MaxLogKeepDay},
		{key: "logLevel", into: &c.LogLevel, words: []string{"trace", "debug", "info", "warn", "error"}},
		{key: "logValues", into: &c.LogValues},
		{key: "callbackWorkerIntervalMillisecond", into: &c.CallbackWorkerIntervalMillisecond, min: MinIntervalMillisecond, max: MaxIntervalMillisecond},
		{key: "taskWorkerIntervalMillisecond", into: &c.TaskWorkerIntervalMillisecond, min: MinIntervalMillisecond, max: MaxIntervalMillisecond},
		{key: "settleMillisecond", into: &c.SettleMillisecond, min: MinSettleMillisecond, max: MaxSettleMillisecond},
		{key: "chunkRow", into: &c.ChunkRow, min: 1, max: MaxChunkRow},
		{key: "queryTimeoutSecond", into: &c.QueryTimeoutSecond, min: 1, max: MaxQueryTimeoutSecond},
		{key: "connectTimeoutSecond", into: &c.ConnectTimeoutSecond, min: 1, max: MaxConnectTimeoutSecond},
		{key: "queueLimit", into: &c.QueueLimit, min: MinQueueLimit, max: MaxQueueLimit},
		{key: "cacheFilePath", into: &c.CacheFilePath},
		{key: "pushbearSendKey", into: &c.PushbearSendKey},
		{key: "pushbearUrl", into: &c.PushbearURL},
		{key: "notify", into: &c.Notify},
		{key: "src", into: &c.Src},
		{key: "des", into: &c.Des, max: MaxDestinations},
		{key: "jobs", into: &c.Jobs, max: MaxJobs},
	}
}

func (n *Notify) fields() []field {
	return []field{
		{key: "urls", into: &n.URLs, max: MaxNotifyURLs},
		{key: "collectSecond", into: &n.CollectSecond, min: 1, max: MaxCollectSecond},
		{key: "failedAttempt", into: &n.FailedAttempt, min: 1, max: MaxFailedAttempt},
	}
}

func (j *Job) fields() []field {
	return []field{
		{key: "name", into: &j.Name},
		{key: "src", into: &j.Src, required: true},
		{key: "des", into: &j.Des, required: true, max: MaxDestinations},
	}
}

// CallbackWorkerInterval is CallbackWorkerIntervalMillisecond as a duration.
func (c *Config) CallbackWorkerInterval() time.Duration {
	return milliseconds(c.CallbackWorkerIntervalMillisecond)
}

// TaskWorkers is how many of the workers are task workers.
func (c *Config) TaskWorkers() int { return c.WorkerNumber - 2 }

// TaskWorkerInterval is TaskWorkerIntervalMillisecond as a duration.
func (c *Config) TaskWorkerInterval() time.Duration {
	return milliseconds(c.TaskWorkerIntervalMillisecond)
}

// Settle is SettleMillisecond as a duration.
func (c *Config) Settle() time.Duration { return milliseconds(c.SettleMillisecond) }

// QueryTimeout is QueryTimeoutSecond as a duration.
func (c *Config) QueryTimeout() time.Duration { return seconds(c.QueryTimeoutSecond) }

// ConnectTimeout is ConnectTimeoutSecond as a duration.
func (c *Config) ConnectTimeout() time.Duration { return seconds(c.ConnectTimeoutSecond) }

// Collect is CollectSecond as a duration.
func (n *Notify) Collect() time.Duration { return seconds(n.CollectSecond) }

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
