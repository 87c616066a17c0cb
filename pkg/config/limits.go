package config

// Limits of the file as a whole.
const (
	// MaxFileBytes is the longest file that Load reads.
	MaxFileBytes = 1 << 20
	// MaxWireBytes is the longest wire form, which has to fit into one frame of 4 MiB with its envelope.
	MaxWireBytes = 3 << 20
	// MaxBrackets is how many { and [ a file may hold. It bounds the depth of the
	// parser's recursion.
	MaxBrackets = 20_000
	// MaxFaults is how many faults Load reports; the rest of a file that is no
	// configuration at all says nothing new.
	MaxFaults = 100
	// MaxTextBytes is the longest string value.
	MaxTextBytes = 4096
)

// Limits of lists.
const (
	// MaxJobs is how many jobs one cupid has.
	MaxJobs = 1000
	// MaxDestinations is how many destinations one source has.
	MaxDestinations = 100
	// MaxColumns is how many columns a MySQL table has (MySQL manual, "Limits on Table Column Count and Row Size").
	MaxColumns = 4096
	// MaxTolerances is how many columns of a destination have a tolerance: their values are kept with each look at a row
	// that keeps changing.
	MaxTolerances = 32
	// MaxKeyColumns is how many columns an index has (MySQL manual, "CREATE INDEX Statement").
	MaxKeyColumns = 16
	// MaxHeaders is how many headers a callback has besides cupid's own.
	MaxHeaders = 50
	// MaxSigningSecrets is how many signing secrets live at the same time: the new one and the one that is being replaced.
	MaxSigningSecrets = 2
	// MaxNotifyURLs is how many services are notified.
	MaxNotifyURLs = 20
)

// Limits of text.
const (
	// MaxIdentifierRunes is the longest name of a table or column (MySQL manual, "Identifier Length Limits").
	MaxIdentifierRunes = 64
	// MaxNameBytes is the longest name of a job, a destination or a pair.
	MaxNameBytes = 200
	// MinRawSecretBytes is the shortest signing secret that is no whsec_ one; shorter ones can be guessed.
	MinRawSecretBytes = 16
	// MinSigningKeyBytes and MaxSigningKeyBytes bound the key inside of a whsec_ secret (Standard Webhooks 1.0, "Signature scheme").
	MinSigningKeyBytes = 24
	// MaxSigningKeyBytes is the upper bound of the same.
	MaxSigningKeyBytes = 64
)

// Defaults and limits of numbers. Each has the unit of its key.
const (
	DefaultWorkerNumber = 3
	MinWorkerNumber     = 3 // manager, callback and one task worker
	MaxWorkerNumber     = 256

	DefaultLogKeepDay = 14
	MaxLogKeepDay     = 3650

	DefaultIntervalMillisecond     = 1000
	DefaultScanIntervalMillisecond = 2000
	MinIntervalMillisecond         = 1
	MaxIntervalMillisecond         = 24 * 3600 * 1000

	DefaultSettleMillisecond = 1000
	MinSettleMillisecond     = 1
	MaxSettleMillisecond     = 600_000

	DefaultChunkRow = 2000
	MaxChunkRow     = 10_000

	DefaultQueryTimeoutSecond = 60
	MaxQueryTimeoutSecond     = 3600

	DefaultConnectTimeoutSecond = 5
	MaxConnectTimeoutSecond     = 300

	DefaultQueueLimit = 1_000_000
	MinQueueLimit     = 100
	MaxQueueLimit     = 100_000_000

	DefaultCollectSecond = 60
	MaxCollectSecond     = 24 * 3600

	DefaultFailedAttempt = 10
	MaxFailedAttempt     = 1_000_000

	DefaultInsertLateSecond = 300
	MaxInsertLateSecond     = 7 * 24 * 3600

	MaxUpdateScanSecond = 366 * 24 * 3600

	DefaultSweepIntervalSecond = 24 * 3600
	MaxSweepIntervalSecond     = 366 * 24 * 3600

	MaxSweepRowPerSecond = 100_000_000

	DefaultSweepThreadsRunning = 25 // that of pt-table-checksum
	MaxSweepThreadsRunning     = 100_000

	DefaultSweepLagSecond = 10
	MaxSweepLagSecond     = 24 * 3600

	DefaultDeletePerHour = 100
	MaxDeletePerHour     = 1_000_000

	DefaultTimeoutSecond = 15
	MaxTimeoutSecond     = 300

	DefaultConcurrency = 8
	MaxConcurrency     = 256

	DefaultRepairGraceSecond = 5
	MaxRepairGraceSecond     = 24 * 3600

	DefaultRetryMaxSecond = 300
	MaxRetryMaxSecond     = 24 * 3600

	DefaultStormRowPerMinute = 1000
	MaxStormRowPerMinute     = 1_000_000

	DefaultStormCallbackPerSecond = 50
	MaxStormCallbackPerSecond     = 10_000
)

// Defaults of text.
const (
	DefaultLogLevel         = "info"
	DefaultIDColumn         = "id"
	DefaultUpdateTimeFormat = "Y-m-d H:i:s"
	// DefaultPushbearURL is the endpoint of the original. Its public service is gone; others speak its protocol.
	DefaultPushbearURL = "https://pushbear.ftqq.com/sub"
)
