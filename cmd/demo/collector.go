// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 60 * time.Second
)

// collector is a running process.
type collector struct {
	endpoint string // where it takes OTLP/gRPC
	cmd      *exec.Cmd
	log      string
	exited   chan struct{}
	exitErr  error // valid once exited is closed
}

// startCollector starts binary with config on a free loopback port and waits until it listens.
func startCollector(ctx context.Context, binary, config string, f files) (*collector, error) {
	endpoint, err := freeEndpoint()
	if err != nil {
		return nil, fmt.Errorf("no free port on loopback: %w", err)
	}
	log, err := os.Create(f.collectorLog)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy
	c := &collector{endpoint: endpoint, log: f.collectorLog, exited: make(chan struct{})}
	c.cmd = exec.Command(binary, "--config", config)
	c.cmd.Env = append(os.Environ(), "FIREBREAK_OTLP_ENDPOINT="+endpoint, "FIREBREAK_OUT="+f.dir)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the collector: %w; `make otelcol` builds it", err)
	}
	go func() {
		c.exitErr = c.cmd.Wait()
		close(c.exited)
	}()
	if err := c.waitReady(ctx); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

func freeEndpoint() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (c *collector) waitReady(ctx context.Context) error {
	deadline := time.After(startTimeout)
	for {
		if conn, err := net.DialTimeout("tcp", c.endpoint, time.Second); err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-c.exited:
			return fmt.Errorf("the collector ended at its start (%v); the end of %s:\n%s", c.exitErr, c.log, c.logTail())
		case <-deadline:
			return fmt.Errorf("the collector does not listen on %s after %v; see %s", c.endpoint, startTimeout, c.log)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop asks the collector to end and waits until all is written.
func (c *collector) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the collector: %w", err)
	}
	select {
	case <-c.exited:
	case <-time.After(stopTimeout):
		c.kill()
		return fmt.Errorf("the collector did not end within %v of SIGTERM; see %s", stopTimeout, c.log)
	}
	if c.exitErr != nil {
		return fmt.Errorf("the collector ended badly (%w); the end of %s:\n%s", c.exitErr, c.log, c.logTail())
	}
	return nil
}

// kill ends the process after something went wrong.
func (c *collector) kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
}

// maxWarnings is how many lines of the collector's log are shown.
const maxWarnings = 3

// warnings are the first lines of the log that are worse than information.
func (c *collector) warnings() (lines []string) {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(text)) {
		if len(lines) == maxWarnings {
			return append(lines, "...")
		}
		if strings.Contains(line, "\twarn\t") || strings.Contains(line, "\terror\t") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func (c *collector) logTail() string {
	const lines = 15
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
