// Package engine finds and installs the database engines that agenttrail runs as child processes: the ClickHouse
// library and the Postgres binaries. The versions are pinned in deploy/embedded.
package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	engines "github.com/agenttrail/agenttrail/deploy/embedded"
)

// EnvDir names the environment variable that replaces the per-user cache as the place where engines are.
const EnvDir = "AGENTTRAIL_ENGINES"

// ErrNotInstalled is wrapped by errors that an installation of the engines would cure.
var ErrNotInstalled = errors.New("engine not installed")

// howToInstall ends every error that an installation would cure.
const howToInstall = `run "agenttrail engines" (in a checkout: "make engines") to install it`

// Finder looks for engines. The zero value of every field but Dir is usable.
type Finder struct {
	// Dir holds the node_modules folder with the engines.
	Dir string
	// Platform is what the engines must be made for; empty fields mean this machine.
	Platform Platform
	// Path is the list of folders, separated as in PATH, where pg_ctl is looked for; empty means PATH itself.
	Path string
	// SystemPostgres are patterns (see [filepath.Glob]) of folders that may hold Postgres binaries; nil means the
	// usual ones of this platform.
	SystemPostgres []string
}

// ClickHouse returns the path of the ClickHouse library for this machine, in the folder that AGENTTRAIL_ENGINES
// names or else in the per-user cache.
func ClickHouse() (string, error) {
	f, err := FromEnv()
	if err != nil {
		return "", err
	}
	return f.ClickHouse()
}

// Postgres returns the folder of the Postgres binaries for this machine. It looks where ClickHouse looks, then at
// pg_ctl on PATH and in the usual folders of the system's packages.
func Postgres() (string, error) {
	f, err := FromEnv()
	if err != nil {
		return "", err
	}
	b, err := f.Postgres(0)
	return b.Dir, err
}

// FromEnv returns the Finder of this process: Dir is what AGENTTRAIL_ENGINES says, else CacheDir.
func FromEnv() (Finder, error) {
	if dir := os.Getenv(EnvDir); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return Finder{}, fmt.Errorf("read %s: %w", EnvDir, err)
		}
		return Finder{Dir: abs}, nil
	}
	dir, err := CacheDir()
	return Finder{Dir: dir}, err
}

// CacheDir returns the folder of the current user's cache that belongs to the pinned versions. It need not exist.
func CacheDir() (string, error) {
	base, err := userCache()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "agenttrail", "engines", LockID()), nil
}

// LockID is a short hash of the lock file: another set of versions has another one.
func LockID() string {
	sum := sha256.Sum256(engines.PackageLock)
	return hex.EncodeToString(sum[:6])
}

func userCache() (string, error) {
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache"), nil
	}
	// Services often run without HOME.
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		if fi, err := os.Stat(u.HomeDir); err == nil && fi.IsDir() && ownedBy(fi, os.Getuid()) {
			return filepath.Join(u.HomeDir, ".cache"), nil
		}
	}
	// A shared temp folder: only a folder of our own that nobody else can write to may hold programs we run.
	dir := filepath.Join(os.TempDir(), "agenttrail-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("choose engine folder: no home folder: %w; set %s to a folder for the engines", err, EnvDir)
	}
	fi, err := os.Lstat(dir)
	if err != nil || !fi.IsDir() || !ownedBy(fi, os.Getuid()) || fi.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("choose engine folder: no home folder, and %s belongs to somebody else or is open to all; set %s to a folder for the engines", dir, EnvDir)
	}
	return dir, nil
}

func ownedBy(fi os.FileInfo, uid int) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}

// ClickHouse returns the path of the ClickHouse library below Dir, after a check that it is whole and made for this
// platform.
func (f Finder) ClickHouse() (string, error) {
	p, err := f.platform()
	if err != nil {
		return "", fmt.Errorf("find ClickHouse: %w; or set AGENTTRAIL_CLICKHOUSE_URL to a ClickHouse server", err)
	}
	dir := filepath.Join(f.Dir, "node_modules", filepath.FromSlash(p.clickHousePackage()))
	for _, name := range []string{"libchdb.so", "libchdb.dylib"} {
		lib := filepath.Join(dir, name)
		if _, err := os.Stat(lib); err != nil {
			continue
		}
		if err := checkBinary(lib, p, minLibrarySize); err != nil {
			return "", fmt.Errorf("find ClickHouse: %w; remove %s, then %s", err, lib, f.fix())
		}
		return lib, nil
	}
	return "", fmt.Errorf("find ClickHouse: %w: nothing at %s; %s", ErrNotInstalled, filepath.Join(dir, "libchdb.so"), f.fix())
}

// fix says how to install, with the folder where it is not the default one.
func (f Finder) fix() string {
	if dir, err := CacheDir(); err == nil && dir == f.Dir {
		return howToInstall
	}
	return fmt.Sprintf(`run "%s=%s agenttrail engines" (in a checkout: "make engines") to install it there`, EnvDir, f.Dir)
}

func (f Finder) platform() (Platform, error) {
	if f.Platform != (Platform{}) {
		return f.Platform, f.Platform.supported()
	}
	p := HostPlatform()
	return p, p.supported()
}
