package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// addresses is where the parts of a running "agenttrail up" can be reached. It is kept in the data folder, readable
// for its owner only since the addresses hold passwords.
type addresses struct {
	PID        int    `json:"pid"`
	ClickHouse string `json:"clickHouseUrl"`
	Postgres   string `json:"postgresUrl"`
	OTLPGRPC   string `json:"otlpGrpc"`
	OTLPHTTP   string `json:"otlpHttp"`
	Health     string `json:"health"`
	Metrics    string `json:"metrics"`
	Ledger     string `json:"ledger"`
	// LedgerKeyFile is the file with the secret of the API key that the first start has made.
	LedgerKeyFile string `json:"ledgerKeyFile"`
}

func addressesFile(dir string) string { return filepath.Join(dir, "run", "up.json") }

// defaultDataDir is the data folder of a command that names none.
func defaultDataDir() string {
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "agenttrail")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "agenttrail")
	}
	return "agenttrail-data"
}

// write replaces the file in one step, so that a reader never sees half of it.
func (a addresses) write(dir string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	file := addressesFile(dir)
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("write addresses: %w", err)
	}
	return nil
}

// readRunning finds the "agenttrail up" that runs on the data folder.
func readRunning(dir string) (addresses, error) {
	var a addresses
	text, err := os.ReadFile(addressesFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("nothing runs on %s: start \"agenttrail up --data %s\" first, or name its folder with --data", dir, dir)
	}
	if err != nil {
		return a, fmt.Errorf("read addresses: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("read addresses in %s: %w", addressesFile(dir), err)
	}
	return a, nil
}

// forCurl leaves out the user of an address that needs no password, since that user is the one of a request without.
func forCurl(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if _, ok := u.User.Password(); !ok && u.User.Username() == "default" {
		u.User = nil
	}
	return u.String()
}

// printWhereToLook names the addresses and something to paste.
func (a addresses) printWhereToLook(w io.Writer) {
	if a.ClickHouse == "" {
		return
	}
	base := strings.TrimRight(forCurl(a.ClickHouse), "/")
	fmt.Fprintf(w, `
WHERE TO LOOK NEXT
  OTLP for your own services   grpc %s   http http://%s
  ClickHouse over HTTP         %s
  Metrics and health           http://%s/metrics   http://%s
  One run, everything about it:
    id=$(curl -s '%s/' --data 'SELECT id FROM agenttrail.AgentExecution WHERE status = 1 ORDER BY startedAt DESC LIMIT 1')
    curl -s '%s/' --data "SELECT timestamp, source, name, outcome, message FROM agenttrail.ExecutionTrail(id = '$id') FORMAT PrettyCompact"
  Percentiles:
    curl -s '%s/' --data 'SELECT agentId, period, totalExecutions, p95Duration FROM agenttrail.AgentMetrics LIMIT 5'
`, a.OTLPGRPC, a.OTLPHTTP, base, a.Metrics, a.Health, base, base, base)
}
