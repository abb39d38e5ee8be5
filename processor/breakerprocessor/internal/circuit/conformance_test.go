// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	millisecond = int64(1e6)
	// day is where the cases begin: all their windows' buckets are aligned to it.
	day = 20_000 * 86_400 * second
)

type conformanceCase struct {
	ID, Title string
	Config    conformanceConfig
	Steps     []conformanceStep
}

type conformanceConfig struct {
	Window struct {
		Type     string
		Size     uint32
		Duration int64 `json:"duration_ms"`
		Buckets  int
	}
	MinimumCalls        uint32  `json:"min_calls"`
	FailureRate         float64 `json:"failure_rate"`
	ConsecutiveFailures uint32  `json:"consecutive_failures"`
	FailureCount        uint32  `json:"failure_count"`
	Slow                int64   `json:"slow_ms"`
	SlowRate            float64 `json:"slow_rate"`
	Open                int64   `json:"open_ms"`
	OpenMultiplier      float64 `json:"open_multiplier"`
	OpenMax             int64   `json:"open_max_ms"`
	HalfOpen            struct {
		MaxInFlight uint32 `json:"max_in_flight"`
		Probes      uint32
		Policy      string
		MaxWait     int64 `json:"max_wait_ms"`
	} `json:"half_open"`
}

type conformanceStep struct {
	Do, Outcome, Tag, To, State string
	N                           int
	Duration                    int64 `json:"dur_ms"`
	Advance                     int64 `json:"ms"`
	Admitted                    *int
}

func (c *conformanceConfig) gate(t *testing.T) *GateConfig {
	cfg := &GateConfig{
		MinimumCalls: c.MinimumCalls, FailureRatio: c.FailureRate, FailureCount: c.FailureCount,
		ConsecutiveFailures: c.ConsecutiveFailures, SlowRatio: c.SlowRate, SlowDuration: c.Slow * millisecond,
		Open:        OpenTime{First: c.Open * millisecond, Multiplier: c.OpenMultiplier, Max: c.OpenMax * millisecond},
		MaxInFlight: c.HalfOpen.MaxInFlight, Probes: c.HalfOpen.Probes, MaxWait: c.HalfOpen.MaxWait * millisecond,
	}
	switch c.Window.Type {
	case "count":
		cfg.WindowCalls = c.Window.Size
	case "time":
		cfg.WindowBuckets, cfg.BucketWidth = c.Window.Buckets, c.Window.Duration*millisecond/int64(c.Window.Buckets)
	default:
		require.FailNow(t, "no such window", "%q", c.Window.Type)
	}
	policies := map[string]Policy{"all": AllSucceed, "rate": ByRate}
	require.Contains(t, policies, c.HalfOpen.Policy)
	cfg.Policy = policies[c.HalfOpen.Policy]
	return cfg
}

// conformanceFiles are our own cases, and those of a file that FIREBREAK_CONFORMANCE names.
func conformanceFiles(t *testing.T) map[string][]conformanceCase {
	files := map[string]string{"own": filepath.Join("..", "..", "testdata", "conformance.json")}
	if name := os.Getenv("FIREBREAK_CONFORMANCE"); name != "" {
		files["given"] = name
	}
	out := map[string][]conformanceCase{}
	for label, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var file struct {
			Cases []conformanceCase `json:"breaker_cases"`
		}
		require.NoError(t, json.Unmarshal(text, &file), name)
		require.NotEmpty(t, file.Cases, "%s has no breaker_cases", name)
		out[label] = file.Cases
	}
	return out
}

// Every case, step by step: how many calls are admitted, and the state after it.
func TestConformance(t *testing.T) {
	for file, cases := range conformanceFiles(t) {
		for _, c := range cases {
			t.Run(file+"/"+c.ID, func(t *testing.T) {
				t.Log(c.Title)
				d := &conformanceDriver{t: t, g: NewGate(c.Config.gate(t), 0, nil), now: day, held: map[string][]int64{}}
				for i, s := range c.Steps {
					admitted := d.do(s)
					if s.Admitted != nil {
						assert.Equal(t, *s.Admitted, admitted, "step %d (%s): admitted", i+1, s.Do)
					}
					if s.State != "" {
						assert.Equal(t, s.State, d.g.State().String(), "step %d (%s): state", i+1, s.Do)
					}
				}
			})
		}
	}
}

type conformanceDriver struct {
	t    *testing.T
	g    *Gate
	now  int64
	held map[string][]int64 // start times of the calls that were acquired, by tag
}

// do takes one step and returns how many calls were admitted.
func (d *conformanceDriver) do(s conformanceStep) (admitted int) {
	n := max(s.N, 1)
	outcomes := map[string]Outcome{"ok": OK, "fail": Fail, "ignored": Ignored, "throttled": Throttled}
	switch s.Do {
	case "call":
		require.Contains(d.t, outcomes, s.Outcome)
		for range n {
			if d.g.Admit(d.now) {
				admitted++
				d.g.Record(d.now, d.now, outcomes[s.Outcome], s.Duration*millisecond)
			}
		}
	case "acquire":
		for range n {
			if d.g.Admit(d.now) {
				admitted++
				d.held[s.Tag] = append(d.held[s.Tag], d.now)
			}
		}
	case "finish":
		require.Contains(d.t, outcomes, s.Outcome)
		require.LessOrEqual(d.t, n, len(d.held[s.Tag]), "more are to finish than were acquired as %q", s.Tag)
		for _, start := range d.held[s.Tag][:n] {
			d.g.Record(d.now, start, outcomes[s.Outcome], s.Duration*millisecond)
		}
		d.held[s.Tag] = d.held[s.Tag][n:]
	case "advance":
		d.now += s.Advance * millisecond
	case "force":
		to, ok := stateNamed(s.To)
		require.True(d.t, ok, "no such state: %q", s.To)
		d.g.Force(d.now, to)
	default:
		require.FailNow(d.t, "no such step", "%q", s.Do)
	}
	return admitted
}

func stateNamed(name string) (State, bool) {
	for s := Closed; s <= MetricsOnly; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
