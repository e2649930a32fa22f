package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func (pg *postgres) passwordFile() string { return pg.server.path("postgres.password") }

// prepareData chooses the binaries and sees to a data folder that they can use.
func (pg *postgres) prepareData(ctx context.Context) error {
	major, err := clusterVersion(pg.dir)
	if err != nil {
		return err
	}
	pg.bin, err = pg.server.Engines.Postgres(major) //nolint:contextcheck // Asks the program for its version, for seconds at most.
	if major != 0 && err != nil {
		return fmt.Errorf("start Postgres: the data folder %s was made by Postgres %d, which is not here; to move to another version, dump it with the old one and load it into a new data folder: %w", pg.dir, major, err)
	}
	if err != nil {
		return err
	}
	pg.priv, err = choosePrivilege(filepath.Join(pg.bin.Dir, "postgres"), pg.cfg.Account)
	if err != nil {
		return err
	}
	if pg.priv.mode == privilegeAccount {
		// The account has to pass through the data folder, where it can see and read nothing but its own part.
		if err := os.Chmod(pg.server.folder.path, 0o711); err != nil { //nolint:gosec // See above.
			return fmt.Errorf("start Postgres: %w", err)
		}
		if err := reachable(pg.dir, pg.priv); err != nil {
			return fmt.Errorf("run Postgres as account %s: %w; choose a data folder that every account can reach, such as /var/lib/agenttrail, with --data, or start agenttrail as an ordinary user", pg.priv.account, err)
		}
	}
	if err := pg.removePasswordCopies(); err != nil {
		return err
	}
	if err := pg.loadPassword(major != 0); err != nil {
		return err
	}
	if major == 0 {
		if err := pg.initdb(ctx); err != nil {
			return err
		}
	}
	uid, gid := pg.priv.owner()
	if err := giveTo(pg.dir, uid, gid); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	return nil
}

// passwordCopy begins the name of the folder that lends the password to initdb.
const passwordCopy = ".initdb-"

// removePasswordCopies removes what an interrupted initdb left.
func (pg *postgres) removePasswordCopies() error {
	entries, err := os.ReadDir(pg.server.path())
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), passwordCopy) {
			err = errors.Join(err, os.RemoveAll(pg.server.path(e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("remove copies of the Postgres password: %w", err)
	}
	return nil
}

// clusterVersion returns the major version that made the data folder, 0 if there is none yet.
func clusterVersion(dir string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read Postgres data folder: %w", err)
		}
		if len(entries) > 0 {
			return 0, fmt.Errorf("read Postgres data folder: %s holds files but no PG_VERSION, so it is damaged; restore it from a backup, or move it away to begin anew", dir)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read Postgres data folder: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("read Postgres data folder: PG_VERSION in %s says %q; restore it from a backup, or move the folder away to begin anew", dir, raw)
	}
	return major, nil
}

// loadPassword reads the superuser's password, or makes one for a data folder that is yet to be made.
func (pg *postgres) loadPassword(needed bool) error {
	raw, err := os.ReadFile(pg.passwordFile())
	if password := strings.TrimSpace(string(raw)); err == nil && password != "" {
		pg.password = password
		return nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read Postgres password: %w", err)
	}
	if needed {
		return fmt.Errorf("read Postgres password: %s is missing or empty, and the data folder %s cannot be opened without it; restore it from a backup", pg.passwordFile(), pg.dir)
	}
	pg.password = rand.Text()
	return writeSecret(pg.passwordFile(), pg.password+"\n")
}

// initdb makes the data folder beside its place and moves it there when it is whole, so what an interrupted run
// leaves is never taken for a data folder.
func (pg *postgres) initdb(ctx context.Context) error {
	stage := pg.dir + ".init"
	if err := pg.stopOrphan(ctx, stage); err != nil {
		return err
	}
	for _, dir := range []string{stage, pg.dir} { // the second one is empty or missing
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("make Postgres data folder: %w", err)
		}
	}
	if err := os.Mkdir(stage, 0o700); err != nil {
		return fmt.Errorf("make Postgres data folder: %w", err)
	}
	// A copy of the password that the account can read, too; its folder is closed to others.
	pwFolder, err := os.MkdirTemp(pg.server.path(), passwordCopy)
	if err != nil {
		return fmt.Errorf("make Postgres data folder: %w", err)
	}
	defer os.RemoveAll(pwFolder)
	pwFile := filepath.Join(pwFolder, "password")
	if err := writeSecret(pwFile, pg.password+"\n"); err != nil {
		return err
	}
	uid, gid := pg.priv.owner()
	if err := errors.Join(giveTo(stage, uid, gid), giveTo(pwFolder, uid, gid)); err != nil {
		return fmt.Errorf("make Postgres data folder: %w", err)
	}
	args := []string{
		"-D", stage, "-U", roleName, "--pwfile=" + pwFile, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
		"--data-checksums", "--no-instructions",
	}
	if pg.bin.Major >= 17 {
		args = append(args, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	}
	if pg.cfg.NoSync {
		args = append(args, "--no-sync")
	}
	p, err := startProcess(processSpec{
		name: "initdb", path: filepath.Join(pg.bin.Dir, "initdb"), args: args, env: postgresEnv(), dir: stage,
		log: pg.server.path("logs", "postgres.log"), privilege: pg.priv, onDeath: syscall.SIGKILL,
	})
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("make Postgres data folder: %w", ctx.Err())
	}
	if p.err != nil {
		return withTail(fmt.Errorf("make Postgres data folder: initdb: %w", p.err), p.log, p.logStart)
	}
	if err := os.Rename(stage, pg.dir); err != nil {
		return fmt.Errorf("make Postgres data folder: %w", err)
	}
	return syncDir(pg.server.path())
}
