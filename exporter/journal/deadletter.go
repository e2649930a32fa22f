package journal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	nativeSuffix = ".native"
	jsonSuffix   = ".json"
)

// DeadLetter is a block of rows that the database rejects for its content.
type DeadLetter struct {
	Table   string    `json:"table"`
	Token   string    `json:"token"` // The deduplication token it was sent with.
	Rows    int       `json:"rows"`
	Reason  string    `json:"reason"`  // In one word.
	Code    int       `json:"code"`    // The database's own; 0 if it has none.
	Message string    `json:"message"` // The database's own.
	Created time.Time `json:"created"` // (now)
	Native  []byte    `json:"-"`       // A plain block in the format Native.
}

// DeadLetterEntry is a dead letter in its folder, without its block.
type DeadLetterEntry struct {
	Name string // For ReadDeadLetter and RemoveDeadLetter.
	DeadLetter
	Bytes int64 // Of the block.
	Err   error // Why it cannot be read.
}

// deadLetterFile is the JSON file. The checksums are CRC32C in hexadecimal.
type deadLetterFile struct {
	DeadLetter json.RawMessage `json:"deadLetter"`
	CRC        string          `json:"crc32c"` // Of deadLetter as it stands there.
	Bytes      int64           `json:"bytes"`
	NativeCRC  string          `json:"nativeCRC32C"`
}

// DeadLetter makes a dead letter durable. One with the same token takes the place of the older one.
func (j *Journal) DeadLetter(_ context.Context, d DeadLetter) error {
	if j.isClosed() {
		return errClosed
	}
	if d.Created.IsZero() {
		d.Created = j.now()
	}
	d.Created = d.Created.UTC().Round(0)
	dir := filepath.Join(j.dir, deadLetterDir)
	name := filepath.Join(dir, deadLetterName(d.Token))
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	text, err := json.Marshal(deadLetterFile{
		DeadLetter: body, CRC: crcText(body), Bytes: int64(len(d.Native)), NativeCRC: crcText(d.Native),
	})
	if err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	err = j.withReserve(func() error {
		if err := j.fs.MkdirAll(dir); err != nil {
			return err
		}
		if err := replaceFile(j.fs, dir, name+nativeSuffix, d.Native); err != nil {
			return err
		}
		return replaceFile(j.fs, dir, name+jsonSuffix, append(text, '\n'))
	})
	if err != nil {
		return fault("write dead letter", err)
	}
	return nil
}

// deadLetterName makes a file name of a token.
func deadLetterName(token string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		case r == '/':
			return '-'
		}
		return '_'
	}, token)
}

func crcText(b []byte) string { return fmt.Sprintf("%08x", crcOf(b)) }

// ListDeadLetters returns the dead letters in a journal's folder, oldest first. The journal may be open.
func ListDeadLetters(dir string) ([]DeadLetterEntry, error) {
	dir = filepath.Join(dir, deadLetterDir)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	var list []DeadLetterEntry
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), jsonSuffix)
		if !ok {
			continue
		}
		e := DeadLetterEntry{Name: name}
		e.DeadLetter, e.Err = readDeadLetter(dir, name)
		e.Bytes, e.Native = int64(len(e.Native)), nil
		list = append(list, e)
	}
	slices.SortStableFunc(list, func(a, b DeadLetterEntry) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// CountDeadLetters returns how many dead letters are in a journal's folder, without reading them.
func CountDeadLetters(dir string) (int, error) {
	files, err := os.ReadDir(filepath.Join(dir, deadLetterDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	n := 0
	for _, f := range files {
		if strings.HasSuffix(f.Name(), jsonSuffix) {
			n++
		}
	}
	return n, nil
}

// ReadDeadLetter returns one with its block.
func ReadDeadLetter(dir, name string) (DeadLetter, error) {
	if filepath.Base(name) != name {
		return DeadLetter{}, fmt.Errorf("read dead letter: %q is no name of one", name)
	}
	return readDeadLetter(filepath.Join(dir, deadLetterDir), name)
}

func readDeadLetter(dir, name string) (d DeadLetter, err error) {
	text, err := os.ReadFile(filepath.Join(dir, name+jsonSuffix))
	if err != nil {
		return d, fmt.Errorf("read dead letter: %w", err)
	}
	damage := func(suffix, reason string) error {
		return fmt.Errorf("read dead letter: %s: %s: check the disk", filepath.Join(dir, name+suffix), reason)
	}
	var file deadLetterFile
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&file); err != nil || crcText(file.DeadLetter) != file.CRC {
		return d, damage(jsonSuffix, "it is damaged")
	}
	if err := json.Unmarshal(file.DeadLetter, &d); err != nil {
		return d, damage(jsonSuffix, "it is not readable: "+err.Error())
	}
	native, err := os.ReadFile(filepath.Join(dir, name+nativeSuffix))
	if err != nil {
		return d, fmt.Errorf("read dead letter: %w", err)
	}
	if int64(len(native)) != file.Bytes || crcText(native) != file.NativeCRC {
		return d, damage(nativeSuffix, "it is damaged, or not of this dead letter")
	}
	d.Native = native
	return d, nil
}

// RemoveDeadLetter removes one for good.
func RemoveDeadLetter(dir, name string) error {
	if filepath.Base(name) != name {
		return fmt.Errorf("remove dead letter: %q is no name of one", name)
	}
	dir = filepath.Join(dir, deadLetterDir)
	if err := os.Remove(filepath.Join(dir, name+jsonSuffix)); err != nil {
		return fmt.Errorf("remove dead letter: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, name+nativeSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove dead letter: %w", err)
	}
	if err := (OS{}).SyncDir(dir); err != nil {
		return fmt.Errorf("remove dead letter: %w", err)
	}
	return nil
}
