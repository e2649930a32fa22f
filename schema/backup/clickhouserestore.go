package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agenttrail/agenttrail/schema"
)

// stagePrefix begins the names of tables that rows come to first.
const stagePrefix = "Restore_"

// RestoreClickHouse puts the rows into the database of the server at address, which must hold none, and brings the schema
// up to date. The tables are made as the release of the backup made them; rows come to a table beside each and are attached
// from there, so materialized views do not count them a second time.
func (m *Manifest) RestoreClickHouse(ctx context.Context, dir, address, database string) error {
	s, err := newServer(address, database)
	if err != nil {
		return err
	}
	cfg := schema.ClickHouseConfig{Database: database}
	if err := m.ClickHouse.checkMigrations(cfg); err != nil {
		return err
	}
	if _, err := schema.MigrateClickHouseTo(ctx, address, cfg, slices.Max(slices.Collect(maps.Keys(m.ClickHouse.Migrations)))); err != nil {
		return err
	}
	names, _, err := s.tables(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.mustHaveNoRows(ctx, name); err != nil {
			return err
		}
	}
	for _, t := range m.ClickHouse.Tables {
		if err := s.restoreTable(ctx, dir, t); err != nil {
			return fmt.Errorf("restore table %s of clickhouse: %w", t.Name, err)
		}
	}
	_, err = schema.MigrateClickHouse(ctx, address, cfg)
	return err
}

// checkMigrations refuses a backup of a schema that this release does not make.
func (c *ClickHouse) checkMigrations(cfg schema.ClickHouseConfig) error {
	all, err := schema.ClickHouseMigrations(cfg)
	if err != nil {
		return err
	}
	known := map[uint32]string{}
	for _, m := range all {
		known[m.Version] = m.Checksum
	}
	for version, sum := range c.Migrations {
		if known[version] != sum {
			return fmt.Errorf("the backup's clickhouse schema is of another release (migration %d differs or is unknown here): use that release or a later one", version)
		}
	}
	return nil
}

// mustHaveNoRows refuses a database that is in use. Prices of models come with the schema.
func (s *server) mustHaveNoRows(ctx context.Context, name string) error {
	if name == "ModelPrice" {
		return s.exec(ctx, "TRUNCATE TABLE "+s.table(name))
	}
	rows, err := s.lines(ctx, "SELECT count() FROM "+s.table(name))
	if err != nil {
		return fmt.Errorf("look for rows in %s: %w", name, err)
	}
	if strings.Join(rows, "") != "0" {
		return fmt.Errorf("table %s of clickhouse has rows: a backup is restored into an empty database only: drop this one (DROP DATABASE %s SYNC), or name another", name, s.database)
	}
	return nil
}

func (s *server) restoreTable(ctx context.Context, dir string, t Table) (err error) {
	stage := s.table(stagePrefix + t.Name)
	if err := s.exec(ctx, "CREATE TABLE "+stage+" AS "+s.table(t.Name)); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.exec(context.WithoutCancel(ctx), "DROP TABLE "+stage+" SYNC"))
	}()
	// Merges put rows together and drop those past their retention: they would be counted as missing.
	if err := s.exec(ctx, "SYSTEM STOP MERGES "+stage); err != nil {
		return err
	}
	for _, p := range t.Partitions {
		if err := s.restorePartition(ctx, dir, stage, t, p); err != nil {
			return fmt.Errorf("partition %s: %w", p.ID, err)
		}
	}
	for _, p := range t.Partitions {
		if err := s.exec(ctx, "ALTER TABLE "+s.table(t.Name)+" ATTACH PARTITION ID "+quote(p.ID)+" FROM "+stage); err != nil {
			return fmt.Errorf("attach partition %s: %w", p.ID, err)
		}
	}
	return nil
}

func (s *server) restorePartition(ctx context.Context, dir, stage string, t Table, p Partition) error {
	file, err := p.File.open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = s.ask(ctx, "INSERT INTO "+stage+" ("+tickAll(t.Columns)+") FORMAT Native", file, io.Discard,
		"async_insert", "0", "optimize_on_insert", "0", "insert_deduplicate", "0", "deduplicate_insert", "disable", "max_partitions_per_insert_block", "0")
	if err != nil {
		return err
	}
	rows, err := s.lines(ctx, "SELECT count() FROM "+stage+" WHERE _partition_id = "+quote(p.ID))
	if err != nil {
		return err
	}
	if got := strings.Join(rows, ""); got != strconv.FormatInt(p.Rows, 10) {
		return fmt.Errorf("%s rows came, of %d", got, p.Rows)
	}
	return nil
}
