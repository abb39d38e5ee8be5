// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/firebreak-otel/firebreak/lab/internal/services"
)

// Fleet is the shop's processes by instance.
type Fleet struct {
	scratch   string
	processes map[string]*Process
	configs   map[string]services.Config
}

// NewFleet returns an empty fleet whose output goes to scratch.
func NewFleet(scratch string) *Fleet {
	return &Fleet{scratch: scratch, processes: map[string]*Process{}, configs: map[string]services.Config{}}
}

// Start starts one instance and waits until it is up.
func (f *Fleet) Start(c services.Config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "service", c.Role)
	// Nothing of this machine's environment may reach a resource attribute.
	cmd.Env = []string{services.ConfigVariable + "=" + string(config)}
	p, err := StartProcess(f.scratch, c.Instance, cmd)
	if err != nil {
		return err
	}
	f.processes[c.Instance], f.configs[c.Instance] = p, c
	return p.Await(15*time.Second, func() error {
		if err := answers(c.Address, network.ControlPort); err != nil {
			return err
		}
		switch c.Role {
		case "gateway", "orders", "catalog":
			return answers(c.Address, network.HTTPPort)
		case "notifier":
			return answers(c.Address, network.GRPCPort)
		case "payments":
			return answers(c.Address, network.ListenPort(network.HTTPSPort))
		case "kfake":
			return answers(c.Address, network.BrokerPort)
		}
		return nil
	})
}

// Process returns the process of an instance.
func (f *Fleet) Process(instance string) (*Process, error) {
	if p, ok := f.processes[instance]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("no instance %q in the fleet", instance)
}

// Deploy restarts every instance of role with another version, one after the
// other.
func (f *Fleet) Deploy(role, version string) error {
	for _, instance := range slices.Sorted(maps.Keys(f.configs)) {
		c := f.configs[instance]
		if c.Role != role {
			continue
		}
		f.processes[instance].Stop(syscall.SIGTERM, 5*time.Second)
		c.Version = version
		if err := f.Start(c); err != nil {
			return err
		}
	}
	return nil
}

// SetMode changes how an instance behaves.
func (f *Fleet) SetMode(ctx context.Context, instance string, m services.Mode) error {
	c, ok := f.configs[instance]
	if !ok {
		return fmt.Errorf("no instance %q in the fleet", instance)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+net.JoinHostPort(c.Address, network.ControlPort)+"/mode", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("change the mode of %s: %w", instance, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("change the mode of %s: %s", instance, resp.Status)
	}
	return nil
}

// Stop ends all, those that emit telemetry first being asked, so that they
// flush. It is safe to call twice.
func (f *Fleet) Stop() {
	for _, p := range f.processes {
		if !p.exited() {
			_ = p.Resume()
			_ = p.Signal(syscall.SIGTERM)
		}
	}
	for _, p := range f.processes {
		p.Stop(syscall.SIGTERM, 6*time.Second)
	}
}
