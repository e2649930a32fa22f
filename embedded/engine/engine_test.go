package engine

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	engines "github.com/agenttrail/agenttrail/deploy/embedded"
)

// installed returns the engines of this machine, which tests must not change.
func installed(t *testing.T) (Finder, Installed) {
	t.Helper()
	f, err := FromEnv()
	require.NoError(t, err)
	in, err := f.Check()
	require.NoError(t, err)
	return f, in
}

// nowhere is a list of folders that holds no program.
func nowhere(t *testing.T) string {
	t.Helper()
	return t.TempDir()
}

func writeFile(t *testing.T, mode os.FileMode, content string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), mode))
	return name
}

func TestInstalledEnginesAreFound(t *testing.T) {
	t.Parallel()
	_, in := installed(t)
	require.FileExists(t, in.ClickHouse)
	require.FileExists(t, filepath.Join(in.Postgres, "initdb"))
	require.Regexp(t, `^\d+\.\d+`, in.PostgresVersion)
}

func TestBrokenLibrary(t *testing.T) {
	t.Parallel()
	pinned, in := installed(t)
	rel, err := filepath.Rel(pinned.Dir, in.ClickHouse)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		write func(t *testing.T, path string)
		want  string
	}{
		"missing": {func(*testing.T, string) {}, "nothing at"},
		"text": {func(t *testing.T, path string) {
			t.Helper()
			writeFile(t, 0o644, "hello\n", path)
		}, "not a program file"},
		"empty": {func(t *testing.T, path string) {
			t.Helper()
			writeFile(t, 0o644, "", path)
		}, "not a program file"},
		"small program": {func(t *testing.T, path string) {
			t.Helper()
			raw, err := os.ReadFile(filepath.Join(in.Postgres, "initdb"))
			require.NoError(t, err)
			writeFile(t, 0o644, string(raw), path)
		}, "cut short"},
		"half a download": {func(t *testing.T, path string) {
			t.Helper()
			writeFile(t, 0o644, "", path)
			from, err := os.Open(in.ClickHouse)
			require.NoError(t, err)
			defer from.Close()
			to, err := os.Create(path)
			require.NoError(t, err)
			defer to.Close()
			_, err = io.CopyN(to, from, minLibrarySize+1)
			require.NoError(t, err)
		}, "program file"}, // the section table is at the end of the file
		"folder": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.MkdirAll(path, 0o755))
		}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tc.write(t, filepath.Join(dir, rel))
			_, err := Finder{Dir: dir}.ClickHouse()
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, `"AGENTTRAIL_ENGINES=`+dir+` agenttrail engines"`)
			require.ErrorContains(t, err, `"make engines"`)
		})
	}
}

func TestOtherPlatformsFile(t *testing.T) {
	t.Parallel()
	_, in := installed(t)
	postgres := filepath.Join(in.Postgres, "postgres")
	host := HostPlatform()
	require.NoError(t, checkBinary(postgres, host, minPostgresSize))
	other := host
	other.CPU = map[string]string{"x64": "arm64", "arm64": "x64"}[host.CPU]
	require.ErrorContains(t, checkBinary(postgres, other, minPostgresSize), "made for")
	other.OS = map[string]string{"linux": "darwin", "darwin": "linux"}[host.OS]
	require.ErrorContains(t, checkBinary(postgres, other, minPostgresSize), "not a program file")
}

func TestUnsupportedPlatform(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Platform{
		"linux-x64-musl: the engines need glibc": {OS: "linux", CPU: "x64", Libc: "musl"},
		"windows-x64":                            {OS: "windows", CPU: "x64"},
		"linux-s390x":                            {OS: "linux", CPU: "s390x", Libc: "glibc"},
	} {
		f := Finder{Dir: t.TempDir(), Platform: p}
		_, err := f.ClickHouse()
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "AGENTTRAIL_CLICKHOUSE_URL")
		_, err = f.Install(t.Context(), nil)
		require.ErrorContains(t, err, want)
	}
}

func TestSystemPostgres(t *testing.T) {
	t.Parallel()
	_, in := installed(t)
	major, _, _ := strings.Cut(in.PostgresVersion, ".")

	t.Run("in a known folder", func(t *testing.T) {
		t.Parallel()
		b, err := Finder{Dir: t.TempDir(), Path: nowhere(t), SystemPostgres: []string{in.Postgres}}.Postgres(0)
		require.NoError(t, err)
		require.Equal(t, in.Postgres, b.Dir)
		require.Equal(t, in.PostgresVersion, b.Version)
		require.True(t, b.System)
	})
	t.Run("linked from PATH", func(t *testing.T) {
		t.Parallel()
		path := t.TempDir()
		require.NoError(t, os.Symlink(filepath.Join(in.Postgres, "pg_ctl"), filepath.Join(path, "pg_ctl")))
		b, err := Finder{Dir: t.TempDir(), Path: path, SystemPostgres: []string{}}.Postgres(0)
		require.NoError(t, err)
		require.Equal(t, in.Postgres, b.Dir)
	})
	t.Run("wrapper scripts are passed over", func(t *testing.T) {
		t.Parallel()
		path := t.TempDir()
		for _, name := range []string{"pg_ctl", "postgres", "initdb"} {
			writeFile(t, 0o755, "#!/bin/sh\nexit 0\n", path, name)
		}
		f := Finder{Dir: t.TempDir(), Path: path, SystemPostgres: []string{in.Postgres}}
		b, err := f.Postgres(0)
		require.NoError(t, err)
		require.Equal(t, in.Postgres, b.Dir)
		f.SystemPostgres = []string{}
		_, err = f.Postgres(0)
		require.ErrorIs(t, err, ErrNotInstalled)
		require.ErrorContains(t, err, "is not a program file")
		require.ErrorContains(t, err, "agenttrail engines")
		require.ErrorContains(t, err, "AGENTTRAIL_POSTGRES_URL")
	})
	t.Run("another major version", func(t *testing.T) {
		t.Parallel()
		_, err := Finder{Dir: t.TempDir(), Path: nowhere(t), SystemPostgres: []string{in.Postgres}}.Postgres(12)
		require.ErrorIs(t, err, ErrNotInstalled)
		require.ErrorContains(t, err, "Postgres 12")
		require.NotEqual(t, "12", major)
	})
}

func TestCacheDir(t *testing.T) {
	home, xdg := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", xdg)
	t.Setenv(EnvDir, "")
	tail := filepath.Join("agenttrail", "engines", LockID())
	require.Len(t, LockID(), 12)

	dir, err := CacheDir()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(xdg, tail), dir)
	t.Setenv("XDG_CACHE_HOME", "relative/is/ignored")
	dir, err = CacheDir()
	require.NoError(t, err)
	require.Equal(t, filepath.Join(home, ".cache", tail), dir)

	_, err = Finder{Dir: dir}.ClickHouse()
	require.ErrorContains(t, err, `run "agenttrail engines" (in a checkout: "make engines")`)
	t.Setenv("HOME", "")
	dir, err = CacheDir()
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(dir))

	t.Setenv(EnvDir, "some/where")
	f, err := FromEnv()
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(f.Dir))
	require.True(t, strings.HasSuffix(f.Dir, "some/where"))
}

func TestLockFileCoversEveryPlatform(t *testing.T) {
	t.Parallel()
	require.NotContains(t, string(engines.PackageLock), "http", "no address of a registry")
	require.NotContains(t, string(engines.PackageJSON)+string(engines.NPMRC), "http")
	var pkg struct{ Dependencies, OptionalDependencies map[string]string }
	require.NoError(t, json.Unmarshal(engines.PackageJSON, &pkg))
	for _, p := range []Platform{
		{OS: "linux", CPU: "x64", Libc: "glibc"},
		{OS: "linux", CPU: "arm64", Libc: "glibc"},
		{OS: "darwin", CPU: "arm64"},
		{OS: "darwin", CPU: "x64"},
	} {
		require.NoError(t, p.supported())
		m, err := manifestFor(p)
		require.NoError(t, err)
		require.Len(t, m.versions, 2)
		for name, version := range m.versions {
			require.Contains(t, []string{pkg.Dependencies[name], pkg.OptionalDependencies[name]}, version, "package.json and lock file agree")
			require.NotContains(t, m.locked["node_modules/"+name], "optional")
		}
		dir := t.TempDir()
		require.NoError(t, m.write(dir))
		raw, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
		require.NoError(t, err)
		require.Contains(t, string(raw), p.OS+"-"+p.CPU)
	}
}
