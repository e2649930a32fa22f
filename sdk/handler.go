package agenttrail

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

// Handler returns a handler for log/slog: records become rows of AgentLog, with the run, agent, user, session and category
// of their context. An attribute agenttrail.log.category sets the category of one record. To keep writing to standard
// error, too, use [slog.NewMultiHandler].
func (t *Trail) Handler() slog.Handler { return &handler{trail: t} }

// handler keeps what With and WithGroup were given as attributes that are converted already.
type handler struct {
	trail  *Trail
	prefix string // Open groups, each with a dot behind it.
	with   []slog.Attr
	groups []string // Prefix of each of with.
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.trail.logLevel }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	s := scopeFrom(ctx)
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	rec := h.trail.newRecord(r.Level, at, r.Message)
	c := converter{level: r.Level, attrs: sourceOf(r.PC)}
	for i, a := range h.with {
		c.add(h.groups[i], a)
	}
	r.Attrs(func(a slog.Attr) bool {
		c.add(h.prefix, a)
		return true
	})
	category := c.category
	if category == "" {
		category = s.category
	}
	h.trail.emit(ctx, s, &rec, category, c.attrs)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.with = append(slices.Clip(n.with), attrs...)
	n.groups = slices.Clip(n.groups)
	for range attrs {
		n.groups = append(n.groups, h.prefix)
	}
	return &n
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.prefix += name + "."
	return &n
}
