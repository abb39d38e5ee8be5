// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package circuit is the state machine of one circuit breaker that observes calls and stops none. It knows no
// clock and no telemetry: time comes in as a number, calls as sums.
package circuit

// Config is how a breaker judges. Times are in nanoseconds, ratios 0..1. Shared by all breakers; read only.
type Config struct {
	// Window is how much of the past the rules and the verification look at.
	Window int64
	// The failure rate rule opens at FailureRatio or more bad of at least MinimumCalls observed calls, when the
	// Wilson lower bound of the ratio at Confidence standard deviations is at least FailureFloor.
	FailureRatio float64
	MinimumCalls uint32
	Confidence   float64
	FailureFloor float64
	// Surprise is the log-likelihood ratio that the failures must have over what is usual on the edge; 0: off.
	Surprise float64
	// The fast rule opens at FastRatio or more bad of at least FastCalls observed calls in FastWindow.
	FastWindow int64
	FastRatio  float64
	FastCalls  uint32
	// Both open at no less than BaselineFactor times the edge's usual ratio, which asks for BaselineCap at most.
	BaselineFactor, BaselineCap float64
	// The load rule opens when bad calls are clearly more than CloseRatio, at LoadConfidence standard deviations
	// of at least LoadCalls, and took FailureRatio of the time spent in calls in Window, or FastRatio in
	// FastWindow. It is for the callee that answers all it can and lets the rest hang: few of the calls, most
	// of what is in flight.
	LoadConfidence float64
	LoadCalls      uint32
	// The slow rule opens when SlowRatio or more of at least SlowCalls calls of Window were slow; 0: off.
	SlowRatio float64
	SlowCalls uint32
	// FailureCount bad calls in Window open, and so do Consecutive ones in a row; 0: off.
	FailureCount, Consecutive uint32
	// A verification closes below CloseRatio bad, or 1.5 times what is usual, of at least ProbeCalls observed calls.
	CloseRatio float64
	ProbeCalls uint32
	// A breaker stays open for OpenDuration x 2^attempt, at most MaxOpenDuration, give or take Jitter (0..1).
	OpenDuration, MaxOpenDuration int64
	Jitter                        float64
	// Ramp is the shares of the calls to admit while half-open, one after the other; none: all at once.
	Ramp []float64
	// MaxWait is how long one share may stay undecided, from its first call on, after which it opens again;
	// 0: OpenDuration.
	MaxWait int64
}

// Recent is what is known of an edge's last calls at the time of a step.
type Recent struct {
	// Window and Fast are the sums over Config.Window and Config.FastWindow up to now.
	Window, Fast Sums
	// Usual is the usual failure ratio of the edge, Expected its usual calls a second (observed ones); 0: unknown.
	Usual, Expected float64
	// Lag is how late calls that ended are told of, in nanoseconds.
	Lag int64
	// Row is how many calls failed, and are charged here, since the last success, at least.
	Row uint32
	// Veto: the failures are another's. A closed breaker does not open now.
	Veto bool
}

func (cfg *Config) maxWait() int64 {
	if cfg.MaxWait > 0 {
		return cfg.MaxWait
	}
	return cfg.OpenDuration
}
