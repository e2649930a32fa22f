package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that is ended by its id.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan error
	out  *lines
}

// lines keeps what a process says and hands out the line that somebody waits for.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) find(prefix string) (rest string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if _, rest, ok := strings.Cut(line, prefix); ok {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// start runs a program whose output goes to a file in dir as well.
func start(dir, name string, env []string, program string, args ...string) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(program, args...), log: log, done: make(chan error, 1), out: &lines{}}
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = childAttr()
	read, write := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = write, write
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		scan := bufio.NewScanner(read)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			fmt.Fprintln(log, scan.Text())
			p.out.mu.Lock()
			fmt.Fprintln(&p.out.text, scan.Text())
			p.out.mu.Unlock()
		}
		_, _ = io.Copy(log, read)
	}()
	go func() {
		err := p.cmd.Wait()
		_ = write.Close()
		p.done <- err
	}()
	return p, nil
}

// line waits until the process says something after prefix.
func (p *process) line(ctx context.Context, prefix string) (string, error) {
	for {
		if rest, ok := p.out.find(prefix); ok {
			return rest, nil
		}
		select {
		case err := <-p.done:
			p.done <- err
			return "", fmt.Errorf("it ended (%v): see %s", err, p.log.Name())
		case <-ctx.Done():
			return "", fmt.Errorf("wait for %q: %w: see %s", prefix, context.Cause(ctx), p.log.Name())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the process in order, or kills it after a minute.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("process %d did not end within a minute", p.cmd.Process.Pid)
	}
}

// cpu is the CPU time that the process used so far, in steps of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 14 {
		return 0, errors.New("read CPU time: too few fields")
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// peak is the most memory that the process had, in bytes.
func (p *process) peak() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err
}

// freePort asks the kernel for a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
