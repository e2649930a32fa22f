package journal

import "time"

// WithRetry returns settings with another pause before a repair.
func WithRetry(s Settings, d time.Duration) Settings {
	s.retry = d
	return s
}
