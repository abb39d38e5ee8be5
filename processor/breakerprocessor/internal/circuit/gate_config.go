// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

// GateConfig is how a Gate judges. Times are in nanoseconds, ratios 0..1. A rule whose limit is 0 is off; any
// of the others may open. Shared by all gates; read only.
type GateConfig struct {
	// The window is the last WindowCalls calls or, when that is 0, the last WindowBuckets times BucketWidth.
	WindowCalls   uint32
	WindowBuckets int
	BucketWidth   int64
	// MinimumCalls must be in the window before a ratio says anything; a window of calls can't ask for more
	// than it holds.
	MinimumCalls uint32
	// FailureRatio of the window failed, and the Wilson lower bound of it at Confidence standard deviations is
	// at least FailureFloor (0 and 0: the ratio alone).
	FailureRatio, Confidence, FailureFloor float64
	// FailureCount calls of the window failed.
	FailureCount uint32
	// ConsecutiveFailures calls failed one after the other. An ignored or throttled call neither counts nor
	// breaks the row.
	ConsecutiveFailures uint32
	// SlowRatio of the window took longer than SlowDuration. Apart from failures: the two are never added.
	SlowRatio    float64
	SlowDuration int64
	// Open says for how long; a window of Payback spent closed takes back one attempt, 0: closing takes back all.
	Open    OpenTime
	Payback int64
	// Half-open admits MaxInFlight calls at a time and decides by Probes results; 0 counts as 1.
	MaxInFlight, Probes uint32
	Policy              Policy
	// MaxWait is how long it may stay undecided, after which it opens again; 0: as long as it was open at first.
	MaxWait int64
}

// Policy is how half-open decides.
type Policy uint8

const (
	// AllSucceed opens again at the first probe that fails, or is slow while that is a rule, and closes when
	// Probes of them succeeded.
	AllSucceed Policy = iota
	// ByRate looks at the ratios once Probes results are there; any failure is too many without a FailureRatio.
	ByRate
)

// reason is the rule that says "open" of what is in the window and of the failures in a row.
func (cfg *GateConfig) reason(c Counts, row uint32) Reason {
	minimum := max(cfg.MinimumCalls, 1)
	if cfg.WindowCalls > 0 {
		minimum = min(minimum, cfg.WindowCalls)
	}
	switch {
	case cfg.ConsecutiveFailures > 0 && row >= cfg.ConsecutiveFailures:
		return Consecutive
	case cfg.FailureCount > 0 && c.Bad >= cfg.FailureCount:
		return FailureCount
	case c.Calls < minimum:
		return NoReason
	case cfg.FailureRatio > 0 && surely(c.Ratio(), c.Calls, cfg.FailureRatio, cfg.Confidence, cfg.FailureFloor):
		return FailureRate
	case cfg.slow(c):
		return SlowRate
	}
	return NoReason
}

func (cfg *GateConfig) slow(c Counts) bool {
	return cfg.SlowRatio > 0 && c.SlowRatio() >= cfg.SlowRatio
}

func (cfg *GateConfig) maxWait() int64 {
	if cfg.MaxWait > 0 {
		return cfg.MaxWait
	}
	return cfg.Open.First
}
