package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DefaultClickHouseAddr is where ClickHouse listens unless it is told otherwise.
const DefaultClickHouseAddr = "127.0.0.1:8123"

// clickHouseUser is the name of the one user of the embedded ClickHouse.
const clickHouseUser = "default"

// ClickHouseConfig sets up the embedded ClickHouse.
type ClickHouseConfig struct {
	// Disabled leaves ClickHouse out, for when a server of the user's own is used.
	Disabled bool
	// Addr is the address of the HTTP interface, DefaultClickHouseAddr if empty. With port 0 a free port is chosen.
	Addr string
	// Password of the user "default". Empty means none, which is allowed on loopback addresses only.
	Password string
	// MemoryLimitBytes bounds the memory of the engine. 0 leaves it to the engine.
	MemoryLimitBytes int64
	// MaxConnections bounds the statements that run at a time. 0 leaves it to the server.
	MaxConnections int
	// Command is the program that runs a ClickHouseProcess, and its first arguments; empty means this program with
	// the argument "clickhouse".
	Command []string
	// Env is added to the environment of the child, as "NAME=value".
	Env []string
}

// clickHouse starts and stops the ClickHouse child.
type clickHouse struct {
	cfg     ClickHouseConfig
	server  *Server
	library string
	dir     string
	addr    string   // with the real port
	file    *os.File // the listener, for children to inherit
	client  *http.Client
}

func newClickHouse(s *Server) (*clickHouse, error) {
	cfg := s.ClickHouse
	if cfg.Addr == "" {
		cfg.Addr = DefaultClickHouseAddr
	}
	if len(cfg.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("start ClickHouse: %w", err)
		}
		cfg.Command = []string{self, "clickhouse"}
	}
	library, err := s.Engines.ClickHouse()
	if err != nil {
		return nil, err
	}
	return &clickHouse{
		cfg: cfg, server: s, library: library, dir: s.path("clickhouse"),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second},
	}, nil
}

// prepare frees the data from what an earlier server left running and binds the address for the server's whole life.
func (c *clickHouse) prepare(ctx context.Context) error {
	if err := c.stopOrphan(ctx); err != nil {
		return err
	}
	ln, err := Listen(ctx, c.cfg.Addr, "--clickhouse-addr", c.cfg.Password != "")
	if err != nil {
		return err
	}
	defer ln.Close()
	c.addr = ln.Addr().String()
	if c.file, err = ln.File(); err != nil {
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	if err := writeSecret(c.passwordFile(), c.cfg.Password); err != nil {
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	return nil
}

func (c *clickHouse) stopOrphan(ctx context.Context) error {
	n, err := stopOrphans(ctx, c.dir, c.pidFile(), 10*time.Second, syscall.SIGTERM)
	if err != nil {
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	if n > 0 {
		c.server.Logger.WarnContext(ctx, "stopped a ClickHouse that an earlier server left running")
	}
	return nil
}

func (c *clickHouse) passwordFile() string { return c.server.path("run", "clickhouse.password") }
func (c *clickHouse) pidFile() string      { return c.server.path("run", "clickhouse.pid") }

// launch starts a child that serves the inherited listener, and waits until it answers.
func (c *clickHouse) launch(ctx context.Context) (*process, error) {
	// The child holds the read end; the only write end ends with this process, however that happens.
	alive, hold, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start ClickHouse: %w", err)
	}
	defer alive.Close()
	args := append(append([]string{}, c.cfg.Command[1:]...),
		"--data="+c.dir, "--listen-fd=3", "--parent-fd=4", "--library="+c.library, "--password-file="+c.passwordFile(),
		"--memory-limit="+strconv.FormatInt(c.cfg.MemoryLimitBytes, 10), "--max-connections="+strconv.Itoa(c.cfg.MaxConnections))
	p, err := startProcess(processSpec{
		name: "ClickHouse", path: c.cfg.Command[0], args: args, env: append(os.Environ(), c.cfg.Env...), dir: c.dir,
		files: []*os.File{c.file, alive}, log: c.server.path("logs", "clickhouse.log"), onDeath: syscall.SIGTERM,
	})
	if err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	go func() {
		<-p.done
		_ = hold.Close() // nothing reads it any more
	}()
	if err := os.WriteFile(c.pidFile(), []byte(strconv.Itoa(p.pid())+"\n"), 0o600); err != nil {
		return nil, abandon(p, fmt.Errorf("start ClickHouse: %w", err))
	}
	if err := p.waitReady(ctx, c.ping); err != nil {
		return nil, abandon(p, err)
	}
	return p, nil
}

func (c *clickHouse) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+"/ping", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask ClickHouse: %w", err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask ClickHouse: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask ClickHouse: status %d", resp.StatusCode)
	}
	return nil
}

func (c *clickHouse) stop(ctx context.Context, p *process) error {
	err := p.stop(ctx, syscall.SIGTERM)
	return errors.Join(err, os.Remove(c.pidFile()))
}

// close unbinds the address, so that callers are refused instead of waiting for nobody.
func (c *clickHouse) close() {
	if c.file != nil {
		_ = c.file.Close()
		c.file = nil
	}
}

func (c *clickHouse) url() string {
	u := url.URL{Scheme: "http", Host: c.addr, User: url.User(clickHouseUser)}
	if c.cfg.Password != "" {
		u.User = url.UserPassword(clickHouseUser, c.cfg.Password)
	}
	return u.String()
}

// Listen binds addr or explains why that does not work, naming the flag that sets the address. Without a password
// only loopback addresses will do.
func Listen(ctx context.Context, addr, flag string, hasPassword bool) (*net.TCPListener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("bind %s (%s): %w; it must be of the form 127.0.0.1:8123", addr, flag, err)
	}
	if !hasPassword && !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("bind %s (%s): other machines could read and change everything; set a password, or use a loopback address such as 127.0.0.1", addr, flag)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", tcp.String())
	if err != nil {
		return nil, explainBind(err, addr, flag)
	}
	tl, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("bind %s (%s): not a TCP address", addr, flag), ln.Close())
	}
	return tl, nil
}

func explainBind(err error, addr, flag string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("address %s (%s) is taken by another program; stop it or choose another: %w", addr, flag, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("address %s (%s) may not be bound by this user; choose a port from 1024 up: %w", addr, flag, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("address %s (%s) is not one of this machine; use 127.0.0.1: %w", addr, flag, syscall.EADDRNOTAVAIL)
	}
	return fmt.Errorf("bind %s (%s): %w; choose another address", addr, flag, errors.New(strings.TrimPrefix(err.Error(), "listen tcp ")))
}
