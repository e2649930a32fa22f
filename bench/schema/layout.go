package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// layout is one schema that is compared: a folder of migrations, or the tables of a database as they are.
type layout struct {
	name     string
	folder   string
	database string
	settings string // Of its INSERTs, after those of all.
	source   string // Database with the rows to insert.
}

// parseLayout reads name=folder or name=database, with settings of its INSERTs after a question mark.
func parseLayout(arg string) (*layout, error) {
	name, from, ok := strings.Cut(arg, "=")
	if !ok {
		return nil, fmt.Errorf("%q: want NAME=FOLDER or NAME=DATABASE", arg)
	}
	l := &layout{name: name}
	from, l.settings, _ = strings.Cut(from, "?")
	if strings.Contains(from, "/") {
		l.folder = from
	} else {
		l.database = from
	}
	return l, nil
}

var fills = strings.NewReplacer(
	"${LOCAL}", "", "${ON_CLUSTER}", "", "${GLOBAL}", "", "${VIEWS_SINCE_MS}", "0",
	"${MERGETREE}", "MergeTree", "${REPLACINGMERGETREE}", "ReplacingMergeTree",
	"${REPLACINGMERGETREE_VERSION}", "ReplacingMergeTree(version)", "${AGGREGATINGMERGETREE}", "AggregatingMergeTree",
	"${EVERYWHERE_REPLACINGMERGETREE}", "ReplacingMergeTree", "${DEDUP_SETTINGS}", ", non_replicated_deduplication_window = 100000",
)

var (
	retention = regexp.MustCompile(`\$\{RETENTION_[A-Z_]+\}`)
	comment   = regexp.MustCompile(`(?m)^\s*--.*$`)
	create    = regexp.MustCompile(`^CREATE `)
)

// create makes the layout's tables and views in a new database.
func (l *layout) create(ctx context.Context, e *engine, database string) error {
	statements := []string{"DROP DATABASE IF EXISTS " + database + " SYNC", "CREATE DATABASE " + database}
	if l.folder != "" {
		files, err := filepath.Glob(filepath.Join(l.folder, "*.sql"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%s has no migrations: %w", l.folder, err)
		}
		slices.Sort(files)
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			filled := fills.Replace(strings.ReplaceAll(string(text), "${DATABASE}", database))
			filled = comment.ReplaceAllString(retention.ReplaceAllString(filled, "3650"), "")
			for s := range strings.SplitSeq(filled, ";\n") {
				if s = strings.TrimSpace(s); create.MatchString(s) {
					statements = append(statements, s)
				}
			}
		}
	} else {
		rows, err := e.rows(ctx, `SELECT create_table_query FROM system.tables WHERE database = '`+l.database+`' ORDER BY engine = 'MaterializedView' FORMAT TSVRaw`)
		if err != nil {
			return err
		}
		for _, r := range rows {
			s := strings.ReplaceAll(r[0], l.database+".", database+".")
			statements = append(statements, s)
		}
	}
	for _, s := range statements {
		if _, err := e.ask(ctx, s); err != nil {
			return fmt.Errorf("make tables of %s: %w", l.name, err)
		}
	}
	return nil
}
