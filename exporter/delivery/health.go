package delivery

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// health knows which tables take rows. It tells when that changes, and only then.
type health struct {
	logger    *zap.Logger
	tellAfter time.Duration // A connection that breaks now and then is no news.
	backlog   func() (bytes int64, oldest time.Time, segments int)

	mu     sync.Mutex
	server trouble
	tables map[string]*trouble
	wake   chan struct{} // Closed and replaced when ClickHouse takes rows again.
}

// trouble is why no rows are taken. A zero one is none.
type trouble struct {
	since    time.Time
	attempts int    // That failed.
	told     string // The reason that was told; empty if none was.
}

func newHealth(s *Settings, backlog func() (int64, time.Time, int)) *health {
	return &health{logger: s.Logger, tellAfter: s.tellAfter, backlog: backlog, tables: map[string]*trouble{}, wake: make(chan struct{})}
}

// ofServer reports whether a failure is that of the server or of the way to it, and so the same for all tables.
func ofServer(f *Failure, reason string) bool {
	return f.Code == 0 || reason == "auth"
}

// failed notes that a block was not stored. It is told once per reason until rows are taken again. It returns what is
// closed when it is worth to try again early.
func (h *health) failed(table, reason string, f *Failure) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	fields := []zap.Field{zap.String("reason", reason), zap.Error(f)}
	of := &h.server
	if !ofServer(f, reason) {
		of = h.table(table)
		fields = append(fields, zap.String("table", table))
	}
	if of.since.IsZero() {
		of.since = time.Now()
	}
	of.attempts++
	if of.told != reason && time.Since(of.since) >= h.tellAfter {
		of.told = reason
		h.logger.Warn("ClickHouse does not take rows; they are kept in the journal and sent later", fields...)
	}
	return h.wake
}

func (h *health) table(name string) *trouble {
	t := h.tables[name]
	if t == nil {
		t = &trouble{}
		h.tables[name] = t
	}
	return t
}

// succeeded notes that a block was stored.
func (h *health) succeeded(table string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	server, of := h.server, h.table(table)
	if server.since.IsZero() && of.since.IsZero() {
		return
	}
	bytes, oldest, segments := h.backlog()
	fields := []zap.Field{zap.Int64("backlog_bytes", bytes), zap.Int("backlog_segments", segments), zap.Time("backlog_since", oldest)}
	if server.told != "" {
		h.logger.Info("ClickHouse takes rows again", append(fields, zap.Duration("after", time.Since(server.since)), zap.Int("failed_attempts", server.attempts))...)
	}
	if of.told != "" {
		h.logger.Info("ClickHouse takes rows again", append(fields, zap.String("table", table), zap.Duration("after", time.Since(of.since)), zap.Int("failed_attempts", of.attempts))...)
	}
	h.server, *of = trouble{}, trouble{}
	close(h.wake)
	h.wake = make(chan struct{})
}

// failing reports whether a table takes no rows.
func (h *health) failing(table string) bool {
	return !h.since(table).IsZero()
}

// since returns since when a table takes no rows; zero if it does.
func (h *health) since(table string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := h.server.since
	if t := h.tables[table]; t != nil && !t.since.IsZero() && (since.IsZero() || t.since.Before(since)) {
		since = t.since
	}
	return since
}
