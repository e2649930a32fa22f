package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/schema/backup"
)

func newBackupCommand() *cobra.Command {
	var from databases
	var to string
	var drain time.Duration
	cmd := &cobra.Command{
		Use:   "backup --to FOLDER",
		Short: "Copy both databases and what collectors have not stored yet into a folder",
		Long: `Copy both databases, and the journals of collectors, into a new folder of plain files with checksums.

Stop the collectors first: clients keep what is not acknowledged and send it again. What their journals hold is stored
before, for as long as --drain; what is left then is copied with them, dead letters and the requests that are remembered
among it. Nothing that was acknowledged is missing, and nothing comes twice when it is restored. The ledger may go on.

A folder without manifest.json is a backup that was not finished. docs/backup.md has more, also on clusters.`,
		Example: `  agenttrail backup --data .data --to backups/monday
  agenttrail backup --to /backups/monday --clickhouse-url http://default:secret@ch1:8123 --postgres-url postgres://agenttrail:secret@pg1/agenttrail --journal /var/lib/agenttrail/journal
  agenttrail backup --to /backups/ledger-monday --only postgres`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return usageError{errors.New("say where the backup is to be: --to FOLDER, which must be empty or not there")}
			}
			if drain < 0 {
				return usageError{errors.New("--drain must not be negative")}
			}
			if err := from.resolve(); err != nil {
				return err
			}
			return runBackup(cmd, from, to, drain)
		},
	}
	from.add(cmd)
	cmd.Flags().StringVar(&to, "to", "", "folder of the backup, empty or not there")
	cmd.Flags().DurationVar(&drain, "drain", 30*time.Second, "how long to store what the journals hold before; 0 copies them as they are")
	return cmd
}

func runBackup(cmd *cobra.Command, from databases, to string, drain time.Duration) (err error) {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if from.dir != "" {
		if _, err := os.Stat(from.dir); err != nil {
			return fmt.Errorf("there is no data folder to back up: %w; name it with --data", err)
		}
	}
	if err := backup.Prepare(to); err != nil {
		return err
	}
	stop, err := from.start(ctx, cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()

	settings := backup.Settings{
		Dir: to, Database: from.database, Version: version,
		Progress: func(what string) { fmt.Fprintf(cmd.ErrOrStderr(), "backing up %s\n", what) },
	}
	if from.has(partJournal) {
		unlock, err := from.lockJournals(ctx, drain, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
		settings.Journals = from.journals
	}
	if from.has(partPostgres) {
		settings.PostgresURL = from.postgres
	}
	if from.has(partClickHouse) {
		settings.ClickHouseURL = from.clickHouse
	}
	m, err := backup.Create(ctx, settings)
	if err != nil {
		return err
	}
	printBackup(out, m)
	fmt.Fprintf(out, "the backup is complete: %s\n", to)
	return nil
}

// lockJournals stores what the journals hold and keeps collectors away from them. A folder that is not there yet is left
// out.
func (d *databases) lockJournals(ctx context.Context, drain time.Duration, logs io.Writer) (unlock func() error, err error) {
	var locks []io.Closer
	unlock = func() error {
		var errs []error
		for _, l := range locks {
			errs = append(errs, l.Close())
		}
		return errors.Join(errs...)
	}
	var there []string
	for _, dir := range d.journals {
		if st, statErr := os.Stat(dir); statErr != nil || !st.IsDir() {
			if dir == filepath.Join(d.dir, journalFolder) {
				continue // Nothing has run there yet.
			}
			return nil, errors.Join(fmt.Errorf("there is no journal at %s: name its folder with --journal", dir), unlock())
		}
		if drain > 0 && d.clickHouse != "" {
			if err := drainJournal(ctx, dir, d.clickHouse, d.database, drain, logs); err != nil {
				return nil, errors.Join(explainLocked(dir, err), unlock())
			}
		}
		lock, err := journal.OS{}.Lock(filepath.Join(dir, "LOCK"))
		if err != nil {
			return nil, errors.Join(explainLocked(dir, err), unlock())
		}
		locks, there = append(locks, lock), append(there, dir)
		if err := keepOwner(dir); err != nil {
			return nil, errors.Join(err, unlock())
		}
	}
	d.journals = there
	return unlock, nil
}

// keepOwner gives files that root has made in a folder to its owner: the collector that is to go on with them may be another
// user.
func keepOwner(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look for owner of journal: %w", err)
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(dir) // Root must not be led out of it.
	if err != nil {
		return fmt.Errorf("open folder of journal: %w", err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(file string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = root.Lchown(file, int(owner.Uid), int(owner.Gid))
		}
		return err
	})
}

func explainLocked(dir string, err error) error {
	if errors.Is(err, journal.ErrLocked) {
		return fmt.Errorf("a collector works on the journal %s: stop it for the backup; clients keep what is not acknowledged and send it again", dir)
	}
	return err
}

// rememberAll is longer than any collector remembers requests, so that none is forgotten here.
const rememberAll = 10 * 365 * 24 * time.Hour

// drainJournal stores what a journal holds, as a collector that starts and stops does.
func drainJournal(ctx context.Context, dir, clickHouse, database string, drain time.Duration, logs io.Writer) error {
	w, err := delivery.NewWriter(ctx, delivery.Settings{
		Endpoint: clickHouse, Database: database,
		Journal: journal.Settings{Dir: dir, Window: rememberAll, WindowRequests: 1 << 30},
	})
	if err != nil {
		return fmt.Errorf("open journal %s: %w", dir, err)
	}
	_, _, waiting := w.Backlog()
	if waiting > 0 {
		fmt.Fprintf(logs, "storing what the journal %s holds\n", dir)
	}
	draining, cancel := context.WithTimeout(ctx, drain+time.Second)
	defer cancel()
	if err := w.Shutdown(draining); err != nil {
		return err
	}
	if _, _, left := w.Backlog(); left > 0 {
		fmt.Fprintf(logs, "of the journal %s not everything could be stored; the rest is in the backup\n", dir)
	}
	return nil
}

// printBackup says what a backup holds.
func printBackup(out io.Writer, m *backup.Manifest) {
	if p := m.Postgres; p != nil {
		var rows int64
		for _, t := range p.Tables {
			rows += t.Rows
		}
		fmt.Fprintf(out, "Postgres    %d tables, %d rows\n", len(p.Tables), rows)
	}
	if c := m.ClickHouse; c != nil {
		var rows int64
		for _, t := range c.Tables {
			rows += t.Rows()
		}
		fmt.Fprintf(out, "ClickHouse  %d tables, %d rows\n", len(c.Tables), rows)
	}
	for _, j := range m.Journals {
		var bytes int64
		for _, f := range j.Files {
			bytes += f.Bytes
		}
		fmt.Fprintf(out, "journal     %d files, %d bytes, of %s\n", len(j.Files), bytes, j.Source)
	}
}
