package queue

// Set adds a setting to those of every queue that is opened from now on.
func Set(pragma string) { settings = append(settings, pragma) }
