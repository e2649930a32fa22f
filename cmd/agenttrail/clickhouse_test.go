package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// standalone starts "agenttrail clickhouse" on dir and returns its URL.
func standalone(t *testing.T, dir string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"clickhouse", "--data", dir, "--addr", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), envRunMain+"=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // Nobody writes into the folder when it is removed.
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if m := regexp.MustCompile(`listens on (http://\S+) `).FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return cmd, m[1]
		}
		t.Log(lines.Text())
	}
	require.Fail(t, "ended before it listened")
	return nil, ""
}

func post(t *testing.T, url, sql string) (int, string) {
	t.Helper()
	resp, err := http.Post(url, "text/plain", strings.NewReader(sql))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func TestClickHouseCommand(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("secret\n"), 0o600))
	for run, want := range []string{"1", "2"} {
		cmd, url := standalone(t, dir, "--password-file", password, "--memory-limit", "2GiB")
		status, _ := post(t, url, "SELECT 1")
		require.Equal(t, http.StatusForbidden, status, "without a password")
		url = strings.Replace(url, "http://", "http://default:secret@", 1)
		for i, sql := range []string{"CREATE DATABASE d ENGINE = Atomic", "CREATE TABLE d.t (n Int8) ENGINE = MergeTree ORDER BY n"} {
			if run == 0 {
				status, body := post(t, url, sql)
				require.Equal(t, http.StatusOK, status, "%d: %s", i, body)
			}
		}
		_, _ = post(t, url, "INSERT INTO d.t VALUES (1)")
		_, count := post(t, url, "SELECT count() FROM d.t")
		require.Equal(t, want, count)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), "a clean stop is no error")
	}
}

func TestClickHouseCommandRefusesToServeStrangers(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "clickhouse", "--data", t.TempDir(), "--addr", "0.0.0.0:0")
	cmd.Env = append(os.Environ(), envRunMain+"=1")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "(--addr)")
	require.Contains(t, string(out), "set a password")
}

func TestClickHouseCommandChecksItsFlags(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "clickhouse", "--memory-limit", "2 gigs")
	cmd.Env = append(os.Environ(), envRunMain+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Contains(t, string(out), "such as 2GiB")
	require.Contains(t, string(out), "agenttrail clickhouse --help")
}

func TestEnginesCheck(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "engines", "--check", "--json")
	cmd.Env = append(os.Environ(), envRunMain+"=1")
	out, err := cmd.Output()
	require.NoError(t, err)
	var in struct{ ClickHouse, Postgres string }
	require.NoError(t, json.Unmarshal(out, &in))
	require.FileExists(t, in.ClickHouse)
	require.FileExists(t, filepath.Join(in.Postgres, "initdb"))

	cmd = exec.Command(os.Args[0], "engines", "--check")
	cmd.Env = append(os.Environ(), envRunMain+"=1", "AGENTTRAIL_ENGINES="+t.TempDir())
	out, err = cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `agenttrail engines"`)
}
