package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/agenttrail/agenttrail/schema"
)

const (
	manifestName = "manifest.json"
	// formatVersion counts changes of the folder that an older release cannot read.
	formatVersion = 1
)

// Manifest says what a backup holds.
type Manifest struct {
	Format     int         `json:"format"`
	CreatedAt  time.Time   `json:"createdAt"`
	Version    string      `json:"version"` // Of the program that made it.
	Postgres   *Postgres   `json:"postgres,omitempty"`
	ClickHouse *ClickHouse `json:"clickHouse,omitempty"`
	Journals   []Journal   `json:"journals,omitempty"`
}

// File is one file of a backup.
type File struct {
	Name   string `json:"name"` // Below the folder of the backup, with slashes.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// ClickHouse is what a backup holds of ClickHouse.
type ClickHouse struct {
	Server     string            `json:"server"` // Version.
	Migrations map[uint32]string `json:"migrations"`
	Tables     []Table           `json:"tables"`
}

// Table is one table of ClickHouse.
type Table struct {
	Name       string      `json:"name"`
	Columns    []string    `json:"columns"`
	Partitions []Partition `json:"partitions"`
}

// Rows is how many rows the table has.
func (t Table) Rows() (n int64) {
	for _, p := range t.Partitions {
		n += p.Rows
	}
	return n
}

// Partition is one partition of a table, as a block stream in the format Native, compressed with zstd.
type Partition struct {
	ID   string `json:"id"`
	Rows int64  `json:"rows"`
	File File   `json:"file"`
}

// Postgres is what a backup holds of Postgres.
type Postgres struct {
	Server     string                 `json:"server"` // Version.
	Schema     schema.PostgresVersion `json:"schema"`
	Tables     []Relation             `json:"tables"`
	Sequences  []Sequence             `json:"sequences"`
	Partitions []Month                `json:"partitions"`
}

// Relation is one table of Postgres, as the text of COPY, compressed with zstd.
type Relation struct {
	Schema  string   `json:"schema"`
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	File    File     `json:"file"`
}

// Sequence is where a sequence of Postgres stands; Last is nil for one that was never used.
type Sequence struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Last   *int64 `json:"last"`
}

// Month is one table of a trail that is kept in a table for each month.
type Month struct {
	Parent string `json:"parent"`
	Name   string `json:"name"`
	Bound  string `json:"bound"` // FOR VALUES FROM … TO ….
}

// Journal is the folder of one collector: rows that were acknowledged and not stored, requests that are remembered, and
// dead letters.
type Journal struct {
	Source string `json:"source"` // Where it was.
	Files  []File `json:"files"`
}

// Read reads the manifest of a backup.
func Read(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no complete backup: it has no %s, which is written last", dir, manifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read %s of backup: %w", manifestName, err)
	}
	if m.Format != formatVersion {
		return nil, fmt.Errorf("the backup has format %d, this release knows %d: use the release that made it (%s) or a later one", m.Format, formatVersion, m.Version)
	}
	return &m, nil
}

// Check reads every file of a backup and names those that are missing or are not as they were written.
func (m *Manifest) Check(ctx context.Context, dir string) error {
	var errs []error
	for _, f := range m.files() {
		if ctx.Err() != nil {
			return fmt.Errorf("check backup: %w", context.Cause(ctx))
		}
		if err := f.check(dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (m *Manifest) files() (files []File) {
	if m.ClickHouse != nil {
		for _, t := range m.ClickHouse.Tables {
			for _, p := range t.Partitions {
				files = append(files, p.File)
			}
		}
	}
	if m.Postgres != nil {
		for _, t := range m.Postgres.Tables {
			files = append(files, t.File)
		}
	}
	for _, j := range m.Journals {
		files = append(files, j.Files...)
	}
	return files
}

// write makes the manifest durable, in one step.
func (m *Manifest) write(dir string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return fmt.Errorf("write manifest of backup: %w", err)
	}
	f, err := os.CreateTemp(dir, manifestName+".*")
	if err != nil {
		return fmt.Errorf("write manifest of backup: %w", err)
	}
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, manifestName))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write manifest of backup: %w", err)
	}
	return nil
}
