// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package decision says what a breaker's state means for those who call: an Advice, as a plain value with a
// stable JSON form, and a Change when it becomes another. It advises; nothing here stops a call.
package decision

import (
	"fmt"
	"strconv"
	"time"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// What a caller is advised to do.
const (
	Allow  = "allow"
	Probe  = "probe"
	Reject = "reject"
)

// Edge names what the advice is about.
type Edge struct {
	Name   string `json:"name"` // caller->callee
	Caller string `json:"caller"`
	Callee string `json:"callee"`
	// Kind of the callee: service, database, messaging, external.
	Kind string `json:"callee_kind"`
}

// Advice is the present state of one edge's breaker. Times are unix nanoseconds of event time.
type Advice struct {
	Edge
	State  string `json:"state"`
	Advice string `json:"advice"`
	// Reason is why the breaker opened, for as long as it is not closed; then why it closed.
	Reason string `json:"reason,omitempty"`
	// Explanation is the reason in a sentence, with its numbers.
	Explanation string `json:"explanation,omitempty"`
	Since       int64  `json:"since_unix_nano,omitempty"`
	Until       int64  `json:"until_unix_nano,omitempty"`
	// FailureRatio and Calls are what decided: the share of failures, 0..1, among so many observed calls.
	FailureRatio float64 `json:"failure_ratio"`
	Calls        uint32  `json:"calls"`
	// Attempt counts the open periods since the callee was last trusted, from 0.
	Attempt uint8 `json:"attempt"`
}

// Change is one change of state.
type Change struct {
	Advice
	Previous string `json:"previous_state"`
	// Why the state changed now; differs from Reason when an open breaker becomes half open.
	Why string `json:"why"`
	// Calls and ratio of this change are in Advice, but for half open: nothing was counted to get there.
}

// Of is the advice after a breaker's last transition; cause is the one that opened it last. Both are zero for
// a breaker that never changed.
func Of(e Edge, cfg *circuit.Config, last, cause circuit.Transition) Advice {
	a := Advice{Edge: e, State: last.To.String(), Advice: For(last.To), Since: last.At, Until: last.Until, Attempt: last.Attempt}
	because := last
	if last.To == circuit.HalfOpen {
		because = cause
	}
	a.Reason = because.Reason.String()
	a.FailureRatio, a.Calls = because.Evidence.Ratio(), because.Evidence.Calls
	a.Explanation = explain(cfg, last, because)
	return a
}

// ChangeOf is the change that the transition last made.
func ChangeOf(e Edge, cfg *circuit.Config, last, cause circuit.Transition) Change {
	return Change{Advice: Of(e, cfg, last, cause), Previous: last.From.String(), Why: last.Reason.String()}
}

// For is what a state advises.
func For(s circuit.State) string {
	switch s {
	case circuit.Open:
		return Reject
	case circuit.HalfOpen:
		return Probe
	}
	return Allow
}

// Sentence tells the change to people.
func (c *Change) Sentence() string {
	return fmt.Sprintf("Breaker %s is %s: %s.", c.Name, map[string]string{
		"closed": "closed again", "open": "open", "half_open": "half open",
	}[c.State], c.Explanation)
}

func explain(cfg *circuit.Config, last, because circuit.Transition) string {
	ev := &because.Evidence
	counted := fmt.Sprintf("%s of %s failed", percent(ev.Ratio()), calls(ev.Calls))
	if ev.Bad == 0 {
		counted = fmt.Sprintf("none of %s failed", calls(ev.Calls))
	}
	if ev.Throttled > 0 {
		counted += fmt.Sprintf(" (%d throttled)", ev.Throttled)
	}
	switch last.Reason {
	case circuit.FailureRate:
		return fmt.Sprintf("%s within %v", counted, seconds(cfg.Window))
	case circuit.FastFailureRate:
		return fmt.Sprintf("%s within %v", counted, seconds(cfg.FastWindow))
	case circuit.FailureLoad:
		return fmt.Sprintf("%s, and these took %s of the time spent in calls", counted, percent(ev.BusyRatio()))
	case circuit.OpenElapsed:
		return fmt.Sprintf("calls that start from now on are verified, after it was open because %s", counted)
	case circuit.StillFailing:
		return fmt.Sprintf("%s while it was verified", counted)
	case circuit.Recovered:
		return fmt.Sprintf("%s while it was verified", counted)
	case circuit.Forgotten:
		return "there were no calls for so long that the state meant nothing any more"
	}
	return ""
}

func calls(n uint32) string {
	if n == 1 {
		return "1 call"
	}
	return strconv.FormatUint(uint64(n), 10) + " calls"
}

func seconds(ns int64) time.Duration { return time.Duration(ns) }

// percent rounds to whole percents, but never to a false 0 or 100.
func percent(ratio float64) string {
	p := 100 * ratio
	switch {
	case p > 0 && p < 0.5:
		return "<1 %"
	case p < 100 && p >= 99.5:
		return ">99 %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}
