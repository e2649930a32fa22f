package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MinPostgres is the oldest major version of Postgres that the product works with.
const MinPostgres = 15

// PostgresBinaries is one installation of Postgres.
type PostgresBinaries struct {
	Dir     string // holds postgres and initdb
	Version string // such as 18.4
	Major   int    // such as 18
	System  bool   // not one of the pinned packages
}

// Postgres returns the Postgres binaries to use: the pinned package below Dir if it is there, else the newest of the
// system's own. A major other than 0 asks for exactly that major version, for a data folder made by it.
func (f Finder) Postgres(major int) (PostgresBinaries, error) {
	var tried []error
	p, err := f.platform()
	if err != nil {
		tried = append(tried, err)
		p = HostPlatform()
	} else if b, err := f.packagedPostgres(p); err != nil {
		if !errors.Is(err, ErrNotInstalled) {
			return PostgresBinaries{}, fmt.Errorf("find Postgres: %w", err)
		}
		tried = append(tried, err)
	} else if major == 0 || b.Major == major {
		return b, nil
	}

	var found []PostgresBinaries
	for _, dir := range f.systemDirs() {
		b, err := inspectPostgres(dir, p)
		if err != nil {
			tried = append(tried, err)
			continue
		}
		b.System = true
		if b.Major >= MinPostgres && (major == 0 || b.Major == major) {
			found = append(found, b)
		}
	}
	if len(found) > 0 {
		slices.SortStableFunc(found, func(a, b PostgresBinaries) int { return cmp.Compare(b.Major, a.Major) })
		return found[0], nil
	}
	if major != 0 {
		return PostgresBinaries{}, fmt.Errorf("find Postgres %d: %w; install the system's package for Postgres %d", major, ErrNotInstalled, major)
	}
	return PostgresBinaries{}, fmt.Errorf("find Postgres: %w: nothing at %s, and no Postgres %d or newer on PATH or in the system's folders; %s, or set AGENTTRAIL_POSTGRES_URL to a Postgres server",
		errors.Join(append([]error{ErrNotInstalled}, onlyWrong(tried)...)...), filepath.Join(f.Dir, "node_modules"), MinPostgres, f.fix())
}

// onlyWrong drops what merely is not there.
func onlyWrong(errs []error) []error {
	return slices.DeleteFunc(errs, func(err error) bool {
		return errors.Is(err, ErrNotInstalled) || errors.Is(err, os.ErrNotExist)
	})
}

func (f Finder) packagedPostgres(p Platform) (PostgresBinaries, error) {
	pkg := filepath.Join(f.Dir, "node_modules", filepath.FromSlash(p.postgresPackage()))
	if _, err := os.Stat(filepath.Join(pkg, "package.json")); err != nil {
		return PostgresBinaries{}, fmt.Errorf("%w: nothing at %s", ErrNotInstalled, pkg)
	}
	// npm may have been told to run no install scripts.
	if err := hydrateLinks(pkg); err != nil {
		return PostgresBinaries{}, fmt.Errorf("%w; %s", err, f.fix())
	}
	b, err := inspectPostgres(filepath.Join(pkg, "native", "bin"), p)
	if err != nil {
		return PostgresBinaries{}, fmt.Errorf("%w; remove %s, then %s", err, pkg, f.fix())
	}
	if _, err := os.Stat(filepath.Join(pkg, "native", "share", "postgresql", "postgres.bki")); err != nil {
		return PostgresBinaries{}, fmt.Errorf("check Postgres: %w; remove %s, then %s", err, pkg, f.fix())
	}
	return b, nil
}

// hydrateLinks makes the symbolic links that the npm package of Postgres lists, since npm cannot ship them.
func hydrateLinks(pkg string) error {
	raw, err := os.ReadFile(filepath.Join(pkg, "native", "pg-symlinks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read links of Postgres: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(raw, &links); err != nil {
		return fmt.Errorf("read links of Postgres: %w", err)
	}
	for _, l := range links {
		// In the package's words the target is the link that is to be made and the source is what it points to.
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("link files of Postgres: %q leaves the package", l.Target)
		}
		link := filepath.Join(pkg, l.Target)
		if _, err := os.Stat(link); err == nil {
			continue
		}
		to, err := filepath.Rel(filepath.Dir(link), filepath.Join(pkg, l.Source))
		if err != nil {
			return fmt.Errorf("link files of Postgres: %w", err)
		}
		if err := os.Symlink(to, link); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("link files of Postgres: %w", err)
		}
	}
	return nil
}

func (f Finder) systemDirs() []string {
	var dirs []string
	path := f.Path
	if path == "" {
		path = os.Getenv("PATH")
	}
	for _, dir := range filepath.SplitList(path) {
		// pg_ctl may be a link into the real folder, or a script; the check of the folder sorts scripts out.
		if program, err := filepath.EvalSymlinks(filepath.Join(dir, "pg_ctl")); err == nil {
			dirs = append(dirs, filepath.Dir(program))
		}
	}
	patterns := f.SystemPostgres
	if patterns == nil {
		patterns = []string{
			"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*",
			"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin",
		}
	}
	for _, pattern := range patterns {
		if m, err := filepath.Glob(pattern); err == nil {
			dirs = append(dirs, m...)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) ((\d+)\S*)`)

// inspectPostgres checks the binaries in dir and asks them for their version.
func inspectPostgres(dir string, p Platform) (PostgresBinaries, error) {
	for name, size := range map[string]int64{"postgres": minPostgresSize, "initdb": minToolSize} {
		if err := checkBinary(filepath.Join(dir, name), p, size); err != nil {
			return PostgresBinaries{}, fmt.Errorf("check Postgres: %w", err)
		}
	}
	// The program answers at once; a wrapper that hangs must not hang us.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput() //nolint:gosec // Found by us.
	if err != nil {
		return PostgresBinaries{}, fmt.Errorf("run %s --version: %w: %s", filepath.Join(dir, "postgres"), err, strings.TrimSpace(string(out)))
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return PostgresBinaries{}, fmt.Errorf("run %s --version: unexpected answer %q", filepath.Join(dir, "postgres"), out)
	}
	major, err := strconv.Atoi(string(m[2]))
	if err != nil {
		return PostgresBinaries{}, fmt.Errorf("read Postgres version: %w", err)
	}
	return PostgresBinaries{Dir: dir, Version: string(m[1]), Major: major}, nil
}
