package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/agenttrail/agenttrail/schema"
)

// server asks ClickHouse over its HTTP interface, where rows of any type pass through as bytes.
type server struct {
	base     url.URL
	database string
	user     string
	password string
}

func newServer(address, database string) (*server, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("the clickhouse address must start with http:// or https://, such as http://127.0.0.1:8123")
	}
	s := &server{base: *base, database: database, user: "default"}
	if base.User != nil {
		s.user = base.User.Username()
		s.password, _ = base.User.Password()
		s.base.User = nil
	}
	return s, nil
}

// summary is what ClickHouse says of a statement.
type summary struct {
	ResultRows string `json:"result_rows"`
}

// ask runs a statement, with body as the rows of an INSERT, and writes its answer. The answer comes when the statement
// has ended well, so that a broken one is not taken for whole.
func (s *server) ask(ctx context.Context, sql string, body io.Reader, answer io.Writer, settings ...string) (summary, error) {
	var out summary
	q := s.base.Query()
	q.Set("query", sql)
	q.Set("wait_end_of_query", "1")
	for i := 0; i+1 < len(settings); i += 2 {
		q.Set(settings[i], settings[i+1])
	}
	address := s.base
	address.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), body)
	if err != nil {
		return out, fmt.Errorf("ask clickhouse: %w", err)
	}
	req.Header.Set("X-ClickHouse-User", s.user)
	if s.password != "" {
		req.Header.Set("X-ClickHouse-Key", s.password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, fmt.Errorf("ask clickhouse: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // There is an error already.
		return out, fmt.Errorf("ask clickhouse: %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	if _, err := io.Copy(answer, resp.Body); err != nil {
		return out, fmt.Errorf("read answer of clickhouse: %w", err)
	}
	if head := resp.Header.Get("X-ClickHouse-Summary"); head != "" {
		if err := json.Unmarshal([]byte(head), &out); err != nil {
			return out, fmt.Errorf("read summary of clickhouse: %w", err)
		}
	}
	return out, nil
}

// lines runs a query and gives its rows, tab-separated.
func (s *server) lines(ctx context.Context, sql string) ([]string, error) {
	var text strings.Builder
	if _, err := s.ask(ctx, sql+" FORMAT TSV", http.NoBody, &text); err != nil {
		return nil, err
	}
	if text.Len() == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n"), nil
}

func (s *server) exec(ctx context.Context, sql string) error {
	_, err := s.ask(ctx, sql, http.NoBody, io.Discard)
	return err
}

func (s *server) table(name string) string { return tick(s.database) + "." + tick(name) }

// backupClickHouse copies the tables that hold rows, materialized states among them.
func backupClickHouse(ctx context.Context, dir, address, database string) (*ClickHouse, error) {
	s, err := newServer(address, database)
	if err != nil {
		return nil, err
	}
	out := &ClickHouse{}
	if out.Migrations, err = schema.AppliedClickHouse(ctx, address, schema.ClickHouseConfig{Database: database}); err != nil {
		return nil, err
	}
	if len(out.Migrations) == 0 {
		return nil, fmt.Errorf("clickhouse has no tables of AgentTrail in the database %s: name another one", database)
	}
	version, err := s.lines(ctx, "SELECT version()")
	if err != nil {
		return nil, err
	}
	out.Server = strings.Join(version, " ")
	names, replacing, err := s.tables(ctx)
	if err != nil {
		return nil, err
	}
	before, err := s.stored(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := s.backupTable(ctx, dir, name, replacing[name])
		if err != nil {
			return nil, fmt.Errorf("back up table %s of clickhouse: %w", name, err)
		}
		out.Tables = append(out.Tables, t)
	}
	after, err := s.stored(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if before[name] != after[name] {
			return nil, fmt.Errorf("rows came into %s while the backup was made, so its tables do not belong together: stop the collectors and start again with an empty folder", name)
		}
	}
	return out, nil
}

// tables are those that hold rows, and which of them replace rows.
func (s *server) tables(ctx context.Context) (names []string, replacing map[string]bool, err error) {
	rows, err := s.lines(ctx, "SELECT name, engine FROM system.tables WHERE database = "+quote(s.database)+" AND (engine LIKE '%MergeTree' OR engine = 'Distributed') AND name != 'SchemaMigration' AND name NOT LIKE '.inner%' ORDER BY name")
	if err != nil {
		return nil, nil, fmt.Errorf("list tables of clickhouse: %w", err)
	}
	replacing = map[string]bool{}
	for _, r := range rows {
		name, engine, _ := strings.Cut(r, "\t")
		if engine == "Distributed" {
			return nil, nil, errors.New("these are the tables of a cluster, whose servers are backed up with BACKUP … ON CLUSTER: see docs/backup.md")
		}
		names = append(names, name)
		replacing[name] = strings.HasPrefix(engine, "Replacing")
	}
	return names, replacing, nil
}

// stored is when the last row of each table was stored, of those that say so.
func (s *server) stored(ctx context.Context, names []string) (map[string]string, error) {
	having, err := s.lines(ctx, "SELECT table FROM system.columns WHERE database = "+quote(s.database)+" AND name = 'ingestedAt' AND default_kind = 'DEFAULT'")
	if err != nil {
		return nil, fmt.Errorf("list columns of clickhouse: %w", err)
	}
	has := map[string]bool{}
	for _, t := range having {
		has[t] = true
	}
	last := map[string]string{}
	for _, name := range names {
		if !has[name] {
			continue
		}
		row, err := s.lines(ctx, "SELECT max(ingestedAt) FROM "+s.table(name))
		if err != nil {
			return nil, fmt.Errorf("look for new rows: %w", err)
		}
		last[name] = strings.Join(row, "")
	}
	return last, nil
}

// backupTable copies one table. Rows that replace each other are copied in the order in which they came, so that the same
// one is the last.
func (s *server) backupTable(ctx context.Context, dir, name string, replacing bool) (t Table, err error) {
	t.Name = name
	order := ""
	if replacing {
		// The name of a part has the number of its first block after that of its partition.
		order = " ORDER BY toUInt64(splitByChar('_', _part)[2]), _part_offset"
	}
	if t.Columns, err = s.lines(ctx, "SELECT name FROM system.columns WHERE database = "+quote(s.database)+" AND table = "+quote(name)+" AND default_kind NOT IN ('ALIAS', 'MATERIALIZED', 'EPHEMERAL') ORDER BY position"); err != nil {
		return t, err
	}
	ids, err := s.lines(ctx, "SELECT DISTINCT _partition_id FROM "+s.table(name)+" ORDER BY _partition_id")
	if err != nil {
		return t, err
	}
	for _, id := range ids {
		p := Partition{ID: id}
		p.File, err = compressed(dir, path.Join("clickhouse", name, id+".native.zst"), func(w io.Writer) error {
			sum, err := s.ask(ctx, "SELECT "+tickAll(t.Columns)+" FROM "+s.table(name)+" WHERE _partition_id = "+quote(id)+order+" FORMAT Native", http.NoBody, w)
			if err != nil {
				return err
			}
			if p.Rows, err = strconv.ParseInt(sum.ResultRows, 10, 64); err != nil {
				return fmt.Errorf("clickhouse does not say how many rows it gave (X-ClickHouse-Summary, behind a proxy?): %w", err)
			}
			return nil
		})
		if err != nil {
			return t, err
		}
		t.Partitions = append(t.Partitions, p)
	}
	return t, nil
}

// tick quotes an identifier of ClickHouse, quote a string.
func tick(s string) string { return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`" }

func quote(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }

func tickAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = tick(n)
	}
	return strings.Join(quoted, ", ")
}
