package chserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The engine keeps in a text file per table which blocks it has stored, as lines of operation, part and block id. It
// writes the line first and then gives the part its name. When it is killed in between, the line speaks of a part that
// is not there, and the retry of that INSERT, with the same deduplication token, would be taken for stored: its rows
// would be lost. Both steps are taken under one lock of the table, so only the last line of a table can be such a one.

const (
	deduplicationFolder = "deduplication_logs"
	deduplicationFile   = "deduplication_log_"
	deduplicationAdd    = "1" // the operation of a line that says that a block was stored
)

// repairDeduplication takes back what the engine has noted and not done, in all tables below path, before the engine
// opens them. It returns the parts that were missing.
func repairDeduplication(path string) ([]string, error) {
	status, err := os.OpenFile(filepath.Join(path, "status"), os.O_RDWR|os.O_CREATE, 0o640) //nolint:gosec // as the engine makes it
	if err != nil {
		return nil, fmt.Errorf("repair deduplication: %w", err)
	}
	defer status.Close()
	// The engine's own lock: with another one at work, a missing part may just be coming. Opening the data fails then.
	if err := unix.Flock(int(status.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, nil
	}
	folders, err := filepath.Glob(filepath.Join(path, "store", "*", "*", deduplicationFolder))
	if err != nil {
		return nil, fmt.Errorf("repair deduplication: %w", err)
	}
	var missing []string
	for _, folder := range folders {
		part, err := repairTable(folder)
		if err != nil {
			return missing, fmt.Errorf("repair deduplication of the table in %s: %w", filepath.Dir(folder), err)
		}
		if part != "" {
			missing = append(missing, filepath.Join(filepath.Dir(folder), part))
		}
	}
	return missing, nil
}

// repairTable cuts the last line of a table's log off if it is incomplete or its part is not there, and returns that part.
func repairTable(folder string) (string, error) {
	files, err := deduplicationFiles(folder)
	if err != nil {
		return "", err
	}
	for _, file := range files { // the newest may be empty: the last line is then in the one before
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		whole := bytes.LastIndexByte(text, '\n') + 1
		if whole < len(text) {
			if err := cut(file, int64(whole)); err != nil {
				return "", err
			}
		}
		if whole == 0 {
			continue
		}
		start := bytes.LastIndexByte(text[:whole-1], '\n') + 1
		operation, rest, _ := strings.Cut(string(text[start:whole-1]), "\t")
		part, _, _ := strings.Cut(rest, "\t")
		if operation != deduplicationAdd {
			return "", nil
		}
		there, err := covered(filepath.Dir(folder), part)
		if err != nil || there {
			return "", err
		}
		return part, cut(file, int64(start))
	}
	return "", nil
}

// deduplicationFiles lists the files of a log, newest first.
func deduplicationFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		text := strings.TrimSuffix(strings.TrimPrefix(e.Name(), deduplicationFile), ".txt")
		if n, err := strconv.Atoi(text); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	files := make([]string, 0, len(numbers))
	for _, n := range slices.Backward(numbers) {
		files = append(files, filepath.Join(folder, deduplicationFile+strconv.Itoa(n)+".txt"))
	}
	return files, nil
}

// covered tells whether a table has a part, or one that it was merged into.
func covered(table, part string) (bool, error) {
	want, ok := parsePart(part)
	if !ok {
		return true, nil // Not a name that we know: leave it alone.
	}
	entries, err := os.ReadDir(table)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		has, ok := parsePart(e.Name())
		return ok && has.partition == want.partition && has.first <= want.first && has.last >= want.last
	}), nil
}

// partRange are the blocks that a part holds.
type partRange struct {
	partition   string
	first, last int64
}

// parsePart reads the name of a part: partition, first block, last block, level and, after a mutation, its version.
// Names of parts in the making, such as tmp_insert_…, are none.
func parsePart(name string) (partRange, bool) {
	fields := strings.Split(name, "_")
	if len(fields) != 4 && len(fields) != 5 {
		return partRange{}, false
	}
	var numbers [4]int64
	for i, field := range fields[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return partRange{}, false
		}
		numbers[i] = n
	}
	return partRange{fields[0], numbers[0], numbers[1]}, true
}

// cut makes a file end at size, durably.
func cut(file string, size int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
