package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agenttrail/agenttrail/embedded/engine"
	"github.com/agenttrail/agenttrail/internal/port"
)

const (
	// DefaultPostgresAddr is where Postgres listens unless it is told otherwise.
	DefaultPostgresAddr = "127.0.0.1:5433"

	databaseName = "agenttrail"
	roleName     = "agenttrail" // the superuser of the embedded Postgres

	// maxSocketPath is what the shortest sockaddr_un of the systems we run on can hold.
	maxSocketPath = 103
)

// PostgresConfig sets up the embedded Postgres.
type PostgresConfig struct {
	// Disabled leaves Postgres out, for when a server of the user's own is used.
	Disabled bool
	// Addr is the loopback address it listens on, DefaultPostgresAddr if empty. With port 0 a free port is chosen.
	Addr string
	// Settings are server settings that win over the ones this package chooses.
	Settings map[string]string
	// Account is the system account that Postgres runs as when this process is root. Empty means a user namespace,
	// or where that is not permitted the account postgres or nobody.
	Account string
	// NoSync leaves out all flushing to disk, also when the data folder is made. For tests: a power cut loses data.
	NoSync bool
}

// postgres starts and stops the Postgres child.
type postgres struct {
	cfg      PostgresConfig
	server   *Server
	host     string
	port     int
	anyPort  bool
	free     func() // gives the port that was chosen free
	dir      string // data folder of Postgres
	password string
	bin      engine.PostgresBinaries
	priv     privilege
	ready    bool // the data folder is in order
}

func newPostgres(s *Server) (*postgres, error) {
	cfg := s.Postgres
	if cfg.Addr == "" {
		cfg.Addr = DefaultPostgresAddr
	}
	tcp, err := net.ResolveTCPAddr("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("bind %s (--postgres-addr): %w; it must be of the form %s", cfg.Addr, err, DefaultPostgresAddr)
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("bind %s (--postgres-addr): the embedded Postgres is for this machine only; use a loopback address such as 127.0.0.1, or run a Postgres of your own and set AGENTTRAIL_POSTGRES_URL", cfg.Addr)
	}
	return &postgres{
		cfg: cfg, server: s, host: tcp.IP.String(), port: tcp.Port, anyPort: tcp.Port == 0, dir: s.path("postgres"),
	}, nil
}

func (pg *postgres) addr() string    { return net.JoinHostPort(pg.host, strconv.Itoa(pg.port)) }
func (pg *postgres) pidFile() string { return filepath.Join(pg.dir, "postmaster.pid") }

func (pg *postgres) url(database string) string {
	u := url.URL{
		Scheme: "postgres", Host: pg.addr(), Path: "/" + database,
		User: url.UserPassword(roleName, pg.password), RawQuery: "sslmode=disable",
	}
	return u.String()
}

// launch starts Postgres on its data folder, which it makes the first time, and waits until it takes connections.
func (pg *postgres) launch(ctx context.Context) (*process, error) {
	if err := pg.stopOrphan(ctx, pg.dir); err != nil {
		return nil, err
	}
	if !pg.ready {
		if err := pg.prepareData(ctx); err != nil {
			return nil, err
		}
		pg.ready = true
	}
	for attempt := 0; ; attempt++ {
		if err := pg.choosePort(ctx); err != nil {
			return nil, err
		}
		p, err := startProcess(processSpec{
			name: "Postgres", path: filepath.Join(pg.bin.Dir, "postgres"), args: pg.arguments(), env: postgresEnv(), dir: pg.dir,
			// A parent that dies without stopping us is a crash: end at once, since a clean end might have to wait for
			// the disk. What was committed is in the log, which the next start replays.
			log: pg.server.path("logs", "postgres.log"), privilege: pg.priv, onDeath: syscall.SIGQUIT,
		})
		if err != nil {
			return nil, err
		}
		err = p.waitReady(ctx, func(ctx context.Context) error { return pg.answers(ctx, p.pid()) })
		if err == nil {
			return p, nil
		}
		err = pg.abandon(ctx, p, err)
		taken := strings.Contains(logTail(p.log, p.logStart), "could not create any TCP/IP sockets")
		if taken && pg.anyPort && attempt < 5 {
			pg.close()
			pg.port = 0 // somebody took the free port that we had found
			continue
		}
		if taken {
			return nil, explainBind(syscall.EADDRINUSE, pg.addr(), "--postgres-addr")
		}
		return nil, err
	}
}

// choosePort finds a free port when asked to, and keeps it for when Postgres is started again. Else it checks that the
// configured one is free, for a clear message.
func (pg *postgres) choosePort(ctx context.Context) error {
	if pg.port == 0 {
		addr, free, err := port.Reserve(ctx, pg.host)
		if err != nil {
			return fmt.Errorf("choose port for Postgres: %w", err)
		}
		pg.free = free
		_, number, err := net.SplitHostPort(addr)
		if err == nil {
			pg.port, err = strconv.Atoi(number)
		}
		if err != nil {
			return fmt.Errorf("choose port for Postgres: %w", err)
		}
	}
	ln, err := Listen(ctx, pg.addr(), "--postgres-addr", false)
	if err != nil {
		return err
	}
	if err := ln.Close(); err != nil {
		return fmt.Errorf("choose port for Postgres: %w", err)
	}
	return nil
}

// close gives the port free that was chosen.
func (pg *postgres) close() {
	if pg.free != nil {
		pg.free()
		pg.free = nil
	}
}

// arguments are the settings of a server for one small machine. They are on the command line so that the files in
// the data folder stay as initdb made them, whatever version did.
func (pg *postgres) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        pg.host,
		"port":                    strconv.Itoa(pg.port),
		"max_connections":         "100",
		"shared_buffers":          "64MB",
		"max_wal_size":            "512MB",
		"min_wal_size":            "64MB",
		"huge_pages":              "off",
		"jit":                     "off",
		"logging_collector":       "off",
		"log_destination":         "stderr",
		"log_checkpoints":         "off",
		"log_line_prefix":         "%m [%p] ",
		"log_timezone":            "UTC",
		"timezone":                "UTC",
		"unix_socket_directories": pg.socketDir(),
	}
	if pg.bin.Major >= 18 {
		settings["io_method"] = "sync" // no idle worker processes
	}
	if pg.cfg.NoSync {
		settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"] = "off", "off", "off"
	}
	maps.Copy(settings, pg.cfg.Settings)
	args := []string{"-D", pg.dir}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// socketDir returns the folder for the Unix socket, empty for none: where its path would be too long for the system
// or would need quotes in a list, or where another account could not write it.
func (pg *postgres) socketDir() string {
	dir := pg.server.path("run")
	if pg.priv.mode == privilegeAccount || strings.ContainsAny(dir, `,"'@`) || len(filepath.Join(dir, ".s.PGSQL.65535")) > maxSocketPath {
		return ""
	}
	return dir
}

// postgresEnv leaves out what would change the behavior of Postgres, such as PGDATA or PGPORT.
func postgresEnv() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// answers tells whether the process with this id takes connections. Its own word in the data folder shows that it is
// the one that has bound the port.
func (pg *postgres) answers(ctx context.Context, pid int) error {
	raw, err := os.ReadFile(pg.pidFile())
	if err != nil {
		return fmt.Errorf("ask Postgres: %w", err)
	}
	// Process id, data folder, start time, port, socket folder, address, shared memory, status.
	lines := bytes.Split(raw, []byte("\n"))
	if len(lines) < 8 || string(lines[0]) != strconv.Itoa(pid) || string(bytes.TrimSpace(lines[7])) != "ready" {
		return errors.New("ask Postgres: it is still starting")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, pg.url("postgres"))
	if err != nil {
		return pg.explainConnect(err)
	}
	defer conn.Close(ctx)
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", databaseName).Scan(&exists); err != nil {
		return fmt.Errorf("ask Postgres: %w", err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+databaseName); err != nil {
			return fmt.Errorf("create database: %w", err)
		}
	}
	return nil
}

func (pg *postgres) explainConnect(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "28P01" {
		return permanent{fmt.Errorf("connect to Postgres: the password in %s is not the one of the data folder %s; put the right one back", pg.passwordFile(), pg.dir)}
	}
	return fmt.Errorf("connect to Postgres: %w", err)
}

// stop asks Postgres for a fast shutdown: open transactions are rolled back, committed ones are flushed. After ctx it
// is told to quit at once, and what is left is killed; the next start replays the log.
func (pg *postgres) stop(ctx context.Context, p *process) error {
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	err := fmt.Errorf("stop Postgres: it had not ended in time and was killed; the next start recovers: %w", ctx.Err())
	if err := p.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
		p.kill()
	}
	return errors.Join(err, pg.stopOrphan(context.WithoutCancel(ctx), pg.dir))
}

// abandon ends a server that did not become ready, with everything it started. It is not asked for a clean end: one
// that is still recovering may not come to it.
func (pg *postgres) abandon(ctx context.Context, p *process, reason error) error {
	if err := p.signal(syscall.SIGQUIT); err == nil {
		select {
		case <-p.done:
		case <-time.After(2 * time.Second):
		}
	}
	reason = abandon(p, reason)
	if err := pg.stopOrphan(context.WithoutCancel(ctx), pg.dir); err != nil {
		return errors.Join(reason, err)
	}
	return reason
}

// stopOrphan ends what still works on a data folder: a Postgres whose server was killed, or backends whose Postgres
// was. Their shared memory would keep the next one from starting.
func (pg *postgres) stopOrphan(ctx context.Context, dir string) error {
	n, err := stopOrphans(ctx, dir, filepath.Join(dir, "postmaster.pid"), 10*time.Second, syscall.SIGINT, syscall.SIGQUIT)
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if err := forgetPidFile(filepath.Join(dir, "postmaster.pid")); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if n > 0 {
		pg.server.Logger.WarnContext(ctx, "stopped processes of Postgres that were left over", "count", n)
	}
	return nil
}
