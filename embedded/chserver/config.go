package chserver

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// User may use the server.
type User struct {
	Name     string
	Password string
	// ReadOnly users can query but not change data; they may still change settings of their queries, as a user of
	// ClickHouse with readonly=2.
	ReadOnly bool
}

// Config is what the server needs. The zero value of every field but Path has a default.
type Config struct {
	// Path is the directory of the databases; it is made when missing. One running server per directory.
	Path string
	// Addr is where [Server.ListenAndServe] listens; default 127.0.0.1:8123.
	Addr string
	// Users who may connect; default one user "default" without password.
	Users []User
	// MaxConnections bounds the statements that run at the same time; each takes a thread. Default min(8, 2·CPUs)+4.
	MaxConnections int
	// MaxQueued bounds the statements that wait for their turn. Beyond it a client gets TOO_MANY_SIMULTANEOUS_QUERIES
	// (code 202). Default 1000.
	MaxQueued int
	// MemoryLimitBytes is the engine's max_server_memory_usage; beyond it statements fail. Default: 0.9 of the
	// machine's memory, the engine's own default.
	MemoryLimitBytes int64
	// LibraryPath is the file of libchdb; see package engine.
	LibraryPath string
	// DisplayName is the server's name in displayName() and X-ClickHouse-Server-Display-Name; default "agenttrail".
	DisplayName string
	// EngineArgs are further settings of the engine in the form --name=value.
	EngineArgs []string
}

const (
	defaultAddr      = "127.0.0.1:8123"
	defaultMaxQueued = 1000

	readHeaderTimeout = 30 * time.Second
	idleTimeout       = 3 * time.Minute
	maxHeaderBytes    = 2 << 20 // the statement may be in the URL; ClickHouse's http_max_uri_size is 1 MiB

	defaultSessionTimeout = 60 * time.Second   // ClickHouse's default_session_timeout
	maxSessionTimeout     = 3600 * time.Second // ClickHouse's max_session_timeout
)

// withDefaults gives a copy with all defaults filled in.
func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = defaultAddr
	}
	if len(c.Users) == 0 {
		c.Users = []User{{Name: "default"}}
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = min(8, 2*runtime.NumCPU()) + 4
	}
	if c.MaxQueued == 0 {
		c.MaxQueued = defaultMaxQueued
	}
	if c.DisplayName == "" {
		c.DisplayName = "agenttrail"
	}
	return c
}

// Validate says everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: must name the data directory"))
	}
	if c.LibraryPath == "" {
		errs = append(errs, errors.New("library_path: must name the file of libchdb; install it with `agenttrail engines`"))
	}
	if c.MaxConnections < 0 {
		errs = append(errs, fmt.Errorf("max_connections: must not be negative, is %d", c.MaxConnections))
	}
	if c.MaxQueued < 0 {
		errs = append(errs, fmt.Errorf("max_queued: must not be negative, is %d", c.MaxQueued))
	}
	if c.MemoryLimitBytes < 0 {
		errs = append(errs, fmt.Errorf("memory_limit_bytes: must not be negative, is %d", c.MemoryLimitBytes))
	}
	seen := map[string]bool{}
	for i, u := range c.Users {
		if u.Name == "" {
			errs = append(errs, fmt.Errorf("users[%d].name: must not be empty", i))
		}
		if seen[u.Name] {
			errs = append(errs, fmt.Errorf("users[%d].name: %q is there twice", i, u.Name))
		}
		seen[u.Name] = true
	}
	return errors.Join(errs...)
}
