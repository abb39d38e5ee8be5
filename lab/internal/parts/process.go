// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package parts starts and stops what the lab is made of: PostgreSQL, Redis,
// the broker, and the shop's own processes. Each part is a real process that
// can be killed, paused and asked.
package parts

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is a child in its own process group, which dies with the lab even if
// the lab is killed.
type Process struct {
	Name string
	cmd  *exec.Cmd
	done chan struct{}
	out  string
}

// StartProcess starts cmd with its output in dir/name.log. It must be called
// from the main thread: the kernel's parent-death signal follows the thread.
func StartProcess(dir, name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, done: make(chan struct{}), out: filepath.Join(dir, name+".log")}
	log, err := os.OpenFile(p.out, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Signal signals the whole process group.
func (p *Process) Signal(s syscall.Signal) error {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		return fmt.Errorf("signal %s to %s: %w", s, p.Name, err)
	}
	return nil
}

// Pause stops the process where it stands; Resume lets it go on.
func (p *Process) Pause() error { return p.Signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (p *Process) Resume() error { return p.Signal(syscall.SIGCONT) }

// Stop asks with s and, after grace, kills. It is safe to call twice.
func (p *Process) Stop(s syscall.Signal, grace time.Duration) {
	if p == nil || p.exited() {
		return
	}
	_ = p.Resume()
	_ = p.Signal(s)
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.Signal(syscall.SIGKILL)
		<-p.done
	}
}

func (p *Process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Await calls ready until it returns nil, the process exits, or limit passes.
func (p *Process) Await(limit time.Duration, ready func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if p.exited() {
			return fmt.Errorf("%s ended at its start, its last words: %s", p.Name, p.tail())
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%s not ready after %s, its last words: %s", p.Name, limit, p.tail()), err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// tail returns the end of the process's output.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.out)
	if err != nil {
		return err.Error()
	}
	if len(b) > 800 {
		b = b[len(b)-800:]
	}
	return string(bytes.TrimSpace(b))
}
