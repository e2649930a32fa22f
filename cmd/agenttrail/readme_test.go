package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestREADME runs every curl command of the README, in order, against a running instance.
func TestREADME(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	in := startUp(t, t.TempDir())
	ports := strings.NewReplacer("http://127.0.0.1:8123", forCurl(in.ClickHouse), "127.0.0.1:4318", in.OTLPHTTP, "curl -s ", "curl -sS --fail-with-body ")
	ran := 0
	var (
		last   func() string // Runs the last command once more.
		answer string
	)
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			if !strings.Contains(line, "curl ") {
				continue
			}
			last = func() string {
				cmd := exec.CommandContext(t.Context(), "bash", "-c", ports.Replace(line))
				cmd.Dir = "../.."
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s\n%s", line, out)
				return string(out)
			}
			answer = last()
			ran++
		}
	}
	require.Equal(t, 4, ran, "commands of the README")
	complete := func() bool {
		for _, source := range []string{"execution", "span", "log", "request", "error"} {
			if !strings.Contains(answer, source) {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(startTimeout); !complete() && time.Now().Before(deadline); answer = last() {
		time.Sleep(50 * time.Millisecond) // What is acknowledged is stored a moment later.
	}
	require.True(t, complete(), "the trail of the run that was sent by hand:\n%s", answer)
}
