//go:build image

package check_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestImageSteps runs the build stage of the Dockerfile as plain commands on a copy of what the image is built from, and looks
// at what would be the image: one static program that works as a user who is not root. It compiles everything anew, without
// cgo, which takes some minutes the first time.
func TestImageSteps(t *testing.T) {
	t.Parallel()
	src, out := t.TempDir(), t.TempDir()
	copyContext(t, src)
	for _, i := range dockerfile(t)[0] {
		if i.name != "RUN" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", i.args)
		cmd.Dir = src
		cmd.Env = append(os.Environ(), "OUT="+out, "VERSION=9.8.7-test", "GOFLAGS=-mod=readonly")
		text, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", i, text)
	}
	bin := filepath.Join(out, "bin/agenttrail")
	f, err := elf.Open(bin)
	require.NoError(t, err)
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries, "it is static")
	for _, p := range f.Progs {
		require.NotEqual(t, elf.PT_INTERP, p.Type, "it is static")
	}
	for _, file := range []string{"etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo.zip", "etc/passwd"} {
		require.FileExists(t, filepath.Join(out, file))
	}

	// As the user of the image, as far as we may become another one, and with nothing of this machine's environment.
	for dir := out; dir != filepath.Dir(dir) && os.Geteuid() == 0; dir = filepath.Dir(dir) {
		if strings.HasPrefix(dir, os.TempDir()+"/") {
			require.NoError(t, os.Chmod(dir, 0o755))
		}
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), bin, args...)
		cmd.Dir = "/"
		cmd.Env = []string{"ZONEINFO=" + filepath.Join(out, "usr/share/zoneinfo.zip"), "AGENTTRAIL_JOURNAL_DIR=/nonexistent"}
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		}
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	text, err := run("--version")
	require.NoError(t, err, text)
	require.Contains(t, text, "9.8.7-test")
	text, err = run("collector", "validate")
	require.NoError(t, err, text)
	text, err = run("migrate", "clickhouse", "--dry-run")
	require.NoError(t, err, text)
	require.Contains(t, text, "CREATE TABLE IF NOT EXISTS agenttrail.Span")
	data, err := os.MkdirTemp("", "TestImageSteps") // Not below t.TempDir, into which only we may look.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(data)) })
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(data, 65532, 65532))
	}
	text, err = run("clickhouse", "--data", data, "--library", "/none.so", "--addr", "127.0.0.1:0")
	require.Error(t, err)
	require.Contains(t, text, "a static build")
	text, err = run("health", "http://127.0.0.1:1/")
	require.Error(t, err)
	require.Contains(t, text, "not ready")
}

// copyContext copies what git has of the module, but for what .dockerignore leaves out.
func copyContext(t *testing.T, to string) {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard").Output()
	require.NoError(t, err)
	var ignored []string
	for line := range strings.Lines(read(t, root+"/.dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			ignored = append(ignored, line)
		}
	}
	for _, name := range strings.Fields(string(list)) {
		if isIgnored(name, ignored) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // Removed, or a link to a folder.
		}
		file := filepath.Join(to, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, text, 0o644))
	}
}

// isIgnored knows the forms that our .dockerignore has: folders, **/ and a name, **/* and an ending.
func isIgnored(name string, rules []string) bool {
	for _, r := range rules {
		any := strings.TrimPrefix(r, "**/")
		switch {
		case strings.HasPrefix(any, "*"):
			if strings.HasSuffix(name, any[1:]) {
				return true
			}
		case any != r:
			if strings.Contains("/"+name+"/", "/"+any+"/") {
				return true
			}
		case name == r || strings.HasPrefix(name, r+"/"):
			return true
		}
	}
	return false
}
