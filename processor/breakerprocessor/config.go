// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

// Config is the configuration of the breaker processor. No setting holds telemetry back, and none cuts a call.
type Config struct {
	// Window is how much of the past of an edge is looked at.
	Window WindowConfig `mapstructure:"window"`
	// FailureRatio of the calls in the window (0..1) opens the breaker.
	FailureRatio float64 `mapstructure:"failure_ratio"`
	// MinimumCalls is how many calls must have been observed in the window before it opens.
	MinimumCalls int `mapstructure:"minimum_calls"`
	// Fast is the rule for outages that leave no doubt.
	Fast FastConfig `mapstructure:"fast"`
	// CloseRatio (0..1) is what failures must stay below while a half-open breaker verifies, for it to close.
	CloseRatio float64 `mapstructure:"close_ratio"`
	// ProbeCalls is how many calls a half-open breaker must have observed before it closes or reopens.
	ProbeCalls int `mapstructure:"probe_calls"`
	// OpenDuration is how long a breaker stays open the first time; each further time twice as long.
	OpenDuration time.Duration `mapstructure:"open_duration"`
	// MaxOpenDuration is the longest that it stays open.
	MaxOpenDuration time.Duration `mapstructure:"max_open_duration"`
	// AllowedLateness is how late a span may arrive without the engine's clock being in doubt about it.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// MaxEdges is how many edges (caller -> callee) are watched.
	MaxEdges int `mapstructure:"max_edges"`
	// IdleTimeout is after how long without a call an edge is forgotten.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// EventQueueSize is how many event records may wait for the logs pipeline.
	EventQueueSize int `mapstructure:"event_queue_size"`
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

func createDefaultConfig() component.Config {
	return &Config{
		Window:       WindowConfig{Duration: 10 * time.Second, Buckets: 10},
		FailureRatio: 0.5,
		MinimumCalls: 5,
		Fast:         FastConfig{Duration: 2 * time.Second, FailureRatio: 0.9, MinimumCalls: 20},
		CloseRatio:   0.1,
		ProbeCalls:   10,
		// A callee that merely restarts is back by then; one that is gone is asked ever more rarely.
		OpenDuration:    5 * time.Second,
		MaxOpenDuration: 5 * time.Minute,
		// SDKs batch for 5 s by default; twice that leaves room for one retry.
		AllowedLateness: 10 * time.Second,
		MaxEdges:        10_000,
		IdleTimeout:     10 * time.Minute,
		EventQueueSize:  256,
	}
}

const (
	// confidence and failureFloor keep edges with few calls closed until chance is out of the question: the
	// ratio is at least failureFloor with so many standard deviations, one-sided 99.9 %.
	confidence   = 3.09
	failureFloor = 0.25
	// loadConfidence and loadCalls are what the load rule needs to be sure: a chance of a billionth a look.
	loadConfidence = 5
	loadCalls      = 50
	// jitter spreads open times, so that the breakers of one outage do not all turn at once.
	jitter = 0.2

	maxBuckets = 120
	maxCount   = 1 << 24
	maxTime    = 24 * time.Hour
)

// Validate refuses values that the engine cannot work with, with each key and the reason.
func (c *Config) Validate() error {
	errs := []error{
		between("window::duration", c.Window.Duration, time.Second, time.Hour),
		count("window::buckets", c.Window.Buckets, maxBuckets),
		ratio("failure_ratio", c.FailureRatio),
		count("minimum_calls", c.MinimumCalls, maxCount),
		between("fast::duration", c.Fast.Duration, 100*time.Millisecond, time.Hour),
		ratio("fast::failure_ratio", c.Fast.FailureRatio),
		count("fast::minimum_calls", c.Fast.MinimumCalls, maxCount),
		ratio("close_ratio", c.CloseRatio),
		count("probe_calls", c.ProbeCalls, maxCount),
		between("open_duration", c.OpenDuration, time.Second, maxTime),
		between("max_open_duration", c.MaxOpenDuration, time.Second, maxTime),
		between("allowed_lateness", c.AllowedLateness, time.Second, 10*time.Minute),
		count("max_edges", c.MaxEdges, maxCount),
		between("idle_timeout", c.IdleTimeout, time.Minute, 30*maxTime),
		count("event_queue_size", c.EventQueueSize, maxCount),
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// Each value makes sense by itself; now together.
	switch {
	case c.bucket() < 100*time.Millisecond:
		return fmt.Errorf("window::buckets: %d make buckets of %v out of window::duration %v, shortest is 100ms: use fewer buckets or a longer window",
			c.Window.Buckets, c.bucket(), c.Window.Duration)
	case c.Fast.Duration > c.Window.Duration:
		return fmt.Errorf("fast::duration: must not be longer than window::duration %v, is %v", c.Window.Duration, c.Fast.Duration)
	case c.Fast.Duration < c.bucket():
		return fmt.Errorf("fast::duration: must not be shorter than a bucket of the window (window::duration / window::buckets = %v), is %v",
			c.bucket(), c.Fast.Duration)
	case c.CloseRatio > c.FailureRatio:
		return fmt.Errorf("close_ratio: must not be above failure_ratio %v, or a breaker closes that should reopen; is %v", c.FailureRatio, c.CloseRatio)
	case c.MaxOpenDuration < c.OpenDuration:
		return fmt.Errorf("max_open_duration: must not be shorter than open_duration %v, is %v", c.OpenDuration, c.MaxOpenDuration)
	}
	return nil
}

func (c *Config) bucket() time.Duration { return c.Window.Duration / time.Duration(c.Window.Buckets) }

func between(key string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s: must be between %v and %v, is %v", key, least, most, d)
	}
	return nil
}

// ratio refuses 0 as well: a breaker that opens at no failures, or never closes, is none.
func ratio(key string, x float64) error {
	if !(x > 0 && x <= 1) {
		return fmt.Errorf("%s: must be above 0 and at most 1, is %v", key, x)
	}
	return nil
}

func count(key string, n, most int) error {
	if n < 1 || n > most {
		return fmt.Errorf("%s: must be between 1 and %d, is %d", key, most, n)
	}
	return nil
}

func (c *Config) settings() engine.Settings {
	return engine.Settings{
		Lateness: c.AllowedLateness.Nanoseconds(),
		Settings: edge.Settings{
			Circuit: &circuit.Config{
				// Buckets are whole nanoseconds: what does not divide is left out of the window.
				Window:          c.bucket().Nanoseconds() * int64(c.Window.Buckets),
				FailureRatio:    c.FailureRatio,
				MinimumCalls:    uint32(c.MinimumCalls),
				Confidence:      confidence,
				FailureFloor:    min(failureFloor, c.FailureRatio/2),
				FastWindow:      c.Fast.Duration.Nanoseconds(),
				FastRatio:       c.Fast.FailureRatio,
				FastCalls:       uint32(c.Fast.MinimumCalls),
				LoadConfidence:  loadConfidence,
				LoadCalls:       loadCalls,
				CloseRatio:      c.CloseRatio,
				ProbeCalls:      uint32(c.ProbeCalls),
				OpenDuration:    c.OpenDuration.Nanoseconds(),
				MaxOpenDuration: c.MaxOpenDuration.Nanoseconds(),
				Jitter:          jitter,
			},
			Buckets:  c.Window.Buckets,
			Bucket:   c.bucket().Nanoseconds(),
			MaxEdges: c.MaxEdges,
			Idle:     c.IdleTimeout.Nanoseconds(),
		},
	}
}
