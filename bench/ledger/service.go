package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ledger is a running "agenttrail ledger" and who has runs there.
type ledger struct {
	cmd    *exec.Cmd
	log    *os.File
	base   string
	key    string
	client *http.Client
	keys   atomic.Int64
	payers []payer
}

// payer is a user with a mandate.
type payer struct{ user, mandate string }

var address = regexp.MustCompile(`API on (http://\S+),`)

// startLedger brings the schema up to date, makes a key and starts the service.
func startLedger(ctx context.Context, s settings, c *cluster, dir string) (*ledger, error) {
	url := c.url("ledger")
	if out, err := exec.CommandContext(ctx, s.program, "migrate", "postgres", "--url", url).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("migrate: %w\n%s", err, out)
	}
	secret, err := exec.CommandContext(ctx, s.program, "keys", "create", "--url", url, "--name", "bench", "--scope", "admin").Output()
	if err != nil {
		return nil, fmt.Errorf("create key: %w", err)
	}
	file := filepath.Join(dir, "ledger.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "pool: {max_connections: %d}\n", s.maxConns), 0o600); err != nil {
		return nil, err
	}
	l := &ledger{key: strings.TrimSpace(string(secret))}
	l.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * s.clients}}
	if l.log, err = os.Create(filepath.Join(dir, "ledger.log")); err != nil {
		return nil, err
	}
	l.cmd = exec.Command(s.program, "ledger", "--config", file, "--url", url, "--addr", "127.0.0.1:0")
	l.cmd.Stdout, l.cmd.Stderr = l.log, l.log
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ledger: %w", err)
	}
	for range 300 {
		text, err := os.ReadFile(l.log.Name())
		if err != nil {
			return nil, errors.Join(err, l.stop())
		}
		if m := address.FindSubmatch(text); m != nil {
			l.base = string(m[1])
			return l, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("the ledger does not start"), l.stop())
}

func (l *ledger) stop() error {
	_ = l.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(l.cmd.Wait(), l.log.Close())
}

// created is what the benchmark reads of answers.
type created struct {
	ID   string `json:"id"`
	Hold struct {
		ID string `json:"id"`
	} `json:"hold"`
}

// post sends a request that must succeed.
func (l *ledger) post(ctx context.Context, path, body string) (created, error) {
	var out created
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base+path, strings.NewReader(body))
	if err != nil {
		return out, err
	}
	req.Header.Set("Authorization", "Bearer "+l.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("bench-%d", l.keys.Add(1)))
	resp, err := l.client.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, err
	}
	if resp.StatusCode >= 300 {
		return out, fmt.Errorf("%s: %s %s", path, resp.Status, text)
	}
	return out, json.NewDecoder(bytes.NewReader(text)).Decode(&out)
}

// prepare makes users with credits and mandates that have room for all that follows, and their agent.
func (l *ledger) prepare(ctx context.Context, s settings) error {
	l.payers = make([]payer, s.users)
	one := func(i int) error {
		u, err := l.post(ctx, "/v1/users", fmt.Sprintf(`{"email": "user-%d@example.com"}`, i))
		if err != nil {
			return err
		}
		if _, err := l.post(ctx, "/v1/grants", fmt.Sprintf(`{"userId": %q, "category": "paid", "amount": "1000000000"}`, u.ID)); err != nil {
			return err
		}
		m, err := l.post(ctx, "/v1/mandates", fmt.Sprintf(`{"userId": %q, "rules": {"maxPerExecution": "10", "maxPerDay": "1000000000", "maxPerMonth": "1000000000"}}`, u.ID))
		l.payers[i] = payer{u.ID, m.ID}
		return err
	}
	if err := one(0); err != nil {
		return err
	}
	if _, err := l.post(ctx, "/v1/agents", fmt.Sprintf(`{"slug": "bench", "name": "Bench", "category": "bench", "ownerId": %q, "version": {"pricing": {"perExecution": "1"}}}`, l.payers[0].user)); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, s.clients)
	for c := range s.clients {
		wg.Go(func() {
			for errs[c] == nil {
				i := int(next.Add(1))
				if i >= s.users {
					return
				}
				errs[c] = one(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
