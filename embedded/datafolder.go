package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// folderFormat is the version of the layout of the data folder. It rises when an older program could not work with
// what a newer one leaves behind.
const folderFormat = 1

const markerName = "agenttrail.json"

type marker struct {
	Product string `json:"product"`
	Format  int    `json:"format"`
}

// dataFolder is a data folder whose lock this process holds.
type dataFolder struct {
	path string // absolute, without symbolic links
	lock *os.File
}

// openDataFolder makes the folder when needed and takes its lock.
func openDataFolder(dir string) (*dataFolder, error) {
	if dir == "" {
		return nil, errors.New("open data folder: no folder given; name one with --data")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open data folder: %w; choose a folder you can write to with --data", err)
	}
	path, err := filepath.EvalSymlinks(dir)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("open data folder: %s belongs to user %d and this is user %d; run as that user, or choose another folder with --data", path, st.Uid, os.Geteuid())
	}
	if err := checkStranger(path); err != nil {
		return nil, err
	}
	f := &dataFolder{path: path}
	if err := f.takeLock(); err != nil {
		return nil, err
	}
	if err := f.readMarker(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	for _, sub := range []string{"clickhouse", "logs", "run"} {
		if err := os.Mkdir(filepath.Join(path, sub), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, errors.Join(fmt.Errorf("open data folder: %w", err), f.close())
		}
	}
	return f, nil
}

// checkStranger refuses a folder full of somebody else's files, such as a home folder given by mistake.
func checkStranger(path string) error {
	if _, err := os.Stat(filepath.Join(path, markerName)); err == nil {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "lock", markerName + ".tmp", "lost+found", ".DS_Store":
		default:
			return fmt.Errorf("open data folder: %s holds other files (such as %s) and no %s; choose an empty folder with --data", path, e.Name(), markerName)
		}
	}
	return nil
}

func (f *dataFolder) takeLock() error {
	name := filepath.Join(f.path, "lock")
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock data folder: %w", err)
	}
	// A holder that was killed a moment ago may still be on its way out.
	for tries := 50; ; tries-- {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if tries == 0 || !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock data folder %s: %w; it must be on a file system with locks", f.path, err)
		}
		holder := "another process"
		if raw, err := os.ReadFile(name); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
				holder = "process " + strconv.Itoa(pid)
			}
		}
		return fmt.Errorf("lock data folder: %s is in use by %s; stop it, or choose another folder with --data", f.path, holder)
	}
	if err := file.Truncate(0); err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			return errors.Join(fmt.Errorf("lock data folder: %w", err), file.Close())
		}
	}
	f.lock = file
	return nil
}

func (f *dataFolder) readMarker() error {
	name := filepath.Join(f.path, markerName)
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		raw, err := json.Marshal(marker{Product: "agenttrail", Format: folderFormat})
		if err != nil {
			return fmt.Errorf("mark data folder: %w", err)
		}
		if err := writeSecret(name+".tmp", string(raw)+"\n"); err != nil {
			return fmt.Errorf("mark data folder: %w", err)
		}
		return os.Rename(name+".tmp", name)
	}
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	var m marker
	if err := json.Unmarshal(raw, &m); err != nil || m.Product != "agenttrail" {
		return fmt.Errorf("open data folder: %s does not mark a data folder of agenttrail; choose another folder with --data", name)
	}
	if m.Format > folderFormat {
		return fmt.Errorf("open data folder: %s was written by a newer agenttrail (format %d, this one knows %d); use the newer one", f.path, m.Format, folderFormat)
	}
	return nil
}

// close gives the lock free. The file stays: removing it would let two processes lock two different files.
func (f *dataFolder) close() error {
	if f == nil || f.lock == nil {
		return nil
	}
	err := errors.Join(f.lock.Truncate(0), f.lock.Close())
	f.lock = nil
	if err != nil {
		return fmt.Errorf("unlock data folder: %w", err)
	}
	return nil
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
