// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit/conformance"
)

var (
	errFailed  = errors.New("failed")
	errIgnored = errors.New("ignored")
)

// goBreaker is gobreaker as a Subject, on the time of a synctest bubble.
type goBreaker struct {
	breaker *gobreaker.TwoStepCircuitBreaker[any]
}

// newGoBreaker sets it up for a case; a reason instead when it has no such thing.
func newGoBreaker(c *conformance.Case) (conformance.Subject, string) {
	cfg := &c.Config
	switch {
	case cfg.SlowRate > 0:
		return nil, "no slow calls"
	case cfg.OpenMultiplier > 1:
		return nil, "open time does not grow"
	case cfg.HalfOpen.Policy == "rate":
		return nil, "half-open: all must succeed"
	case slices.Contains(c.Tags, "evicts"):
		return nil, "no window of calls"
	case forces(c):
		return nil, "state can't be set"
	}
	minimum := max(cfg.MinimumCalls, 1)
	settings := gobreaker.Settings{
		MaxRequests:  cfg.HalfOpen.Probes,
		Timeout:      cfg.Open.Duration(),
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errIgnored) },
		ReadyToTrip: func(n gobreaker.Counts) bool {
			calls := n.TotalSuccesses + n.TotalFailures
			return cfg.ConsecutiveFailures > 0 && n.ConsecutiveFailures >= cfg.ConsecutiveFailures ||
				cfg.FailureCount > 0 && n.TotalFailures >= cfg.FailureCount ||
				cfg.FailureRate > 0 && calls >= minimum && float64(n.TotalFailures) >= cfg.FailureRate*float64(calls)
		},
	}
	if cfg.Window.Type == "time" {
		settings.Interval = cfg.Window.Duration.Duration()
		settings.BucketPeriod = settings.Interval / time.Duration(cfg.Window.Buckets)
	} else {
		minimum = min(minimum, cfg.Window.Size)
	}
	return &goBreaker{gobreaker.NewTwoStepCircuitBreaker[any](settings)}, ""
}

func (b *goBreaker) Acquire() func(string, time.Duration) error {
	done, err := b.breaker.Allow()
	if err != nil {
		return nil
	}
	return func(outcome string, _ time.Duration) error {
		switch outcome {
		case "ok":
			done(nil)
		case "fail":
			done(errFailed)
		case "ignored":
			done(errIgnored)
		default:
			return fmt.Errorf("no such outcome: %q", outcome)
		}
		return nil
	}
}

func (b *goBreaker) Advance(d time.Duration) { time.Sleep(d) }

func (b *goBreaker) Force(string) error { return errors.New("state can't be set") }

func (b *goBreaker) State() string {
	return map[gobreaker.State]string{
		gobreaker.StateClosed: "closed", gobreaker.StateOpen: "open", gobreaker.StateHalfOpen: "half_open",
	}[b.breaker.State()]
}

// forces says whether the case sets the state to one that is not among those.
func forces(c *conformance.Case, but ...string) bool {
	return slices.ContainsFunc(c.Steps, func(s conformance.Step) bool { return s.Do == "force" && !slices.Contains(but, s.To) })
}
