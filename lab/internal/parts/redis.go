// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"errors"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
)

// ErrNoRedis says that redis-server is not installed.
var ErrNoRedis = errors.New("redis-server is not installed: run \"lab deps\"")

// Redis is a cache without persistence.
type Redis struct{ *Process }

// StartRedis starts a server on address.
func StartRedis(scratch, address string) (*Redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrNoRedis
	}
	cmd := exec.Command(program, "--bind", address, "--port", network.CachePort, "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", scratch)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	p, err := StartProcess(scratch, "redis", cmd)
	if err != nil {
		return nil, err
	}
	r := &Redis{Process: p}
	if err := p.Await(10*time.Second, func() error { return answers(address, network.CachePort) }); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// Stop ends the server.
func (r *Redis) Stop() { r.Process.Stop(syscall.SIGTERM, 3*time.Second) }

// answers says whether something listens.
func answers(address, port string) error {
	c, err := net.DialTimeout("tcp", net.JoinHostPort(address, port), time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
