package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// journalLock is the file that a collector at work holds a lock on, and journalReserve keeps room on the disk. Neither has
// anything to keep.
const (
	journalLock    = "LOCK"
	journalReserve = "reserve"
)

// copyJournal copies the folder of a journal. Its lock must be held.
func copyJournal(dir, source string, number int) (Journal, error) {
	j := Journal{Source: source}
	err := filepath.WalkDir(source, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == journalLock || e.Name() == journalReserve {
			return err
		}
		within, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		copied, err := writeFile(dir, path.Join(journalName(number), filepath.ToSlash(within)), func(w io.Writer) error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			_, err = io.Copy(w, f)
			return errors.Join(err, f.Close())
		})
		j.Files = append(j.Files, copied)
		return err
	})
	if err != nil {
		return j, fmt.Errorf("copy journal %s: %w", source, err)
	}
	return j, nil
}

func journalName(number int) string { return fmt.Sprintf("journal/%d", number) }

// CheckJournalFolder refuses a folder for a journal that holds anything; it need not be there.
func CheckJournalFolder(target string) error {
	return mustBeEmpty(target, "the files of two journals must never come together: name an empty folder, or move this one away")
}

// RestoreJournal puts the journal of that number, from 0, into a folder that is empty or not there.
func (m *Manifest) RestoreJournal(dir string, number int, target string) error {
	if err := CheckJournalFolder(target); err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return fmt.Errorf("make folder of journal: %w", err)
	}
	for _, f := range m.Journals[number].Files {
		within, err := filepath.Rel(filepath.FromSlash(journalName(number)), filepath.FromSlash(f.Name))
		if err != nil || !filepath.IsLocal(within) {
			return fmt.Errorf("the manifest names %q, which is not within the journal", f.Name)
		}
		if _, err := writeFile(target, filepath.ToSlash(within), func(w io.Writer) error {
			file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Name)))
			if err != nil {
				return err
			}
			_, err = io.Copy(w, file)
			return errors.Join(err, file.Close())
		}); err != nil {
			return fmt.Errorf("restore journal: %w", err)
		}
	}
	return nil
}
