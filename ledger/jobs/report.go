package jobs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// reporter logs what has failed.
type reporter struct{ logger *slog.Logger }

// HandleError implements [river.ErrorHandler].
func (r *reporter) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if !interrupted(ctx, err) {
		r.logger.LogAttrs(ctx, slog.LevelError, "job failed; it is tried again", slog.String("job", nameOf(job)), slog.Int("attempt", job.Attempt), slog.Any("error", err))
	}
	return nil
}

// HandlePanic implements [river.ErrorHandler].
func (r *reporter) HandlePanic(ctx context.Context, job *rivertype.JobRow, panicked any, trace string) *river.ErrorHandlerResult {
	r.logger.LogAttrs(ctx, slog.LevelError, "job panicked; it is tried again", slog.String("job", nameOf(job)), slog.String("error", fmt.Sprint(panicked)), slog.String("stack", trace))
	return nil
}

// quiet passes on what the queue itself has to say from warnings on; what jobs did is counted, not logged.
type quiet struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// WithAttrs implements [slog.Handler].
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements [slog.Handler].
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
