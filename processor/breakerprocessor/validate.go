// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"errors"
	"fmt"
	"time"
)

const (
	maxBuckets = 120
	maxCount   = 1 << 24
	maxTime    = 24 * time.Hour
	maxFactor  = 1000.0
)

// Validate refuses values that the engine cannot work with, with each key and the reason.
func (c *Config) Validate() error {
	errs := []error{
		between("window::duration", c.Window.Duration, time.Second, time.Hour),
		count("window::buckets", c.Window.Buckets, maxBuckets),
		c.validate(""),
		ratio("max_open_share", c.MaxOpenShare),
		between("settling", c.Settling, 250*time.Millisecond, time.Minute),
		between("allowed_lateness", c.AllowedLateness, time.Second, 10*time.Minute),
		count("max_edges", c.MaxEdges, maxCount),
		count("max_operations", c.MaxOperations, maxCount),
		count("max_spans", c.MaxSpans, maxCount),
		count("max_failing_traces", c.MaxFailingTraces, maxCount),
		between("idle_timeout", c.IdleTimeout, time.Minute, 30*maxTime),
		count("event_queue_size", c.EventQueueSize, maxCount),
	}
	for i := range c.Edges {
		errs = append(errs, c.validateEdge(fmt.Sprintf("edges[%d]::", i), &c.Edges[i]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// Each value makes sense by itself; now together.
	switch {
	case c.bucket() < 100*time.Millisecond:
		return fmt.Errorf("window::buckets: %d make buckets of %v out of window::duration %v, shortest is 100ms: use fewer buckets or a longer window",
			c.Window.Buckets, c.bucket(), c.Window.Duration)
	case c.IdleTimeout < c.Window.Duration:
		return fmt.Errorf("idle_timeout: must not be shorter than window::duration %v, or edges are forgotten that are looked at; is %v", c.Window.Duration, c.IdleTimeout)
	case c.Settling >= c.Window.Duration:
		return fmt.Errorf("settling: must be shorter than window::duration %v, or no failure is known while it counts; is %v", c.Window.Duration, c.Settling)
	}
	errs = append(errs[:0], c.together("", c))
	for i := range c.Edges {
		errs = append(errs, c.Edges[i].together(fmt.Sprintf("edges[%d]::", i), c))
	}
	return errors.Join(errs...)
}

func (b *BreakerConfig) validate(at string) error {
	return errors.Join(
		ratio(at+"failure_ratio", b.FailureRatio),
		count(at+"minimum_calls", b.MinimumCalls, maxCount),
		factor(at+"baseline_factor", b.BaselineFactor),
		countOrNone(at+"consecutive_failures", b.ConsecutiveFailures),
		countOrNone(at+"failure_count", b.FailureCount),
		between(at+"fast::duration", b.Fast.Duration, 100*time.Millisecond, time.Hour),
		ratio(at+"fast::failure_ratio", b.Fast.FailureRatio),
		count(at+"fast::minimum_calls", b.Fast.MinimumCalls, maxCount),
		ratioOrNone(at+"slow::ratio", b.Slow.Ratio),
		count(at+"slow::minimum_calls", b.Slow.MinimumCalls, maxCount),
		factor(at+"slow::factor", b.Slow.Factor),
		between(at+"slow::floor", b.Slow.Floor, time.Millisecond, maxTime),
		ratio(at+"close_ratio", b.CloseRatio),
		count(at+"probe_calls", b.ProbeCalls, maxCount),
		between(at+"open_duration", b.OpenDuration, time.Second, maxTime),
		between(at+"max_open_duration", b.MaxOpenDuration, time.Second, maxTime),
	)
}

func (c *Config) validateEdge(at string, e *EdgeConfig) error {
	var errs []error
	switch e.State {
	case "", stateAuto, stateForceOpen, stateDisabled:
	default:
		errs = append(errs, fmt.Errorf("%sstate: must be %s, %s or %s, is %q", at, stateAuto, stateForceOpen, stateDisabled, e.State))
	}
	if e.Caller == "" && e.Callee == "" {
		errs = append(errs, fmt.Errorf("%scaller, %scallee: at least one is needed to say which edges are meant; * stands for any text", at, at))
	}
	if e.Slow.Factor != c.Slow.Factor || e.Slow.Floor != c.Slow.Floor {
		errs = append(errs, fmt.Errorf("%sslow: factor and floor can be set for all edges only, as slow::factor and slow::floor", at))
	}
	return errors.Join(append(errs, e.validate(at))...)
}

// together finds values that contradict each other.
func (b *BreakerConfig) together(at string, c *Config) error {
	switch {
	case b.Fast.Duration > c.Window.Duration:
		return fmt.Errorf("%sfast::duration: must not be longer than window::duration %v, is %v", at, c.Window.Duration, b.Fast.Duration)
	case b.Fast.Duration < c.bucket():
		return fmt.Errorf("%sfast::duration: must not be shorter than a bucket of the window (window::duration / window::buckets = %v), is %v",
			at, c.bucket(), b.Fast.Duration)
	case b.CloseRatio > b.FailureRatio:
		return fmt.Errorf("%sclose_ratio: must not be above failure_ratio %v, or a breaker closes that should reopen; is %v", at, b.FailureRatio, b.CloseRatio)
	case b.MaxOpenDuration < b.OpenDuration:
		return fmt.Errorf("%smax_open_duration: must not be shorter than open_duration %v, is %v", at, b.OpenDuration, b.MaxOpenDuration)
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

func ratioOrNone(key string, x float64) error {
	if !(x >= 0 && x <= 1) {
		return fmt.Errorf("%s: must be between 0 (off) and 1, is %v", key, x)
	}
	return nil
}

func factor(key string, x float64) error {
	if !(x >= 1 && x <= maxFactor) {
		return fmt.Errorf("%s: must be between 1 and %v, is %v", key, maxFactor, x)
	}
	return nil
}

func count(key string, n, most int) error {
	if n < 1 || n > most {
		return fmt.Errorf("%s: must be between 1 and %d, is %d", key, most, n)
	}
	return nil
}

func countOrNone(key string, n int) error {
	if n < 0 || n > maxCount {
		return fmt.Errorf("%s: must be between 0 (off) and %d, is %d", key, maxCount, n)
	}
	return nil
}
