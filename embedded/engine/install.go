package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stagePrefix begins the name of the folder that an installation fills.
const stagePrefix = ".stage-"

// brokeOff finds the errors of a connection that broke while something came, which npm itself does not try again. What has
// come whole is in its cache.
var brokeOff = regexp.MustCompile(`npm (error|ERR!) code (ECONNRESET|ETIMEDOUT|EPIPE|EINTEGRITY|ERR_SOCKET_TIMEOUT|ERR_STREAM_PREMATURE_CLOSE)\b`)

const npmTries = 4

// Installed says where the engines are.
type Installed struct {
	Dir             string `json:"dir"`
	Platform        string `json:"platform"`
	ClickHouse      string `json:"clickhouse"`
	Postgres        string `json:"postgres"`
	PostgresVersion string `json:"postgresVersion"`
	PostgresSystem  bool   `json:"postgresSystem"`
}

// Check returns where the engines are, or an error that says how to install the missing ones.
func (f Finder) Check() (Installed, error) {
	lib, chErr := f.ClickHouse()
	pg, pgErr := f.Postgres(0)
	p := f.Platform
	if p == (Platform{}) {
		p = HostPlatform()
	}
	return Installed{
		Dir: f.Dir, Platform: p.String(), ClickHouse: lib,
		Postgres: pg.Dir, PostgresVersion: pg.Version, PostgresSystem: pg.System,
	}, errors.Join(chErr, pgErr)
}

// Install installs the pinned engines for this process's user, as FromEnv finds them.
func Install(ctx context.Context, progress io.Writer) (Installed, error) {
	f, err := FromEnv()
	if err != nil {
		return Installed{}, err
	}
	return f.Install(ctx, progress)
}

// Install downloads the pinned engines into Dir with npm, unless they are there already. Two installers of one Dir
// take turns. Files appear in their place only when all of them are whole, so an interrupted run leaves nothing
// half done. What happens is told to progress, which may be nil.
func (f Finder) Install(ctx context.Context, progress io.Writer) (Installed, error) {
	if progress == nil {
		progress = io.Discard
	}
	p, err := f.platform()
	if err != nil {
		return Installed{}, fmt.Errorf("install engines: %w; or use servers of your own with AGENTTRAIL_CLICKHOUSE_URL and AGENTTRAIL_POSTGRES_URL", err)
	}
	if err := os.MkdirAll(f.Dir, 0o755); err != nil { //nolint:gosec // Programs, readable for every account that may run them.
		return Installed{}, fmt.Errorf("install engines: %w; set %s to a folder you can write to", err, EnvDir)
	}
	unlock, err := lockFile(ctx, filepath.Join(f.Dir, ".install.lock"), func() {
		fmt.Fprintln(progress, "Another installation is running; waiting for it.")
	})
	if err != nil {
		return Installed{}, fmt.Errorf("install engines: %w", err)
	}
	defer unlock()

	if in, err := f.Check(); err == nil && !in.PostgresSystem { //nolint:contextcheck // Asks the program for its version, for seconds at most.
		fmt.Fprintln(progress, "Engines are installed in", f.Dir)
		return in, nil
	}
	m, err := manifestFor(p)
	if err != nil {
		return Installed{}, err
	}
	// The lock is ours, so whatever earlier installers left is of no use to anybody.
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return Installed{}, fmt.Errorf("install engines: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), stagePrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(f.Dir, e.Name())); err != nil {
			return Installed{}, fmt.Errorf("remove remains of an installation: %w", err)
		}
	}
	stage, err := os.MkdirTemp(f.Dir, stagePrefix)
	if err != nil {
		return Installed{}, fmt.Errorf("install engines: %w", err)
	}
	defer os.RemoveAll(stage)
	fmt.Fprintf(progress, "Installing %s for %s into %s (a download of about 190 MB).\n", m.describe(), p, f.Dir)
	start := time.Now()
	if err := f.fill(ctx, stage, m, progress); err != nil {
		return Installed{}, err
	}
	if err := swapIn(stage, f.Dir); err != nil {
		return Installed{}, err
	}
	in, err := f.Check() //nolint:contextcheck // Asks the program for its version, for seconds at most.
	if err == nil {
		fmt.Fprintf(progress, "Installed in %s.\n", time.Since(start).Round(time.Second))
	}
	return in, err
}

// fill downloads into the stage folder and checks what came.
func (f Finder) fill(ctx context.Context, stage string, m manifest, progress io.Writer) error {
	if err := m.write(stage); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := f.npmCI(ctx, stage, progress)
		if err == nil {
			break
		}
		if try == npmTries || ctx.Err() != nil || !brokeOff.MatchString(err.Error()) {
			return err
		}
		fmt.Fprintln(progress, "The download broke off; trying again.")
	}
	staged := f
	staged.Dir = stage
	staged.Path, staged.SystemPostgres = string(filepath.ListSeparator), []string{}
	if _, err := staged.Check(); err != nil { //nolint:contextcheck // Asks the program for its version, for seconds at most.
		return fmt.Errorf("check downloaded engines: %w", err)
	}
	return nil
}

// npmCI runs `npm ci` in dir. Install scripts stay off: the one that there is makes links, which we do ourselves.
func (f Finder) npmCI(ctx context.Context, dir string, progress io.Writer) error {
	npm, err := f.lookNPM()
	if err != nil {
		return fmt.Errorf("install engines: npm is not on PATH; install Node.js 20 or newer, which brings npm, and run the command again (%w)", err)
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_UPDATE_NOTIFIER=1", "npm_config_update_notifier=false")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = npmAttr()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second

	done := make(chan error, 1)
	go func() {
		// The signal on the parent's death follows the thread that started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if n := treeSize(dir); n > 0 {
				fmt.Fprintf(progress, "  %d MB unpacked\n", n>>20)
			}
		case err := <-done:
			if ctx.Err() != nil {
				return fmt.Errorf("install engines: %w", ctx.Err())
			}
			if err != nil {
				return fmt.Errorf("install engines: npm ci: %w\n%s\nIf this machine has no network or npm needs another registry or proxy, set that up (npm config set registry or proxy) and run the command again; "+
					"or copy the folder %s from a machine of the same kind", err, indent(out.String()), f.Dir)
			}
			return nil
		}
	}
}

func (f Finder) lookNPM() (string, error) {
	if f.Path == "" {
		return exec.LookPath("npm")
	}
	for _, dir := range filepath.SplitList(f.Path) {
		if npm, err := exec.LookPath(filepath.Join(dir, "npm")); err == nil {
			return npm, nil
		}
	}
	return "", exec.ErrNotFound
}

// swapIn moves the packages of the stage folder to their place, which a single rename fills.
func swapIn(stage, dir string) error {
	place := filepath.Join(dir, "node_modules")
	old := filepath.Join(stage, "replaced")
	if err := os.Rename(place, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace engines: %w", err)
	}
	if err := os.Rename(filepath.Join(stage, "node_modules"), place); err != nil {
		return fmt.Errorf("replace engines: %w", errors.Join(err, os.Rename(old, place)))
	}
	// A later look at the folder should say what it holds.
	for _, name := range []string{"package.json", "package-lock.json"} {
		if err := os.Rename(filepath.Join(stage, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("replace engines: %w", err)
		}
	}
	return nil
}

// lockFile takes an exclusive lock on path, calling waiting once if somebody else has it.
func lockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	told := false
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !told {
			told = true
			waiting()
		}
		// A blocking flock could not be ended by ctx.
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// treeSize returns the bytes in the files below dir; files that come and go meanwhile count as nothing.
func treeSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if fi, err := d.Info(); err == nil {
				n += fi.Size()
			}
		}
		return nil
	})
	return n
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ")
}
