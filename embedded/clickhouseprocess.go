package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/embedded/engine"
)

// clickHouseGrace is how long the engine may take to end after it was asked to.
const clickHouseGrace = 30 * time.Second

// ClickHouseProcess is the embedded ClickHouse server within this process: what `agenttrail clickhouse` runs, and
// what Server starts as a child. There can be one per process.
type ClickHouseProcess struct {
	Data             string // folder of the databases
	Addr             string // unless ListenFD is set
	Library          string // empty means engine.ClickHouse
	PasswordFile     string // empty means no password
	MemoryLimitBytes int64
	MaxConnections   int
	ListenFD         int // inherited listener; 0 means none
	ParentFD         int // inherited pipe whose end means that the parent has died; 0 means none
}

// AddFlags declares the flags that set the fields. A parent passes them to its child, so they do not change lightly.
func (p *ClickHouseProcess) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&p.Data, "data", "agenttrail-clickhouse", "folder of the databases; made when missing")
	fs.StringVar(&p.Addr, "addr", DefaultClickHouseAddr, "address of the HTTP interface; port 0 chooses a free port")
	fs.StringVar(&p.PasswordFile, "password-file", "", "file with the password of the user default; none if empty")
	fs.Var((*byteSize)(&p.MemoryLimitBytes), "memory-limit", "memory of the engine, such as 2GiB; 0 leaves it to the engine")
	fs.IntVar(&p.MaxConnections, "max-connections", 0, "statements that run at a time; 0 leaves it to the server")
	fs.StringVar(&p.Library, "library", "", "ClickHouse library; the installed one if empty")
	fs.IntVar(&p.ListenFD, "listen-fd", 0, "inherited listener")
	fs.IntVar(&p.ParentFD, "parent-fd", 0, "inherited pipe of the parent")
	for _, internal := range []string{"listen-fd", "parent-fd"} {
		if err := fs.MarkHidden(internal); err != nil {
			panic("BUG: " + err.Error())
		}
	}
}

// Run serves until ctx ends or the parent dies, and calls ready with the address once it does.
func (p *ClickHouseProcess) Run(ctx context.Context, logger *slog.Logger, ready func(addr string)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if p.ParentFD != 0 {
		p.watchParent(cancel, logger)
	}
	password, err := p.password()
	if err != nil {
		return err
	}
	ln, err := p.listener(ctx, password != "")
	if err != nil {
		return err
	}
	defer ln.Close()
	library := p.Library
	if library == "" {
		if library, err = engine.ClickHouse(); err != nil {
			return err
		}
	}
	data, err := filepath.Abs(p.Data)
	if err != nil {
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("start ClickHouse: %w; choose a folder you can write to with --data", err)
	}
	cfg := chserver.Config{
		Path: data, Users: []chserver.User{{Name: clickHouseUser, Password: password}},
		MaxConnections: p.MaxConnections, MemoryLimitBytes: p.MemoryLimitBytes, LibraryPath: library,
	}
	// The engine cannot be interrupted, so everything that may block in it runs beside the wait for the end.
	done := make(chan error, 1)
	go func() { done <- serveClickHouse(ctx, cfg, logger, ln, ready) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(clickHouseGrace + 5*time.Second):
		return errors.New("stop ClickHouse: the engine did not end in time; nothing acknowledged is lost")
	}
}

func serveClickHouse(ctx context.Context, cfg chserver.Config, logger *slog.Logger, ln net.Listener, ready func(string)) error {
	srv, err := chserver.New(cfg, logger)
	if err != nil {
		return fmt.Errorf("start ClickHouse: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	ready(ln.Addr().String())
	var serveErr error
	select {
	case <-ctx.Done():
	case serveErr = <-served:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), clickHouseGrace)
	defer cancel()
	if errors.Is(serveErr, http.ErrServerClosed) {
		serveErr = nil
	}
	return errors.Join(serveErr, srv.Shutdown(stop))
}

// watchParent calls gone when nobody holds the other end of the pipe any more.
func (p *ClickHouseProcess) watchParent(gone func(), logger *slog.Logger) {
	syscall.CloseOnExec(p.ParentFD)
	pipe := os.NewFile(uintptr(p.ParentFD), "parent")
	go func() {
		_, _ = io.Copy(io.Discard, pipe) // any end of it is the parent's end
		logger.Info("parent has ended, stopping")
		gone()
	}()
}

func (p *ClickHouseProcess) listener(ctx context.Context, hasPassword bool) (net.Listener, error) {
	if p.ListenFD == 0 {
		return Listen(ctx, p.Addr, "--addr", hasPassword)
	}
	file := os.NewFile(uintptr(p.ListenFD), "listener")
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("use inherited listener: %w", err)
	}
	return ln, file.Close()
}

func (p *ClickHouseProcess) password() (string, error) {
	if p.PasswordFile == "" {
		return "", nil
	}
	raw, err := os.ReadFile(p.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read ClickHouse password: %w; name a readable file with --password-file", err)
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

// byteSize is a flag value: a number of bytes, or one with a unit such as 512MiB.
type byteSize int64

// String implements pflag.Value.
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "size" }

// Set implements pflag.Value.
func (b *byteSize) Set(s string) error {
	number, factor := s, int64(1)
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			number, factor = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return fmt.Errorf("%q is no size; write bytes, or a number with KiB, MiB, GiB or TiB such as 2GiB", s)
	}
	*b = byteSize(n * factor)
	return nil
}
