package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// clickhouse asks the engine directly, past the proxy.
type clickhouse struct{ url string }

// query returns the lines of the answer, in the format TSV, each split into its fields.
func (c clickhouse) query(ctx context.Context, sql string) ([][]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/?"+url.Values{"database": {database}}.Encode(), strings.NewReader(sql))
	if err != nil {
		return nil, fmt.Errorf("ask clickhouse: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask clickhouse: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("ask clickhouse: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask clickhouse: %s\n%s", text, sql)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows, nil
}

// wait returns when the engine answers, or with the error of giveUp.
func (c clickhouse) wait(ctx context.Context, giveUp func() error) error {
	for {
		if err := giveUp(); err != nil {
			return fmt.Errorf("wait for clickhouse: %w", err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/ping", nil)
		if err != nil {
			return fmt.Errorf("wait for clickhouse: %w", err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for clickhouse: %w", context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
