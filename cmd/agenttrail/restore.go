package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/schema/backup"
)

func newRestoreCommand() *cobra.Command {
	var into databases
	var from string
	var checkOnly bool
	cmd := &cobra.Command{
		Use:   "restore --from FOLDER",
		Short: "Put a backup into empty databases",
		Long: `Put a backup that "agenttrail backup" made into empty databases, and bring their schema up to date.

Every file is compared with its checksum first. Databases that hold rows are refused, and so are journal folders that are
not empty. Postgres takes a superuser, because triggers and foreign keys are switched off meanwhile: the audit trails are
to be what they were. Run "agenttrail verify" afterwards, then start the ledger and the collectors; these store what the
journals hold.`,
		Example: `  agenttrail restore --from backups/monday --check
  agenttrail restore --from backups/monday --data .data
  agenttrail restore --from /backups/monday --clickhouse-url http://default:secret@ch1:8123 --postgres-url postgres://postgres:secret@pg1/agenttrail --journal /var/lib/agenttrail/journal
  agenttrail restore --from /backups/monday --only postgres --postgres-url postgres://postgres:secret@pg1/agenttrail`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return usageError{errors.New("say where the backup is: --from FOLDER")}
			}
			m, err := backup.Read(from)
			if err != nil {
				return err
			}
			if checkOnly {
				if err := m.Check(cmd.Context(), from); err != nil {
					return err
				}
				printBackup(cmd.OutOrStdout(), m)
				fmt.Fprintf(cmd.OutOrStdout(), "the backup of %s is whole\n", m.CreatedAt.Format("2006-01-02 15:04:05 MST"))
				return nil
			}
			into.leaveOut(m)
			if err := into.resolve(); err != nil {
				return err
			}
			return runRestore(cmd, into, from, m)
		},
	}
	into.add(cmd)
	cmd.Flags().StringVar(&from, "from", "", "folder of the backup")
	cmd.Flags().BoolVar(&checkOnly, "check", false, "restore nothing; compare every file with its checksum")
	return cmd
}

// leaveOut leaves out what the backup does not have, unless it was asked for.
func (d *databases) leaveOut(m *backup.Manifest) {
	if len(d.only) > 0 {
		return
	}
	for part, has := range map[string]bool{partPostgres: m.Postgres != nil, partClickHouse: m.ClickHouse != nil, partJournal: len(m.Journals) > 0} {
		if has {
			d.only = append(d.only, part)
		}
	}
}

func runRestore(cmd *cobra.Command, into databases, from string, m *backup.Manifest) (err error) {
	ctx := cmd.Context()
	say := func(what string) { fmt.Fprintf(cmd.ErrOrStderr(), "restoring %s\n", what) }
	switch {
	case into.has(partPostgres) && m.Postgres == nil, into.has(partClickHouse) && m.ClickHouse == nil, into.has(partJournal) && len(m.Journals) == 0:
		return usageError{errors.New("the backup does not have all that --only names: see it with --check")}
	case into.has(partJournal) && len(into.journals) != len(m.Journals):
		return usageError{fmt.Errorf("the backup has %d journals and %d folders are named: give --journal for each, in the order of the backup, as --check shows it, or leave them out with --only", len(m.Journals), len(into.journals))}
	}
	if err := m.Check(ctx, from); err != nil {
		return err
	}
	if into.has(partJournal) {
		// Before anything is changed: a folder in use shows that a collector is at work.
		for _, dir := range into.journals {
			if err := backup.CheckJournalFolder(dir); err != nil {
				return err
			}
		}
	}
	stop, err := into.start(ctx, cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if into.has(partPostgres) {
		say("Postgres")
		if err := m.RestorePostgres(ctx, from, into.postgres); err != nil {
			return err
		}
	}
	if into.has(partClickHouse) {
		say("ClickHouse")
		if err := m.RestoreClickHouse(ctx, from, into.clickHouse, into.database); err != nil {
			return err
		}
	}
	if into.has(partJournal) {
		for i, dir := range into.journals {
			say("journal " + dir)
			if err := m.RestoreJournal(from, i, dir); err != nil {
				return err
			}
		}
	}
	printBackup(cmd.OutOrStdout(), m)
	fmt.Fprintln(cmd.OutOrStdout(), "the backup is restored")
	return nil
}
