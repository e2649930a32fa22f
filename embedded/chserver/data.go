package chserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// prepareData makes sure that the database "default" is an Atomic one, as on a server. Left alone the embedded engine makes it
// an overlay over the files of the working directory, which lacks half of the statements for tables. So the server writes
// the metadata file that CREATE DATABASE would have written, before the engine starts, and tells it to make no database of
// its own (see engineArgs).
func prepareData(path string) error {
	metadata := filepath.Join(path, "metadata")
	if err := os.MkdirAll(metadata, 0o750); err != nil {
		return fmt.Errorf("make ClickHouse data directory: %w; choose a directory that can be written to", err)
	}
	file := filepath.Join(metadata, "default.sql")
	if _, err := os.Stat(file); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read ClickHouse data directory: %w", err)
	}
	id := uuid.NewString()
	// Data that an engine has made without this file is linked here, under the database's id.
	if target, err := os.Readlink(filepath.Join(metadata, "default")); err == nil {
		if old, err := uuid.Parse(filepath.Base(filepath.Clean(target))); err == nil {
			id = old.String()
		}
	}
	text := "ATTACH DATABASE _ UUID '" + id + "'\nENGINE = Atomic\n"
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, []byte(text), 0o640); err != nil { //nolint:gosec // as the engine writes such files
		return fmt.Errorf("write ClickHouse data directory: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write ClickHouse data directory: %w", err)
	}
	return nil
}
