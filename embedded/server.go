package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/agenttrail/agenttrail/embedded/engine"
)

// Server runs the embedded engines on one data folder. Set the fields before Start and leave them alone afterwards.
type Server struct {
	// Dir is the data folder; it is made when missing, readable for its owner only.
	Dir string
	// Logger gets starts, stops and crashes; nil discards them.
	Logger *slog.Logger
	// Engines finds the engines; nil means engine.FromEnv.
	Engines *engine.Finder
	// StartTimeout bounds how long an engine may take until it answers, recovery included. 0 means 2 minutes.
	StartTimeout time.Duration

	ClickHouse ClickHouseConfig
	Postgres   PostgresConfig

	restart restartPolicy // zero means defaultRestart

	failOnce sync.Once
	failures chan error

	mu      sync.Mutex // held while starting and stopping
	state   serverState
	stopErr error
	folder  *dataFolder
	ch      *clickHouse
	pg      *postgres
	units   []*unit // in order of stopping
}

type serverState int

const (
	stateNew serverState = iota
	stateStarted
	stateStopped
)

// Start starts the engines and returns when both answer. ctx bounds the start only. A Server starts once.
func (s *Server) Start(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateNew {
		return errors.New("start engines: this server was started or shut down before")
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.StartTimeout == 0 {
		s.StartTimeout = 2 * time.Minute
	}
	if s.restart == (restartPolicy{}) {
		s.restart = defaultRestart
	}
	if s.Engines == nil {
		f, err := engine.FromEnv()
		if err != nil {
			return err
		}
		s.Engines = &f
	}
	s.folder, err = openDataFolder(s.Dir)
	if err != nil {
		return err
	}
	s.state = stateStarted
	defer func() {
		if err != nil {
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			err = errors.Join(err, s.shutdownLocked(cleanup))
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	errs := make([]error, len(s.units))
	var wg sync.WaitGroup
	startCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, u := range s.units {
		wg.Go(func() {
			if errs[i] = u.start(startCtx); errs[i] != nil {
				cancel() // no reason to wait for the other one
			}
		})
	}
	wg.Wait()
	return firstCause(ctx, errs)
}

// firstCause drops the errors of engines that were only interrupted because another one failed.
func firstCause(ctx context.Context, errs []error) error {
	var causes []error
	for _, err := range errs {
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
			causes = append(causes, err)
		}
	}
	return errors.Join(causes...)
}

// prepare builds the engines that are to run. What can go wrong without a process goes wrong here.
func (s *Server) prepare(ctx context.Context) error {
	var errs []error
	if !s.ClickHouse.Disabled {
		ch, err := newClickHouse(s)
		if err == nil {
			err = ch.prepare(ctx)
		}
		if err != nil {
			errs = append(errs, err)
		} else {
			s.ch = ch
			s.units = append(s.units, newUnit("ClickHouse", s, ch.launch, ch.stop, ch.close))
		}
	}
	if !s.Postgres.Disabled {
		pg, err := newPostgres(s)
		if err != nil {
			errs = append(errs, err)
		} else {
			s.pg = pg
			s.units = append(s.units, newUnit("Postgres", s, pg.launch, pg.stop, pg.close))
		}
	}
	return errors.Join(errs...)
}

// Shutdown stops the engines, ClickHouse before Postgres, and gives the data folder free. What has not ended when ctx
// does is killed, and the error says so; nothing that was committed is lost by that. Without a deadline in ctx it
// waits for a minute. Shutdown may be called at any time and more than once.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shutdownLocked(ctx)
}

func (s *Server) shutdownLocked(ctx context.Context) error {
	if s.state != stateStarted {
		s.state = stateStopped
		return s.stopErr
	}
	s.state = stateStopped
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	var errs []error
	for i, u := range s.units {
		errs = append(errs, u.shutdownWithin(ctx, len(s.units)-1-i))
	}
	if s.ch != nil {
		s.ch.close()
	}
	if s.pg != nil {
		s.pg.close()
	}
	errs = append(errs, s.folder.close())
	s.stopErr = errors.Join(errs...)
	return s.stopErr
}

// Err delivers the error of an engine that crashed too often and was given up. The server should be shut down then.
func (s *Server) Err() <-chan error {
	return s.errs()
}

func (s *Server) errs() chan error {
	s.failOnce.Do(func() { s.failures = make(chan error, 2) }) // one per engine, so that nobody has to listen
	return s.failures
}

// ClickHouseAddr returns the address that ClickHouse listens on, with the real port; empty if it does not run here.
func (s *Server) ClickHouseAddr() string {
	if s.ch == nil {
		return ""
	}
	return s.ch.addr
}

// ClickHouseURL returns the URL of the HTTP interface of ClickHouse with user and password, as clickhouse-go takes it.
func (s *Server) ClickHouseURL() string {
	if s.ch == nil {
		return ""
	}
	return s.ch.url()
}

// PostgresAddr returns the address that Postgres listens on, with the real port; empty if it does not run here.
func (s *Server) PostgresAddr() string {
	if s.pg == nil {
		return ""
	}
	return s.pg.addr()
}

// PostgresURL returns the URL of the database agenttrail with user and password, as pgx takes it.
func (s *Server) PostgresURL() string {
	if s.pg == nil {
		return ""
	}
	return s.pg.url(databaseName)
}

// Pids returns the process ids of the children that run now, by engine name, for status pages and tests.
func (s *Server) Pids() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	pids := map[string]int{}
	for _, u := range s.units {
		if pid := u.pid(); pid != 0 {
			pids[u.name] = pid
		}
	}
	return pids
}

func (s *Server) path(elem ...string) string {
	return filepath.Join(append([]string{s.folder.path}, elem...)...)
}

// writeSecret writes a file that only this user can read.
func writeSecret(path, secret string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { //nolint:gosec // Below the data folder.
		return fmt.Errorf("replace secret: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // Below the data folder.
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	_, err = f.WriteString(secret)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return nil
}
