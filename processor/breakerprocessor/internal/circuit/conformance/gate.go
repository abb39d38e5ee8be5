// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"time"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Gate is our breaker as a Subject, on a clock of its own that begins at a full day.
type Gate struct {
	gate *circuit.Gate
	now  time.Duration
}

// NewGate makes a gate of a case's configuration.
func NewGate(c *Config) (*Gate, error) {
	cfg := &circuit.GateConfig{
		MinimumCalls: c.MinimumCalls, FailureRatio: c.FailureRate, FailureCount: c.FailureCount,
		ConsecutiveFailures: c.ConsecutiveFailures, SlowRatio: c.SlowRate, SlowDuration: int64(c.Slow.Duration()),
		Open:        circuit.OpenTime{First: int64(c.Open.Duration()), Multiplier: c.OpenMultiplier, Max: int64(c.OpenMax.Duration())},
		MaxInFlight: c.HalfOpen.MaxInFlight, Probes: c.HalfOpen.Probes, MaxWait: int64(c.HalfOpen.MaxWait.Duration()),
	}
	switch c.Window.Type {
	case "count":
		cfg.WindowCalls = c.Window.Size
	case "time":
		cfg.WindowBuckets, cfg.BucketWidth = c.Window.Buckets, int64(c.Window.Duration.Duration())/int64(max(c.Window.Buckets, 1))
	default:
		return nil, fmt.Errorf("no such window: %q; count and time are known", c.Window.Type)
	}
	switch c.HalfOpen.Policy {
	case "all":
		cfg.Policy = circuit.AllSucceed
	case "rate":
		cfg.Policy = circuit.ByRate
	default:
		return nil, fmt.Errorf("no such half-open policy: %q; all and rate are known", c.HalfOpen.Policy)
	}
	return &Gate{circuit.NewGate(cfg, 0, nil), 20_000 * 24 * time.Hour}, nil
}

var outcomes = map[string]circuit.Outcome{"ok": circuit.OK, "fail": circuit.Fail, "throttled": circuit.Throttled, "ignored": circuit.Ignored}

// Acquire implements Subject.
func (g *Gate) Acquire() func(string, time.Duration) error {
	start := int64(g.now)
	if !g.gate.Admit(start) {
		return nil
	}
	return func(outcome string, took time.Duration) error {
		o, ok := outcomes[outcome]
		if !ok {
			return fmt.Errorf("no such outcome: %q", outcome)
		}
		g.gate.Record(int64(g.now), start, o, int64(took))
		return nil
	}
}

// Advance implements Subject.
func (g *Gate) Advance(d time.Duration) { g.now += d }

// Force implements Subject.
func (g *Gate) Force(state string) error {
	for s := circuit.Closed; s <= circuit.MetricsOnly; s++ {
		if s.String() == state {
			g.gate.Force(int64(g.now), s)
			return nil
		}
	}
	return fmt.Errorf("no such state: %q", state)
}

// State implements Subject.
func (g *Gate) State() string { return g.gate.State().String() }
