// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package conformance reads cases that say how a circuit breaker behaves, and puts them to one: for tests, ours
// and those of other libraries.
package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Case is one configuration and what happens to a breaker that has it.
type Case struct {
	ID, Title string
	Config    Config
	Steps     []Step
	// Tags: "evicts" needs a window of calls that forgets the oldest.
	Tags []string
	// Systems is what was observed of other libraries, by name: agree, diverge, or n/a. A file may say the same
	// at more length, as Oracle.
	Systems map[string]string
	Oracle  map[string]struct{ Result string }
}

// Config is the configuration of a case. A rule that is 0 is off.
type Config struct {
	Window struct {
		// Type is "count", which has a Size in calls, or "time", which has a Duration and Buckets.
		Type     string
		Size     uint32
		Duration Millis `json:"duration_ms"`
		Buckets  int
	}
	MinimumCalls        uint32  `json:"min_calls"`
	FailureRate         float64 `json:"failure_rate"`
	ConsecutiveFailures uint32  `json:"consecutive_failures"`
	FailureCount        uint32  `json:"failure_count"`
	Slow                Millis  `json:"slow_ms"`
	SlowRate            float64 `json:"slow_rate"`
	Open                Millis  `json:"open_ms"`
	OpenMultiplier      float64 `json:"open_multiplier"`
	OpenMax             Millis  `json:"open_max_ms"`
	HalfOpen            struct {
		MaxInFlight uint32 `json:"max_in_flight"`
		Probes      uint32
		// Policy is "all" or "rate".
		Policy  string
		MaxWait Millis `json:"max_wait_ms"`
	} `json:"half_open"`
}

// Millis is a time in milliseconds.
type Millis int64

// Duration is the same as a time.Duration.
func (m Millis) Duration() time.Duration { return time.Duration(m) * time.Millisecond }

// Step is one thing that happens, and what must be so after it.
type Step struct {
	// Do is "call" (admit and finish N times in turn), "acquire" (admit only, remembered by Tag), "finish"
	// (N of those that were), "advance" (the clock, by Millis) or "force" (the state To).
	Do, Outcome, Tag, To string
	N                    int
	Took                 Millis `json:"dur_ms"`
	Advance              Millis `json:"ms"`
	// Admitted is how many must be admitted; nil: not said. State is the state after it; "": not said.
	Admitted *int
	State    string
}

// Subject is a breaker under test.
type Subject interface {
	// Acquire admits a call, or returns nil. finish takes its outcome (ok, fail, throttled, ignored) and how long
	// it took, which is not by the clock.
	Acquire() (finish func(outcome string, took time.Duration) error)
	Advance(time.Duration)
	Force(state string) error
	State() string
}

// Parse reads the breaker_cases of a file.
func Parse(text []byte) ([]Case, error) {
	var file struct {
		Cases []Case `json:"breaker_cases"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	if len(file.Cases) == 0 {
		return nil, fmt.Errorf("no breaker_cases: is it a file of cases at all?")
	}
	for i := range file.Cases {
		c := &file.Cases[i]
		if c.Systems == nil {
			c.Systems = map[string]string{}
		}
		for system, o := range c.Oracle {
			c.Systems[system] = o.Result
		}
	}
	return file.Cases, nil
}

// Run takes the steps of the case and returns what is not as it must be, at the first such step.
func (c *Case) Run(s Subject) error {
	held := map[string][]func(string, time.Duration) error{}
	for i, step := range c.Steps {
		admitted, err := step.take(s, held)
		switch {
		case err != nil:
		case step.Admitted != nil && *step.Admitted != admitted:
			err = fmt.Errorf("%d admitted, must be %d", admitted, *step.Admitted)
		case step.State != "" && step.State != s.State():
			err = fmt.Errorf("state is %s, must be %s", s.State(), step.State)
		}
		if err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, strings.TrimSpace(step.Do+" "+step.Outcome), err)
		}
	}
	return nil
}

func (step *Step) take(s Subject, held map[string][]func(string, time.Duration) error) (admitted int, err error) {
	n := max(step.N, 1)
	switch step.Do {
	case "call":
		for range n {
			if finish := s.Acquire(); finish != nil {
				admitted++
				if err := finish(step.Outcome, step.Took.Duration()); err != nil {
					return admitted, err
				}
			}
		}
	case "acquire":
		for range n {
			if finish := s.Acquire(); finish != nil {
				admitted++
				held[step.Tag] = append(held[step.Tag], finish)
			}
		}
	case "finish":
		if n > len(held[step.Tag]) {
			return 0, fmt.Errorf("%d calls are to finish, %d are held as %q", n, len(held[step.Tag]), step.Tag)
		}
		for _, finish := range held[step.Tag][:n] {
			if err := finish(step.Outcome, step.Took.Duration()); err != nil {
				return 0, err
			}
		}
		held[step.Tag] = held[step.Tag][n:]
	case "advance":
		s.Advance(step.Advance.Duration())
	case "force":
		return 0, s.Force(step.To)
	default:
		return 0, fmt.Errorf("no such step: call, acquire, finish, advance and force are known")
	}
	return admitted, nil
}
