// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import "math"

const (
	// settledFailures must be known to be ours, or not, before they say anything of those that are pending.
	settledFailures = 5
	// usualMargin times the usual failure ratio is still well: else an edge that is never below CloseRatio would
	// never close.
	usualMargin = 1.5
	// leastUsual is the failure ratio that an edge which never fails is taken to have; unknownUsual is that of one that
	// nothing is known of. Nothing is taken to fail more often than mostFailing.
	leastUsual, unknownUsual, mostFailing = 0.01, 0.02, 0.99
)

// judge says of sums what they mean, given what is known of the edge at the time.
type judge struct {
	cfg     *Config
	usual   float64
	own     float64 // share of the pending failures that will be charged here
	settled bool    // enough are for own to be known; it is 0 if not
}

func (cfg *Config) judge(r *Recent) judge {
	j := judge{cfg: cfg, usual: r.Usual}
	here := r.Window.Bad - min(r.Window.Pending, r.Window.Bad)
	if all := uint64(here) + uint64(r.Window.Deeper); all >= settledFailures {
		j.own, j.settled = float64(here)/float64(all), true
	}
	return j
}

// knows says whether the failures of s can be charged yet.
func (j *judge) knows(s *Sums) bool { return s.Pending == 0 || j.settled }

// charged is how many failures of s are charged here.
func (j *judge) charged(s *Sums) float64 {
	pending := min(s.Pending, s.Bad)
	return float64(s.Bad-pending) + float64(pending)*j.own
}

// share of the failures of s that is charged here.
func (j *judge) share(s *Sums) float64 {
	if s.Bad == 0 {
		return 1
	}
	return j.charged(s) / float64(s.Bad)
}

func (j *judge) ratio(s *Sums) float64 { return s.Ratio() * j.share(s) }

// limit is a rule's ratio on this edge, which may be a noisy one.
func (j *judge) limit(rule float64) float64 {
	return max(rule, min(j.cfg.BaselineCap, j.cfg.BaselineFactor*j.usual))
}

func (j *judge) fast(s *Sums) bool {
	return s.Calls >= j.cfg.FastCalls && j.knows(s) && j.ratio(s) >= j.limit(j.cfg.FastRatio)
}

func (j *judge) failing(s *Sums) bool {
	return s.Calls >= j.cfg.MinimumCalls && j.knows(s) && j.surprise(s) >= j.cfg.Surprise &&
		surely(j.ratio(s), s.Calls, j.limit(j.cfg.FailureRatio), j.cfg.Confidence, j.cfg.FailureFloor)
}

// surprise is the logarithm of how much likelier the failures of s are on an edge that fails as the rule has it than on
// one that is as usual: the log-likelihood ratio of Wald's sequential test (Sequential Tests of Statistical
// Hypotheses, 1945). A ratio and its bound ask the same of every edge; but thousands of edges with a few failures
// each are looked at all day, and one of them has a row of bad luck.
func (j *judge) surprise(s *Sums) float64 {
	usual, failing := max(j.usual, leastUsual), j.limit(j.cfg.FailureRatio)
	if usual >= failing {
		return math.Inf(1)
	}
	if failing = min(failing, mostFailing); j.usual == 0 {
		usual = unknownUsual
	}
	bad := j.ratio(s) * float64(s.Calls)
	return bad*math.Log(failing/usual) + (float64(s.Calls)-bad)*math.Log((1-failing)/(1-usual))
}

func (j *judge) overloaded(s *Sums, share float64) bool {
	return s.Calls >= j.cfg.LoadCalls && j.knows(s) && s.BusyRatio()*j.share(s) >= share &&
		wilson(j.ratio(s), s.Calls, j.cfg.LoadConfidence) >= j.cfg.CloseRatio
}

func (j *judge) slow(s *Sums) bool {
	return j.cfg.SlowRatio > 0 && s.Calls > 0 && s.SlowRatio() >= j.cfg.SlowRatio
}

// enough says that there are calls to verify by; sick and well are of such.
func (j *judge) enough(s *Sums) bool { return s.Calls >= max(j.cfg.ProbeCalls, 1) }

// sick says that verified calls are as bad as those that open.
func (j *judge) sick(s *Sums) bool {
	return j.enough(s) && (j.slow(s) || j.overloaded(s, j.cfg.FailureRatio) ||
		j.knows(s) && j.ratio(s) >= j.limit(j.cfg.FailureRatio))
}

// mayClose says that no rule would open it again at once: calls that started before the opening end in Window, too, and
// are not among those that were verified.
func (j *judge) mayClose(r *Recent) bool {
	why, _ := j.rule(r)
	return why == NoReason || r.Veto
}

// well says that verified calls may close, whatever becomes of those that are pending.
func (j *judge) well(s *Sums) bool {
	usual := min(usualMargin*j.usual, j.limit(j.cfg.FailureRatio))
	return j.enough(s) && !j.slow(s) && s.Ratio() < max(j.cfg.CloseRatio, usual)
}
