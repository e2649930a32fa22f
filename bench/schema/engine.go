package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// engine is an embedded ClickHouse.
type engine struct {
	cmd  *exec.Cmd
	base string // http://127.0.0.1:…
}

// startEngine starts the engine on a folder of data and waits until it says where it listens.
func startEngine(ctx context.Context, program, data string) (*engine, error) {
	e := &engine{cmd: exec.CommandContext(ctx, program, "clickhouse", "--data", data, "--addr", "127.0.0.1:0")}
	e.cmd.Cancel = func() error { return e.cmd.Process.Signal(syscall.SIGTERM) }
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.cmd.Stderr = e.cmd.Stdout
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	scan := bufio.NewScanner(out)
	var said strings.Builder
	for scan.Scan() {
		fmt.Fprintln(&said, scan.Text())
		if _, rest, ok := strings.Cut(scan.Text(), "http://"); ok {
			e.base = "http://" + strings.Fields(rest)[0]
			go io.Copy(io.Discard, out) //nolint:errcheck // What it logs later is of no interest.
			return e, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("the engine ended: %s", said.String()), e.cmd.Wait())
}

func (e *engine) stop() error {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	return e.cmd.Wait()
}

// cpu is the CPU time that the engine used so far, in all of its threads.
func (e *engine) cpu() time.Duration {
	var t unix.Timespec
	// The clock of a process, as clock_getcpuclockid(3) makes it.
	if err := unix.ClockGettime(int32(^e.cmd.Process.Pid<<3|2), &t); err != nil {
		panic("BUG: read CPU clock: " + err.Error())
	}
	return time.Duration(t.Nano())
}

// post sends a statement with a body and returns the answer. Compressed bodies are ClickHouse's own frames.
func (e *engine) post(ctx context.Context, settings url.Values, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.base+"/?"+settings.Encode(), strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("clickhouse answered %s: %.2000s", resp.Status, text)
	}
	return string(text), nil
}

func (e *engine) ask(ctx context.Context, query string) (string, error) {
	text, err := e.post(ctx, url.Values{"wait_end_of_query": {"1"}}, query)
	if err != nil {
		return "", fmt.Errorf("%.300q: %w", query, err)
	}
	return strings.TrimSpace(text), nil
}

// rows are the lines of an answer, cut at tabs.
func (e *engine) rows(ctx context.Context, query string) ([][]string, error) {
	text, err := e.ask(ctx, query)
	if err != nil || text == "" {
		return nil, err
	}
	var rows [][]string
	for line := range strings.Lines(text) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows, nil
}

// quiet waits until nothing has been merged for a second.
func (e *engine) quiet(ctx context.Context) error {
	for last := time.Now(); time.Since(last) < time.Second; {
		n, err := e.ask(ctx, "SELECT count() FROM system.merges")
		if err != nil {
			return err
		}
		if n != "0" {
			last = time.Now()
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// progress tells what is not part of the report.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
