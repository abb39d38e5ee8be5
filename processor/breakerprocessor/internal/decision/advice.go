// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package decision says what a breaker's state means for those who call: an Advice, as a plain value with a
// stable JSON form, and an Event when something happens. It advises; nothing here stops a call.
package decision

import (
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// What a caller is advised to do.
const (
	Allow  = "allow"
	Probe  = "probe"
	Reject = "reject"
)

// TTL is for how long an advice holds, in nanoseconds: when no newer one comes, whoever gives it is gone, and calls
// are made as if there were none.
const TTL = int64(15e9)

// Edge names what the advice is about.
type Edge struct {
	Name   string `json:"name"` // caller->callee, and the operation where the edge is of one
	Caller string `json:"caller"`
	Callee string `json:"callee"`
	// Kind of the callee: service, database, messaging, external.
	Kind      string `json:"callee_kind"`
	Operation string `json:"operation,omitempty"`
}

// Advice is the present state of one edge. Times are unix nanoseconds of event time, shares and ratios 0..1.
type Advice struct {
	Edge
	State  string `json:"state"`
	Advice string `json:"advice"`
	// Enforced is always false: no call was stopped.
	Enforced bool `json:"enforced"`
	// Reason is why the breaker opened, for as long as it is not closed; then why it closed.
	Reason string `json:"reason,omitempty"`
	// Explanation is the reason in a sentence, with its numbers.
	Explanation string `json:"explanation,omitempty"`
	Since       int64  `json:"since_unix_nano,omitempty"`
	Until       int64  `json:"until_unix_nano,omitempty"`
	// Expires is when the advice means nothing any more.
	Expires int64 `json:"expires_unix_nano,omitempty"`
	// AdmitShare of the calls may be made.
	AdmitShare float64 `json:"admit_share"`
	// FailureRatio, SlowRatio and Calls are what decided, among so many observed calls.
	FailureRatio float64 `json:"failure_ratio"`
	SlowRatio    float64 `json:"slow_ratio"`
	Calls        uint32  `json:"calls"`
	// Attempt counts the open periods since the callee was last trusted, from 0.
	Attempt uint8 `json:"attempt"`
	// Obedience is the share of the usual calls that is not made while the breaker is open; -1: not measured.
	Obedience float64 `json:"obedience"`
	// Withheld is why the breaker stays closed though a rule says open.
	Withheld string `json:"withheld,omitempty"`
	// Stalled: hardly any call ends. Backlog: messages wait far longer than usual for their consumer.
	Stalled bool    `json:"stalled,omitempty"`
	Backlog bool    `json:"backlog,omitempty"`
	Retries Retries `json:"retries"`
	Effects Effects `json:"effects"`
	// ConcurrencyLimit is how many calls should be in flight at most; 0: not known. InFlight is how many are, on average, and
	// InFlightMax how many were at a time, at most, in the window in which the breaker opened; 0: closed, or not known.
	ConcurrencyLimit int     `json:"concurrency_limit,omitempty"`
	InFlight         float64 `json:"in_flight"`
	InFlightMax      int     `json:"in_flight_max,omitempty"`
	Saturated        bool    `json:"saturated,omitempty"`
	// Eject names instances of the callee that should get no calls, DegradedCallers those of the caller that fail where the
	// others do not.
	Eject           []string `json:"eject,omitempty"`
	DegradedCallers []string `json:"degraded_callers,omitempty"`
}

// Retries is what the edge's calls repeat, in the window.
type Retries struct {
	// Amplification is how many calls are made for one that is wanted.
	Amplification float64 `json:"amplification"`
	// PathAmplification is how many calls on the edge one request comes to by the retries of all layers above it as well.
	PathAmplification float64 `json:"path_amplification"`
	// Storm: they are more than the callee can bear. Metastable: they go on though what caused them is well again.
	Storm      bool `json:"storm,omitempty"`
	Metastable bool `json:"metastable,omitempty"`
	// Budget is the share of first attempts that may be retried.
	Budget float64 `json:"budget"`
	// Layer is the edge that alone should retry, on a path where several do; Composition the order of the guards around a call.
	Layer       string `json:"layer,omitempty"`
	Composition string `json:"composition,omitempty"`
}

// Effects is how far the edge's failures reach, in the window.
type Effects struct {
	// Propagation is the share of failed calls that made what they were made for fail; the rest was absorbed.
	Propagation float64 `json:"propagation"`
	Fallback    bool    `json:"fallback"` // most failures are absorbed
	// Upstreams are the services that failures reached.
	Upstreams []string `json:"upstreams,omitempty"`
	// Entries is the share of all requests with a failed call on the edge, EntriesFailed of those that failed as well.
	Entries       float64 `json:"entries"`
	EntriesFailed float64 `json:"entries_failed"`
}

// AdmitAt is the share of the calls that may be made at time now: all, once the advice has expired.
func (a *Advice) AdmitAt(now int64) float64 {
	if now > a.Expires {
		return 1
	}
	return a.AdmitShare
}

// For is what a state advises.
func For(s circuit.State) string {
	switch s {
	case circuit.Open, circuit.ForcedOpen:
		return Reject
	case circuit.HalfOpen:
		return Probe
	}
	return Allow
}
