package queue

// Room that tests need not write out for each of their queues.
func init() { reserveBytes = 64 << 10 }

// SetReserve sets the room that is kept free for Apply.
func SetReserve(bytes int64) { reserveBytes = bytes }

// Set adds a setting to those of every queue that is opened from now on.
func Set(pragma string) { settings = append(settings, pragma) }
