// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

const (
	// confidence and failureFloor keep edges with few calls closed until chance is out of the question: the
	// ratio is at least failureFloor with so many standard deviations, one-sided 99.9 %.
	confidence   = 3.09
	failureFloor = 0.25
	// surprise is how much likelier, as a logarithm, failures must be than by chance, given what is usual on the edge:
	// less than one false alarm a day on a thousand edges of which each call fails one time in twenty.
	surprise = 15
	// loadConfidence and loadCalls are what the load rule needs to be sure: a chance of a billionth a look.
	loadConfidence = 5
	loadCalls      = 50
	// baselineCap is the failure ratio that opens an edge however much usually fails there.
	baselineCap = 0.9
	// jitter spreads open times, so that the breakers of one outage do not all turn at once.
	jitter = 0.2
	// maxTraceSpans is how many spans of one trace are looked at.
	maxTraceSpans = 2000
)

// ramp is the shares of the calls that callers who obey are to make when the open time is over.
var ramp = []float64{0.01, 0.1, 0.5, 1}

// settings are the configuration as the engine reads it.
func (c *Config) settings() engine.Settings {
	s := engine.Settings{
		Lateness:      c.AllowedLateness.Nanoseconds(),
		MaxSpans:      c.MaxSpans,
		MaxTraceSpans: maxTraceSpans,
		MaxFailing:    c.MaxFailingTraces,
		Settings: edge.Settings{
			Circuit:       c.circuit(&c.BreakerConfig),
			Buckets:       c.Window.Buckets,
			Bucket:        c.bucket().Nanoseconds(),
			MaxEdges:      c.MaxEdges,
			MaxOperations: c.MaxOperations,
			Idle:          c.IdleTimeout.Nanoseconds(),
			MaxOpenShare:  c.MaxOpenShare,
			SlowFactor:    c.Slow.Factor,
			SlowFloor:     c.Slow.Floor.Nanoseconds(),
			Settling:      c.Settling.Nanoseconds(),
		},
	}
	for i := range c.Edges {
		e := &c.Edges[i]
		s.Rules = append(s.Rules, edge.Rule{
			Caller: e.Caller, Callee: e.Callee, ByOperation: e.ByOperation, State: states[e.State], Circuit: c.circuit(&e.BreakerConfig),
		})
	}
	return s
}

var states = map[string]circuit.State{stateForceOpen: circuit.ForcedOpen, stateDisabled: circuit.Disabled}

func (c *Config) circuit(b *BreakerConfig) *circuit.Config {
	return &circuit.Config{
		// Buckets are whole nanoseconds: what does not divide is left out of the window.
		Window:          c.bucket().Nanoseconds() * int64(c.Window.Buckets),
		FailureRatio:    b.FailureRatio,
		MinimumCalls:    uint32(b.MinimumCalls),
		Confidence:      confidence,
		FailureFloor:    min(failureFloor, b.FailureRatio/2),
		Surprise:        surprise,
		BaselineFactor:  b.BaselineFactor,
		BaselineCap:     baselineCap,
		FastWindow:      b.Fast.Duration.Nanoseconds(),
		FastRatio:       b.Fast.FailureRatio,
		FastCalls:       uint32(b.Fast.MinimumCalls),
		LoadConfidence:  loadConfidence,
		LoadCalls:       loadCalls,
		SlowRatio:       b.Slow.Ratio,
		SlowCalls:       uint32(b.Slow.MinimumCalls),
		Consecutive:     uint32(b.ConsecutiveFailures),
		FailureCount:    uint32(b.FailureCount),
		CloseRatio:      b.CloseRatio,
		ProbeCalls:      uint32(b.ProbeCalls),
		OpenDuration:    b.OpenDuration.Nanoseconds(),
		MaxOpenDuration: b.MaxOpenDuration.Nanoseconds(),
		Ramp:            ramp,
		Jitter:          jitter,
	}
}
