package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// processSpec says how to start a child.
type processSpec struct {
	name      string // for messages
	path      string
	args      []string
	env       []string
	dir       string
	files     []*os.File // become descriptors 3, 4, …
	log       string     // file for standard output and error
	privilege privilege
	onDeath   syscall.Signal // what the child gets when the parent dies, where the kernel can do that
}

// process is a running child.
type process struct {
	name     string
	cmd      *exec.Cmd
	log      string
	logStart int64
	done     chan struct{} // closed when the child has ended
	err      error         // how it ended; valid once done is closed
}

// startProcess starts a child. It does not belong to any context: whoever starts it must see to its end.
func startProcess(spec processSpec) (*process, error) {
	logFile, logStart, err := openLog(spec.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name, err)
	}
	defer logFile.Close()
	cmd := exec.Command(spec.path, spec.args...) //nolint:gosec,noctx // Ours; its end is stop, not a context.
	cmd.Dir, cmd.Env, cmd.ExtraFiles = spec.dir, spec.env, spec.files
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = sysProcAttr(spec.privilege, spec.onDeath)
	p := &process{name: spec.name, cmd: cmd, log: spec.log, logStart: logStart, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel counts the death of the thread that made the child as the death of the parent, so this
		// goroutine keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.name, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal sends a signal; a child that has ended is no error.
func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// ended says how the child ended, with the end of its log. Only valid once done is closed.
func (p *process) ended() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return withTail(fmt.Errorf("%s ended unexpectedly (%s)", p.name, strings.TrimPrefix(how, "exec: ")), p.log, p.logStart)
}

// stop asks the child to end and kills it when ctx ends first, which the error reports.
func (p *process) stop(ctx context.Context, ask syscall.Signal) error {
	if err := p.signal(ask); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.kill()
	return fmt.Errorf("stop %s: it had not ended in time and was killed: %w", p.name, ctx.Err())
}

// kill ends the child at once and waits until it is gone.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL) // fails only for a child that is gone
	<-p.done
}

// permanent marks an answer that waiting does not change.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// waitReady calls ready again and again until it returns nil, the child ends, or ctx does.
func (p *process) waitReady(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A question must not hang on a child that has died.
	watch := make(chan struct{})
	go func() {
		defer close(watch)
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() { cancel(); <-watch }()
	pause := time.NewTimer(0)
	defer pause.Stop()
	var last error
	for {
		select {
		case <-p.done:
			return p.ended()
		case <-ctx.Done():
			select {
			case <-p.done:
				return p.ended()
			default:
			}
			if last == nil {
				last = errors.New("no answer")
			}
			return withTail(fmt.Errorf("wait for %s: %w (last: %w)", p.name, ctx.Err(), last), p.log, p.logStart)
		case <-pause.C:
		}
		err := ready(ctx)
		if err == nil {
			return nil
		}
		if errors.As(err, &permanent{}) {
			return err
		}
		if !errors.Is(err, context.Canceled) {
			last = err
		}
		pause.Reset(15 * time.Millisecond)
	}
}
