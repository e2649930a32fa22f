package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// DefaultAddr is where the ledger listens.
const DefaultAddr = "127.0.0.1:8080"

// Times of a connection. A client that is slower loses it.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
)

// maxHeaderBytes bounds the header of a request.
const maxHeaderBytes = 32 << 10

// Server serves an API on one address, from Start until Shutdown.
type Server struct {
	api    *API
	addr   string
	server *http.Server
	errs   chan error

	mu       sync.Mutex
	listener net.Listener
	over     bool
	serving  sync.WaitGroup
}

// NewServer makes a server for addr, a host:port; port 0 takes a free one. Nothing is opened.
func NewServer(addr string, api *API, logger *slog.Logger) *Server {
	return &Server{
		api: api, addr: addr, errs: make(chan error, 1),
		server: &http.Server{
			Handler: api, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
}

// Start listens and begins to serve. ctx bounds the start only.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.listener != nil {
		return errors.New("start ledger API: it was started or shut down before")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s is taken by another program: stop it, or choose another address", s.addr)
	}
	if err != nil {
		return fmt.Errorf("listen for ledger API: %w", err)
	}
	s.listener = l
	s.serving.Go(func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.errs <- fmt.Errorf("serve ledger API: %w", err)
		}
	})
	return nil
}

// Addr is where it listens, once it is started.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return s.addr
	}
	return s.listener.Addr().String()
}

// Err delivers the error of a server that stops by itself.
func (s *Server) Err() <-chan error { return s.errs }

// Shutdown stops to be ready, takes no new requests and answers those that are being answered. When ctx ends first, their
// connections are closed. It may be called twice, and without Start.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.api.Drain()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop ledger API: %w", err), s.server.Close())
	}
	s.serving.Wait()
	return err
}
