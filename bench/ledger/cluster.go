package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// cluster is a Postgres of the benchmark's own, durable as in production.
type cluster struct {
	bin    string // the folder of its programs
	data   string
	port   int
	server *exec.Cmd
	attr   *syscall.SysProcAttr
}

// findPostgres finds the folder with the programs of Postgres, pgbench among them.
func findPostgres() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(p), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("this benchmark needs Postgres with pgbench: on Debian, run \"apt-get install postgresql\" as root")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// startCluster makes a cluster below dir and starts it. Postgres does not run as root; it runs as user postgres then.
func startCluster(ctx context.Context, dir string) (*cluster, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	c := &cluster{bin: bin, data: filepath.Join(dir, "pg"), attr: &syscall.SysProcAttr{}}
	if err := os.Mkdir(c.data, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := c.leaveRoot(dir); err != nil {
			return nil, err
		}
	}
	if c.port, err = freePort(); err != nil {
		return nil, err
	}
	if _, err := c.tool(ctx, "initdb", "-D", c.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--data-checksums"); err != nil {
		return nil, err
	}
	c.server = exec.Command(filepath.Join(bin, "postgres"), "-D", c.data, "-p", strconv.Itoa(c.port), "-k", c.data, "-c", "listen_addresses=127.0.0.1",
		"-c", "shared_buffers=1GB", "-c", "max_wal_size=8GB", "-c", "max_connections=200")
	log, err := os.Create(filepath.Join(dir, "postgres.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // The server has its own.
	c.server.SysProcAttr, c.server.Stderr = c.attr, log
	if err := c.server.Start(); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	for range 300 {
		if _, err = c.tool(ctx, "pg_isready", "-h", "127.0.0.1", "-p", strconv.Itoa(c.port)); err == nil {
			return c, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("wait for postgres: %w", err), c.stop())
}

// leaveRoot makes the programs of Postgres run as its own user.
func (c *cluster) leaveRoot(dir string) error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("find a user for postgres: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chown(c.data, int(uid), int(gid)), os.Chmod(dir, 0o711)); err != nil {
		return err
	}
	c.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tool runs one of the programs and returns what it says.
func (c *cluster) tool(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = c.data, c.attr
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", name, err, out.String())
	}
	return out.String(), nil
}

func (c *cluster) stop() error {
	_ = c.server.Process.Signal(syscall.SIGINT) // Fast shutdown.
	return c.server.Wait()
}

func (c *cluster) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s", c.port, database)
}

func (c *cluster) connection() []string {
	return []string{"-h", "127.0.0.1", "-p", strconv.Itoa(c.port), "-U", "postgres"}
}

func (c *cluster) psql(ctx context.Context, database, sql string) error {
	_, err := c.tool(ctx, "psql", append(c.connection(), "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql)...)
	return err
}

// prepareTPCB makes both databases, and pgbench's tables.
func (c *cluster) prepareTPCB(ctx context.Context, scale int) error {
	for _, database := range []string{"tpcb", "ledger"} {
		if err := c.psql(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
			return err
		}
	}
	_, err := c.tool(ctx, "pgbench", append(c.connection(), "-i", "-q", "-s", strconv.Itoa(scale), "tpcb")...)
	return err
}

var tpsLine = regexp.MustCompile(`tps = ([0-9.]+) \(without`)

// tpcb runs pgbench's TPC-B over TCP, with prepared statements, and returns its transactions per second.
func (c *cluster) tpcb(ctx context.Context, clients int, lasts time.Duration) (float64, error) {
	out, err := c.tool(ctx, "pgbench", append(c.connection(), "-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", "2", "-T", strconv.Itoa(int(lasts.Seconds())), "tpcb")...)
	if err != nil {
		return 0, err
	}
	m := tpsLine.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("pgbench says no tps:\n%s", out)
	}
	return strconv.ParseFloat(m[1], 64)
}

// settle brings the cluster into the same state before each turn.
func (c *cluster) settle(ctx context.Context) error { return c.psql(ctx, "postgres", "CHECKPOINT") }
