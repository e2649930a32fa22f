package chdb

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// Options are what Open needs.
type Options struct {
	// LibraryPath is the file of libchdb.
	LibraryPath string
	// DataPath is the directory that holds databases and tables; it is made when missing.
	DataPath string
	// ConfigFile is an XML file with server settings, as for clickhouse-server. Empty means none.
	ConfigFile string
	// Timezone is the time zone of the server, for example "UTC". Empty leaves it to TZ and the system.
	Timezone string
	// Args are further command-line arguments of the form --name=value: server settings of the engine, which count for
	// the process, and query settings, which count for the engine's own connection only.
	Args []string
}

// Engine is the running ClickHouse engine of this process.
type Engine struct {
	lib  *library
	args []string

	mu     sync.Mutex
	keeper *Conn // holds the engine open; see the package comment
	open   int   // connections handed out and not yet closed
	closed bool
}

// Open starts the engine on one storage path.
func Open(opts Options) (*Engine, error) {
	lib, err := load(opts.LibraryPath, opts.Timezone)
	if err != nil {
		return nil, err
	}
	if opts.DataPath == "" {
		return nil, errors.New("open ClickHouse engine: no data path given")
	}
	args := []string{"--path=" + opts.DataPath}
	// Always named: without it the engine would read a config.xml that happens to lie in the working directory. A file
	// that does not exist means none.
	configFile := opts.ConfigFile
	if configFile == "" {
		configFile = filepath.Join(opts.DataPath, "no-config.xml")
	}
	args = append(args, "--config-file="+configFile)
	e := &Engine{lib: lib, args: args}
	keeper, err := e.connect(append(append([]string(nil), args...), opts.Args...))
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse engine on %s: %w; "+
			"the directory may belong to another running engine, or may not be writable (the engine writes the reason to its standard error)", opts.DataPath, err)
	}
	e.keeper = keeper
	return e, nil
}

// Version is the version of the loaded library, for example "26.7.3".
func (e *Engine) Version() string { return goString(e.lib.version()) }

// Connect opens a connection with query settings of its own. Names that are no settings of the engine are ignored by
// it: check them before. An invalid value makes Connect fail, with the reason only on the engine's standard error.
func (e *Engine) Connect(settings map[string]string) (*Conn, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, errors.New("connect to ClickHouse engine: the engine is closed")
	}
	e.open++
	e.mu.Unlock()
	args := append([]string(nil), e.args...)
	for name, value := range settings {
		args = append(args, "--"+name+"="+value)
	}
	c, err := e.connect(args)
	if err != nil {
		e.released()
		return nil, err
	}
	return c, nil
}

// Exec runs a statement on the engine's own connection, in the database it was opened with. It is for housekeeping: calls
// run one after the other.
func (e *Engine) Exec(sql string, params ...Param) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errors.New("use ClickHouse engine: the engine is closed")
	}
	return e.keeper.Exec(sql, params...)
}

func (e *Engine) connect(args []string) (*Conn, error) {
	// argv is C strings; the engine copies what it keeps. Pinned, because Go pointers within Go memory are passed.
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]*byte, 0, len(args)+2)
	for _, a := range append([]string{"clickhouse"}, args...) {
		b := append([]byte(a), 0)
		pin.Pin(&b[0])
		argv = append(argv, &b[0])
	}
	argc := len(argv)
	argv = append(argv, nil)
	pin.Pin(&argv[0])
	h := e.lib.connect(int32(argc), unsafe.Pointer(&argv[0])) //nolint:gosec // argc is small
	if h == nil || *h == nil {
		return nil, errors.New("connect to ClickHouse engine: refused")
	}
	return &Conn{engine: e, lib: e.lib, handle: h}, nil
}

func (e *Engine) released() {
	e.mu.Lock()
	e.open--
	e.mu.Unlock()
}

// Close stops the engine: parts are flushed, background threads joined. Every connection must be closed before.
// Closing again does nothing. The engine cannot be opened again in this process.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	if e.open > 0 {
		n := e.open
		e.mu.Unlock()
		return fmt.Errorf("close ClickHouse engine: %d connections are still open", n)
	}
	e.closed = true
	e.mu.Unlock()
	// Closing the last connection flushes and closes all tables.
	e.lib.closeConn(e.keeper.handle)
	e.keeper = nil
	// What is left are idle threads of the engine's pools. Some do not stop when asked, not even by asking again as chdb.h
	// says; they hold nothing, and the process is about to end.
	for range shutdownTries {
		if e.lib.shutdown() == 0 {
			break
		}
		time.Sleep(shutdownPause)
	}
	return nil
}

const (
	shutdownTries = 10
	shutdownPause = 10 * time.Millisecond
)
