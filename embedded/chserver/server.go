package chserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// Server answers the ClickHouse HTTP interface.
type Server struct {
	cfg      Config
	log      *slog.Logger
	engine   *chdb.Engine
	http     *http.Server
	limiter  *limiter
	running  *processes
	sessions *sessions

	version  string // of the engine, for example 26.7.2.1
	timezone string
	settings map[string]bool // names of all settings

	requests sync.WaitGroup
	stop     context.CancelFunc // cancels all requests
	stopped  context.Context    //nolint:containedctx // the life of the server, not of a call

	shutdown    sync.Once
	shutdownErr error
}

// New opens the engine on the directory of cfg. It does not listen yet: see [Server.Serve]. A second engine on the same
// directory is refused.
func New(cfg Config, logger *slog.Logger) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure ClickHouse server: %w", err)
	}
	if err := prepareData(cfg.Path); err != nil {
		return nil, err
	}
	missing, err := repairDeduplication(cfg.Path)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		logger.Info("an INSERT was cut off at the end of the last run and can be repeated", "parts", missing)
	}
	engine, err := chdb.Open(chdb.Options{LibraryPath: cfg.LibraryPath, DataPath: cfg.Path, Timezone: "UTC", Args: engineArgs(cfg)})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: logger, engine: engine,
		limiter:  newLimiter(cfg.MaxConnections, cfg.MaxQueued),
		running:  &processes{byID: map[string]*process{}},
		sessions: &sessions{byKey: map[sessionKey]*session{}},
		settings: map[string]bool{},
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	if err := s.inspectEngine(); err != nil {
		s.stop()
		return nil, errors.Join(err, engine.Close())
	}
	s.http = &http.Server{
		Addr: cfg.Addr, Handler: s, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// engineArgs are the server settings of a small machine: caches take memory only as they fill, but the engine's defaults
// (5 GiB each) are made for a server of its own.
func engineArgs(cfg Config) []string {
	args := []string{
		"--default_database=", "--database=default", // see prepareData
		"--display_name=" + cfg.DisplayName,
		"--mark_cache_size=134217728",
		"--index_mark_cache_size=67108864",
		"--primary_index_cache_size=134217728",
		"--vector_similarity_index_cache_size=16777216",
		"--text_index_tokens_cache_size=33554432",
		"--text_index_header_cache_size=33554432",
		"--text_index_postings_cache_size=67108864",
		"--query_condition_cache_size=33554432",
		"--parquet_metadata_cache_size=16777216",
		"--iceberg_metadata_files_cache_size=16777216",
		"--compiled_expression_cache_size=33554432",
		"--max_thread_pool_free_size=64",
	}
	if cfg.MemoryLimitBytes > 0 {
		args = append(args, "--max_server_memory_usage="+strconv.FormatInt(cfg.MemoryLimitBytes, 10))
	}
	return append(args, cfg.EngineArgs...)
}

// inspectEngine asks the engine what the server must know of it.
func (s *Server) inspectEngine() error {
	conn, err := s.engine.Connect(nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	ask := func(sql string) (string, error) {
		r, err := conn.Query(sql, "TabSeparatedRaw")
		if err != nil {
			return "", fmt.Errorf("inspect ClickHouse engine: %w", err)
		}
		defer r.Close()
		return strings.TrimSpace(string(r.Bytes())), nil
	}
	if s.version, err = ask("SELECT version()"); err != nil {
		return err
	}
	if s.timezone, err = ask("SELECT timezone()"); err != nil {
		return err
	}
	names, err := ask("SELECT name FROM system.settings")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(names) {
		s.settings[name] = true
	}
	return nil
}

// Version is the version of the engine, for example "26.7.2.1".
func (s *Server) Version() string { return s.version }

// ListenAndServe serves on Config.Addr until Shutdown.
func (s *Server) ListenAndServe() error {
	ln, err := net.Listen("tcp", s.cfg.Addr) //nolint:noctx // lives as long as the server
	if err != nil {
		return fmt.Errorf("listen for ClickHouse clients on %s: %w; choose another address with --addr", s.cfg.Addr, err)
	}
	return s.Serve(ln)
}

// Serve answers clients on ln until Shutdown, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	s.log.Info("serving ClickHouse clients", "address", ln.Addr().String(), "version", s.version, "path", s.cfg.Path)
	if err := s.http.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve ClickHouse clients: %w", err)
	}
	return nil
}

// Shutdown stops in order: no new clients; running statements may end until ctx does and are then cancelled; the engine
// is closed, so that everything is on disk. It may be called again, and gives the same result.
func (s *Server) Shutdown(ctx context.Context) error {
	s.shutdown.Do(func() { s.shutdownErr = s.close(ctx) })
	return s.shutdownErr
}

// cancelGrace is how long cancelled statements get to end.
const cancelGrace = 30 * time.Second

func (s *Server) close(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil { // the time is up, or a handler hangs
		s.stop()
		s.running.cancelAll()
		graceCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
		defer cancel()
		if err := s.http.Shutdown(graceCtx); err != nil {
			_ = s.http.Close()
		}
	}
	s.stop()
	s.requests.Wait()
	s.sessions.closeAll()
	if err := s.engine.Close(); err != nil {
		return fmt.Errorf("shut down ClickHouse server: %w", err)
	}
	s.log.InfoContext(ctx, "ClickHouse server has stopped", "path", s.cfg.Path)
	return nil
}
