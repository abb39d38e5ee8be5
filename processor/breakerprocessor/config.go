// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
)

// Config is the configuration of the breaker processor. No setting holds telemetry back, and none cuts a call.
type Config struct {
	// Window is how much of the past of an edge is looked at.
	Window WindowConfig `mapstructure:"window"`
	// BreakerConfig is how each breaker judges.
	BreakerConfig `mapstructure:",squash"`
	// Edges are exceptions for single edges; the first that matches holds.
	Edges []EdgeConfig `mapstructure:"edges"`
	// MaxOpenShare (0..1) of all edges may be open at once, but one always may.
	MaxOpenShare float64 `mapstructure:"max_open_share"`
	// Settling is how long a failure waits, at most, for the callee's own spans to show whether it began there.
	Settling time.Duration `mapstructure:"settling"`
	// AllowedLateness is how late a span may arrive without the engine's clock being in doubt about it.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// MaxEdges is how many edges (caller -> callee) are watched.
	MaxEdges int `mapstructure:"max_edges"`
	// MaxOperations is how many operations of an edge are told apart where an edge's by_operation asks for it.
	MaxOperations int `mapstructure:"max_operations"`
	// MaxSpans is how many of the newest spans are remembered, in outline, to find out where failures began.
	MaxSpans int `mapstructure:"max_spans"`
	// MaxFailingTraces is how many traces with failures may wait to be looked at.
	MaxFailingTraces int `mapstructure:"max_failing_traces"`
	// IdleTimeout is after how long without a call an edge is forgotten.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// EventQueueSize is how many event records may wait for the logs pipeline.
	EventQueueSize int `mapstructure:"event_queue_size"`
}

// BreakerConfig is how one breaker judges.
type BreakerConfig struct {
	// FailureRatio of the calls in the window (0..1) opens the breaker.
	FailureRatio float64 `mapstructure:"failure_ratio"`
	// MinimumCalls is how many calls must have been observed in the window before it opens.
	MinimumCalls int `mapstructure:"minimum_calls"`
	// BaselineFactor times the edge's usual failure ratio must fail as well.
	BaselineFactor float64 `mapstructure:"baseline_factor"`
	// ConsecutiveFailures one after the other open it, whatever the ratio; 0: they don't.
	ConsecutiveFailures int `mapstructure:"consecutive_failures"`
	// FailureCount failures in the window open it, whatever the ratio; 0: they don't.
	FailureCount int `mapstructure:"failure_count"`
	// Fast is the rule for outages that leave no doubt.
	Fast FastConfig `mapstructure:"fast"`
	// Slow is the rule for calls that take too long.
	Slow SlowConfig `mapstructure:"slow"`
	// CloseRatio (0..1) is what failures must stay below while a breaker verifies, for it to close.
	CloseRatio float64 `mapstructure:"close_ratio"`
	// ProbeCalls is how many calls a breaker must have observed before it closes or reopens.
	ProbeCalls int `mapstructure:"probe_calls"`
	// OpenDuration is how long a breaker stays open the first time; each further time twice as long.
	OpenDuration time.Duration `mapstructure:"open_duration"`
	// MaxOpenDuration is the longest that it stays open.
	MaxOpenDuration time.Duration `mapstructure:"max_open_duration"`
}

// WindowConfig is a window of event time.
type WindowConfig struct {
	Duration time.Duration `mapstructure:"duration"`
	// Buckets is how many parts it moves on by.
	Buckets int `mapstructure:"buckets"`
}

// FastConfig opens a breaker sooner than the window does.
type FastConfig struct {
	// Duration is how much of the window's newest end is looked at.
	Duration     time.Duration `mapstructure:"duration"`
	FailureRatio float64       `mapstructure:"failure_ratio"`
	MinimumCalls int           `mapstructure:"minimum_calls"`
}

// SlowConfig says when calls are slow, and how many are too many. They are never added to the failures.
type SlowConfig struct {
	// Ratio of the calls in the window (0..1) opens the breaker; 0: slow calls don't.
	Ratio        float64 `mapstructure:"ratio"`
	MinimumCalls int     `mapstructure:"minimum_calls"`
	// Factor times what 95 of 100 calls on the edge usually stay below, and at least Floor, is slow. Of the processor's
	// configuration, not of an edge's.
	Factor float64       `mapstructure:"factor"`
	Floor  time.Duration `mapstructure:"floor"`
}

// EdgeConfig is an exception for the edges that it matches. What it does not set is as for all.
type EdgeConfig struct {
	// Caller and Callee are names as in breaker.caller.name and breaker.callee.name; * stands for any text, none for any name.
	Caller string `mapstructure:"caller"`
	Callee string `mapstructure:"callee"`
	// State is set by hand: force_open or disabled; auto or none: the breaker decides.
	State string `mapstructure:"state"`
	// ByOperation gives each operation a breaker of its own.
	ByOperation   bool `mapstructure:"by_operation"`
	BreakerConfig `mapstructure:",squash"`
}

// States that can be set by hand.
const (
	stateAuto      = "auto"
	stateForceOpen = "force_open"
	stateDisabled  = "disabled"
)

func createDefaultConfig() component.Config {
	return &Config{
		Window: WindowConfig{Duration: 10 * time.Second, Buckets: 10},
		BreakerConfig: BreakerConfig{
			FailureRatio:   0.5,
			MinimumCalls:   5,
			BaselineFactor: 3,
			Fast:           FastConfig{Duration: 2 * time.Second, FailureRatio: 0.9, MinimumCalls: 20},
			Slow:           SlowConfig{Ratio: 0.9, MinimumCalls: 20, Factor: 5, Floor: time.Second},
			CloseRatio:     0.1,
			ProbeCalls:     10,
			// A callee that merely restarts is back by then; one that is gone is asked ever more rarely.
			OpenDuration:    5 * time.Second,
			MaxOpenDuration: 5 * time.Minute,
		},
		MaxOpenShare: 0.5,
		// SDKs batch for 5 s by default.
		Settling: 5 * time.Second,
		// Twice that leaves room for one retry.
		AllowedLateness:  10 * time.Second,
		MaxEdges:         10_000,
		MaxOperations:    20,
		MaxSpans:         100_000,
		MaxFailingTraces: 10_000,
		IdleTimeout:      10 * time.Minute,
		EventQueueSize:   256,
	}
}

// Unmarshal gives each of Edges what the others have, but for what it sets itself.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := conf.Unmarshal(c); err != nil {
		return err
	}
	list, _ := conf.Get("edges").([]any)
	for i := range c.Edges {
		c.Edges[i] = EdgeConfig{BreakerConfig: c.BreakerConfig}
		own, ok := list[i].(map[string]any)
		if !ok { // empty
			continue
		}
		if err := confmap.NewFromStringMap(own).Unmarshal(&c.Edges[i]); err != nil {
			return fmt.Errorf("edges[%d]: %w", i, err)
		}
	}
	return nil
}
