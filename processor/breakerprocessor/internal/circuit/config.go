// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package circuit is the state machine of one circuit breaker that observes calls and stops none. It knows no
// clock and no telemetry: time comes in as a number, calls as sums.
package circuit

// Config is how a breaker judges. Times are in nanoseconds, ratios 0..1. Shared by all breakers; read only.
type Config struct {
	// Window is how much of the past the slow rule and the verification look at.
	Window int64
	// The slow rule opens at FailureRatio or more bad of at least MinimumCalls observed calls, when the
	// Wilson lower bound of the ratio at Confidence standard deviations is at least FailureFloor.
	FailureRatio float64
	MinimumCalls uint32
	Confidence   float64
	FailureFloor float64
	// The fast rule opens at FastRatio or more bad of at least FastCalls observed calls in FastWindow.
	FastWindow int64
	FastRatio  float64
	FastCalls  uint32
	// The load rule opens when bad calls are clearly more than CloseRatio, at LoadConfidence standard deviations
	// of at least LoadCalls, and took FailureRatio of the time spent in calls in Window, or FastRatio in
	// FastWindow. It is for the callee that answers all it can and lets the rest hang: few of the calls, most
	// of what is in flight.
	LoadConfidence float64
	LoadCalls      uint32
	// A verification closes below CloseRatio bad of at least ProbeCalls observed calls.
	CloseRatio float64
	ProbeCalls uint32
	// A breaker stays open for OpenDuration x 2^attempt, at most MaxOpenDuration, give or take Jitter (0..1).
	OpenDuration, MaxOpenDuration int64
	Jitter                        float64
}

// Recent is what is known of an edge's last calls at the time of a step.
type Recent struct {
	// Window and Fast are the sums over Config.Window and Config.FastWindow up to now.
	Window, Fast Sums
}
