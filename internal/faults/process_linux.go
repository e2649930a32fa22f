package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a program that is started again whenever it ends, as a service manager would.
type process struct {
	name     string
	command  func() *exec.Cmd
	launcher func() *launcher
	output   *os.File

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   chan struct{} // Closed when cmd has ended.
	asked   bool          // Whether somebody wanted cmd to end.
	pause   time.Duration // Before the next start.
	excused int           // Faults that may make it end, or fail to start.
	shaky   bool          // Whether cmd was started during such a fault.
	excuses time.Time     // When the last of these faults ended.
	stopped bool
	starts  int
	deaths  []string // Ends that nobody asked for and nothing excuses.
	done    chan struct{}
}

// restartPause is how long a program that ended by itself stays down.
const restartPause = 200 * time.Millisecond

// excuseLasts is how long after a fault an end may still be its doing: on a busy machine it takes time.
const excuseLasts = 20 * time.Second

func startProcess(name string, l func() *launcher, output *os.File, command func() *exec.Cmd) (*process, error) {
	p := &process{name: name, command: command, launcher: l, output: output, done: make(chan struct{})}
	if err := p.start(); err != nil {
		return nil, err
	}
	go p.supervise()
	return p, nil
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := p.launcher().start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.starts++
	p.cmd, p.ended, p.asked, p.pause, p.shaky = cmd, make(chan struct{}), false, restartPause, p.excused > 0
	return nil
}

// supervise waits for the end of the program and starts it again.
func (p *process) supervise() {
	defer close(p.done)
	for {
		err := p.cmd.Wait()
		p.mu.Lock()
		excused := p.stopped || p.shaky || p.excused > 0 || time.Since(p.excuses) < excuseLasts
		switch {
		case excused:
		case !p.asked:
			p.deaths = append(p.deaths, fmt.Sprintf("%s ended by itself: %v", p.name, err))
		case p.cmd.ProcessState.ExitCode() > 0:
			p.deaths = append(p.deaths, fmt.Sprintf("%s did not end well when asked to: %v", p.name, err))
		}
		pause, stopped := p.pause, p.stopped
		close(p.ended)
		p.mu.Unlock()
		if stopped {
			return
		}
		time.Sleep(pause)
		if err := p.start(); err != nil {
			p.mu.Lock()
			p.deaths = append(p.deaths, err.Error())
			p.stopped = true
			p.mu.Unlock()
			return
		}
	}
}

// signal sends a signal, if the program is there to get it.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.send(s)
}

func (p *process) send(s syscall.Signal) bool {
	select {
	case <-p.ended:
		return false
	default:
		return p.cmd.Process.Signal(s) == nil
	}
}

// end sends a signal that ends the program, which stays down for the pause.
func (p *process) end(s syscall.Signal, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.send(s) {
		p.asked, p.pause = true, pause
	}
}

// excuse lets the program end or fail to start until the returned function is called.
func (p *process) excuse() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excused++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.excused--
		p.excuses = time.Now()
	})
}

// complaint returns an end that nobody asked for, with the last lines that the program wrote.
func (p *process) complaint() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.deaths) == 0 {
		return nil
	}
	text, err := os.ReadFile(p.output.Name())
	return errors.Join(err, fmt.Errorf("%s: %s", p.deaths[0], text[max(0, len(text)-1000):]))
}

// complaints returns the ends that nobody asked for since the last call.
func (p *process) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	deaths := p.deaths
	p.deaths = nil
	return deaths
}

// stop ends the program for good: with SIGTERM, and when that takes too long, with SIGKILL.
func (p *process) stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopped = true
	_ = p.send(syscall.SIGCONT)
	_ = p.send(syscall.SIGTERM)
	p.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("stop %s: %w", p.name, context.Cause(ctx))
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("stop %s: %w", p.name, errors.New(p.cmd.ProcessState.String()))
	}
	return nil
}
