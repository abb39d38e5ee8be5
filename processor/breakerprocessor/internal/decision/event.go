// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"fmt"
	"strings"
	"time"
)

// Names of events.
const (
	StateChanged     = "breaker.state_changed"
	Suppressed       = "breaker.suppressed"
	Stalled          = "breaker.stalled"
	InstanceDegraded = "breaker.instance_degraded"
	RetryStorm       = "breaker.retry_storm"
	Backlog          = "breaker.backlog"
)

// Event is something that happened on an edge, with the edge's advice as it is then.
type Event struct {
	Name string
	At   int64
	Advice
	// Previous is the state before, Why the reason of this change: differs from Reason when an open breaker becomes half open.
	Previous, Why string
	// Rule is the rule that wanted to open, of Suppressed.
	Rule string
	// Over says that what the event is named after has ended.
	Over bool
	// Attempts and Requests are the calls during a retry storm, with and without retries; Peak is the highest amplification.
	Attempts, Requests uint64
	Peak               float64
	// Wait is how long messages wait, in nanoseconds.
	Wait int64
	// A failed call as an example; zero ids: none.
	TraceID [16]byte
	SpanID  uint64
}

// Sentence tells the event to people.
func (e *Event) Sentence() string {
	switch e.Name {
	case StateChanged:
		return fmt.Sprintf("Breaker %s is %s: %s.", e.Edge.Name, stateNames[e.State], e.Explanation)
	case Suppressed:
		return fmt.Sprintf("Breaker %s stays closed though %s: %s.", e.Edge.Name, e.Explanation, withheldNames[e.Withheld])
	case Stalled:
		if e.Over {
			return fmt.Sprintf("Calls %s end again.", e.Edge.Name)
		}
		return fmt.Sprintf("Calls %s have stalled: hardly any ends, though %s gets requests as ever.", e.Edge.Name, e.Caller)
	case InstanceDegraded:
		return e.instances()
	case RetryStorm:
		return e.storm()
	case Backlog:
		wait := time.Duration(e.Wait).Round(100 * time.Millisecond)
		if e.Over {
			return fmt.Sprintf("Messages on %s wait as long as usual again, %v.", e.Edge.Name, wait)
		}
		return fmt.Sprintf("Messages on %s wait %v for their consumer, far longer than usual.", e.Edge.Name, wait)
	}
	return ""
}

func (e *Event) instances() string {
	switch {
	case len(e.Eject) > 0:
		return fmt.Sprintf("Of the instances behind %s these fail while others are well, and should get no calls: %s.",
			e.Edge.Name, strings.Join(e.Eject, ", "))
	case len(e.DegradedCallers) > 0:
		return fmt.Sprintf("Calls %s fail on these instances of the caller only, which should be looked at: %s.",
			e.Edge.Name, strings.Join(e.DegradedCallers, ", "))
	}
	return fmt.Sprintf("No instance stands out on %s any more.", e.Edge.Name)
}

// Amplification is how many calls were made for each request since the retry storm began.
func (e *Event) Amplification() float64 {
	if e.Requests > 0 {
		return float64(e.Attempts) / float64(e.Requests)
	}
	return e.Retries.Amplification
}

func (e *Event) storm() string {
	switch {
	case e.Over:
		return fmt.Sprintf("The retry storm on %s is over: %d calls were made for %d requests, %.1f times as many, %.1f at its height.",
			e.Edge.Name, e.Attempts, e.Requests, e.Amplification(), e.Peak)
	case e.Retries.Metastable:
		return fmt.Sprintf("Retries on %s keep it down though what caused them is well again: %.1f calls for each request. Let fewer in, and for longer.",
			e.Edge.Name, e.Amplification())
	}
	return fmt.Sprintf("Retry storm on %s: %.1f calls for each request while they fail. Retry at most %s of the requests, at one layer only, and retry around the breaker: %s.",
		e.Edge.Name, e.Amplification(), percent(e.Retries.Budget), e.Retries.Composition)
}

var stateNames = map[string]string{
	"closed": "closed again", "open": "open", "half_open": "half open",
	"forced_open": "open, as the configuration says", "disabled": "disabled, as the configuration says",
}

var withheldNames = map[string]string{
	"only_failures":  "nothing but traces with failures came this way since the start, so that everything looks dead; put this processor before what samples them",
	"deeper_open":    "a breaker further down is open, which is the better place to cut",
	"caller_side":    "they fail on few of the caller's instances, and others are well",
	"instance_side":  "they fail on few of the callee's instances, and others are well",
	"max_open_share": "as many breakers are open as max_open_share allows",
}
