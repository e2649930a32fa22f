package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// drainTimeout is how long the journal may take to become empty. It is generous: the machine may be busy.
const drainTimeout = 2 * time.Minute

// drain waits until the journal is empty.
func (r *Runner) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		left, err := journalLeft(r.journalDir, r.emptySegment)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			// A start in a read-only folder leaves files with nothing in them but what was never acknowledged.
			if n, err := r.journalRecords(context.WithoutCancel(ctx)); err != nil || n > 0 {
				return errors.Join(err, fmt.Errorf("the journal does not become empty: %v have %d records", left, n))
			}
			return nil
		}
	}
}

// journalRecords opens a copy of the journal and returns how many records it would deliver.
func (r *Runner) journalRecords(ctx context.Context) (int, error) {
	dir, err := os.MkdirTemp(r.set.Dir, "journal-*")
	if err != nil {
		return 0, fmt.Errorf("copy journal: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(r.journalDir)); err != nil {
		return 0, fmt.Errorf("copy journal: %w", err)
	}
	j, err := journal.Open(ctx, journal.Settings{Dir: filepath.Join(dir, "copy")})
	if err != nil {
		return 0, fmt.Errorf("open copy of journal: %w", err)
	}
	return j.Recovery().Records, j.Close(ctx)
}

// segmentSize waits for the segment that a collector makes before it gets anything, and returns its size. Every segment
// without records is as large.
func segmentSize(ctx context.Context, dir string) (int64, error) {
	for {
		files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
		if err != nil {
			return 0, fmt.Errorf("list journal: %w", err)
		}
		if len(files) > 0 {
			if fi, err := os.Stat(files[0]); err == nil && fi.Size() > 0 {
				return fi.Size(), nil
			}
		}
		if !pause(ctx, 20*time.Millisecond) {
			return 0, fmt.Errorf("wait for the journal: %w", context.Cause(ctx))
		}
	}
}

// journalLeft lists what a journal with nothing to do does not have: segments larger than an empty one, and notes of
// progress.
func journalLeft(dir string, empty int64) ([]string, error) {
	left, err := filepath.Glob(filepath.Join(dir, "*.progress"))
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	for _, s := range segments {
		if fi, err := os.Stat(s); err == nil && fi.Size() != empty {
			left = append(left, s)
		}
	}
	return left, nil
}

// journalAside lists what a journal put aside because it was rejected or unreadable.
func journalAside(dir string) ([]string, error) {
	var aside []string
	for _, folder := range []string{"deadletter", "damaged"} {
		files, err := filepath.Glob(filepath.Join(dir, folder, "*"))
		if err != nil {
			return nil, fmt.Errorf("list journal: %w", err)
		}
		aside = append(aside, files...)
	}
	return aside, nil
}
