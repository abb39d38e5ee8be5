// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// path is one way to tell a breaker of calls.
type path struct {
	system, name string
	run          func(calls int)
	// check fails when the breaker did not do its work.
	check func() error
}

// paths are ours first, then the peers', which are set up as in fleet: half of at least ten calls within ten seconds
// open them, for five seconds.
func paths() []path {
	var all []path
	add := func(system, name string, run func(int), check func() error) {
		all = append(all, path{system, name, run, check})
	}

	for _, h := range []struct {
		name    string
		failing uint64
		want    circuit.State
	}{
		{"edge, ok", 0, circuit.Closed},
		{"edge, 10 % fail", 10, circuit.Closed},
		{"edge, open, all fail", 100, circuit.Open},
	} {
		on := newHot(h.failing, h.want)
		add("firebreak", h.name, on.run, on.check)
	}
	m := &machine{breaker: circuit.New(&defaults, 1, 0)}
	add("firebreak", "breaker.Call", m.run, m.check)
	g := newGate(circuit.GateConfig{WindowBuckets: 10, BucketWidth: second})
	add("firebreak", "gate, time window", g.run, g.check)
	g = newGate(circuit.GateConfig{WindowCalls: 100})
	add("firebreak", "gate, 100 calls", g.run, g.check)

	plain := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
	add("gobreaker", "Execute", execute(plain), counted(plain))
	rolling := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Interval: 10 * time.Second, BucketPeriod: time.Second, Timeout: 5 * time.Second,
		ReadyToTrip: func(n gobreaker.Counts) bool {
			calls := n.TotalSuccesses + n.TotalFailures
			return calls >= 10 && 2*n.TotalFailures >= calls
		},
	})
	add("gobreaker", "Execute, rolling", execute(rolling), counted(rolling))

	b := newFailsafe()
	add("failsafe-go", "record", func(calls int) {
		for range calls {
			b.RecordSuccess()
		}
	}, seen(b))
	asked := newFailsafe()
	add("failsafe-go", "acquire, record", func(calls int) {
		for range calls {
			if asked.TryAcquirePermit() {
				asked.RecordSuccess()
			}
		}
	}, seen(asked))
	wrapped := newFailsafe()
	executor := failsafe.With(wrapped)
	add("failsafe-go", "executor", func(calls int) {
		for range calls {
			_ = executor.Run(func() error { return nil })
		}
	}, seen(wrapped))
	return all
}

func execute(b *gobreaker.CircuitBreaker[any]) func(int) {
	return func(calls int) {
		for range calls {
			_, _ = b.Execute(func() (any, error) { return nil, nil })
		}
	}
}

func counted(b *gobreaker.CircuitBreaker[any]) func() error {
	return func() error { return inWindow(b.Counts().TotalSuccesses) }
}

func newFailsafe() circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(0.5, 10, 10*time.Second).WithSuccessThreshold(1).WithDelay(5 * time.Second).Build()
}

func seen(b circuitbreaker.CircuitBreaker[any]) func() error {
	return func() error { return inWindow(uint32(b.Metrics().Successes())) }
}

// inWindow is whether a breaker has calls before its eyes.
func inWindow(calls uint32) error {
	if calls < 100 {
		return fmt.Errorf("%d calls in the window", calls)
	}
	return nil
}
