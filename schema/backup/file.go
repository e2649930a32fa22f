package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// Prepare makes the folder of a new backup. One that holds anything is refused.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of backup: %w", err)
	}
	return mustBeEmpty(dir, "a backup needs a folder of its own: name another one")
}

// mustBeEmpty refuses a folder that holds anything; one that does not exist is empty.
func mustBeEmpty(dir, hint string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: %s", dir, hint)
	}
	return nil
}

// writeFile makes one durable file of a backup from what fill writes, with its checksum. Only the owner may read it.
func writeFile(dir, name string, fill func(io.Writer) error) (out File, err error) {
	fail := func(err error) (File, error) { return out, fmt.Errorf("write %s of backup: %w", name, err) }
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fail(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(err)
	}
	sum := &summer{hash: sha256.New()}
	err = fill(io.MultiWriter(f, sum))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fail(err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fail(err)
	}
	return File{Name: name, Bytes: sum.bytes, SHA256: sum.hex()}, nil
}

// compressed is writeFile through zstd.
func compressed(dir, name string, fill func(io.Writer) error) (File, error) {
	return writeFile(dir, name, func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		return errors.Join(fill(z), z.Close())
	})
}

// open reads a file that compressed wrote.
func (f File) open(dir string) (io.ReadCloser, error) {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return nil, fmt.Errorf("open file of backup: %w", err)
	}
	z, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open file of backup: %w", err), file.Close())
	}
	return &reader{Decoder: z, file: file}, nil
}

type reader struct {
	*zstd.Decoder
	file *os.File
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.Decoder.Close()
	return r.file.Close()
}

func (f File) check(dir string) error {
	if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
		return fmt.Errorf("the manifest names %q, which is not within the backup", f.Name)
	}
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Name)))
	if err != nil {
		return fmt.Errorf("check backup: %w", err)
	}
	defer file.Close()
	sum := &summer{hash: sha256.New()}
	if _, err := io.Copy(sum, file); err != nil {
		return fmt.Errorf("check %s of backup: %w", f.Name, err)
	}
	if sum.bytes != f.Bytes || sum.hex() != f.SHA256 {
		return fmt.Errorf("%s of the backup is damaged: it has %d bytes with SHA-256 %s, and had %d with %s: use another backup", f.Name, sum.bytes, sum.hex(), f.Bytes, f.SHA256)
	}
	return nil
}

// summer counts and hashes what is written to it.
type summer struct {
	hash  hash.Hash
	bytes int64
}

// Write implements [io.Writer].
func (s *summer) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return s.hash.Write(p)
}

func (s *summer) hex() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
