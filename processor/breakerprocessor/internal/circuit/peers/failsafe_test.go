// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit/conformance"
)

// failsafe is failsafe-go's breaker as a Subject, on the time of a synctest bubble.
type failsafe struct {
	breaker circuitbreaker.CircuitBreaker[any]
}

// newFailsafe sets it up for a case; a reason instead when it has no such thing.
func newFailsafe(c *conformance.Case) (conformance.Subject, string) {
	cfg := &c.Config
	rules := 0
	for _, on := range []bool{cfg.FailureRate > 0, cfg.ConsecutiveFailures > 0, cfg.FailureCount > 0} {
		if on {
			rules++
		}
	}
	switch {
	case cfg.SlowRate > 0:
		return nil, "no slow calls"
	case rules > 1:
		return nil, "one rule a breaker"
	case cfg.OpenMultiplier > 1:
		return nil, "open time grows by a function only"
	case forces(c, "open", "closed", "half_open"):
		return nil, "no such state"
	case slices.ContainsFunc(c.Steps, func(s conformance.Step) bool { return s.Outcome == "ignored" }):
		return nil, "no ignored outcome"
	}
	window := cfg.Window.Duration.Duration()
	b := circuitbreaker.NewBuilder[any]().WithDelay(cfg.Open.Duration())
	switch {
	case cfg.ConsecutiveFailures > 0:
		b = b.WithFailureThreshold(uint(cfg.ConsecutiveFailures))
	case cfg.FailureCount > 0:
		b = b.WithFailureThresholdPeriod(uint(cfg.FailureCount), window)
	case cfg.Window.Type == "time":
		b = b.WithFailureRateThreshold(cfg.FailureRate, uint(cfg.MinimumCalls), window)
	default:
		b = b.WithFailureThresholdRatio(uint(math.Ceil(cfg.FailureRate*float64(cfg.Window.Size))), uint(cfg.Window.Size))
	}
	if probes := uint(cfg.HalfOpen.Probes); cfg.HalfOpen.Policy == "rate" {
		// Closed when fewer than the rate fail.
		b = b.WithSuccessThresholdRatio(uint(math.Floor((1-cfg.FailureRate)*float64(probes)))+1, probes)
	} else {
		b = b.WithSuccessThreshold(probes)
	}
	return &failsafe{b.Build()}, ""
}

func (f *failsafe) Acquire() func(string, time.Duration) error {
	if !f.breaker.TryAcquirePermit() {
		return nil
	}
	return func(outcome string, _ time.Duration) error {
		switch outcome {
		case "ok":
			f.breaker.RecordSuccess()
		case "fail":
			f.breaker.RecordFailure()
		default:
			return fmt.Errorf("no such outcome: %q", outcome)
		}
		return nil
	}
}

func (f *failsafe) Advance(d time.Duration) { time.Sleep(d) }

func (f *failsafe) Force(state string) error {
	switch state {
	case "open":
		f.breaker.Open()
	case "half_open":
		f.breaker.HalfOpen()
	case "closed":
		f.breaker.Close()
	default:
		return fmt.Errorf("no such state: %q", state)
	}
	return nil
}

func (f *failsafe) State() string {
	return map[circuitbreaker.State]string{
		circuitbreaker.ClosedState: "closed", circuitbreaker.OpenState: "open", circuitbreaker.HalfOpenState: "half_open",
	}[f.breaker.State()]
}
