package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	maxLogSize = 8 << 20 // bytes above which a log is put aside at the next start of its child
	keptLogs   = 3       // how many are kept aside
	tailSize   = 3 << 10 // bytes of a log that an error shows
)

// openLog opens the log of a child for appending and returns where the new part begins.
func openLog(path string) (*os.File, int64, error) {
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxLogSize {
		for i := keptLogs; i > 0; i-- {
			from := path
			if i > 1 {
				from += "." + strconv.Itoa(i-1)
			}
			if err := os.Rename(from, path+"."+strconv.Itoa(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, 0, fmt.Errorf("put log aside: %w", err)
			}
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open log: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open log: %w", err), f.Close())
	}
	return f, fi.Size(), nil
}

// logTail returns the last lines that were written after offset from.
func logTail(path string, from int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return ""
	}
	cut := fi.Size()-from > tailSize
	if cut {
		from = fi.Size() - tailSize
	}
	raw, err := io.ReadAll(io.NewSectionReader(f, from, tailSize))
	if err != nil {
		return ""
	}
	text := strings.ToValidUTF8(string(raw), "?")
	if cut {
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = rest
		}
	}
	return strings.TrimSpace(text)
}

// withTail adds the end of a log to an error for an operator.
func withTail(err error, path string, from int64) error {
	tail := logTail(path, from)
	if tail == "" {
		return fmt.Errorf("%w; its log %s says nothing", err, path)
	}
	name := filepath.Base(path)
	return fmt.Errorf("%w\nend of %s:\n    %s", err, name, strings.ReplaceAll(tail, "\n", "\n    "))
}
