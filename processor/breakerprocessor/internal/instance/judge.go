// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"cmp"
	"slices"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/outlier"
)

const (
	// heardEnough calls make an instance's word, or that of several together, count against the failing ones.
	heardEnough = 3
	// A quorum is at least quorumLeast failing instances and quorumPercent of all that were heard.
	quorumLeast, quorumPercent = 2, 30
	// Below noisePercent, the failures of instances that are heard rarely are noise.
	noisePercent = 33
	// concentratedPercent of the failures must fall on few instances for the edge to be well without them.
	concentratedPercent = 80
)

// failing: at least half of the calls failed.
func (c Count) failing() bool { return c.Calls > 0 && 2*uint64(c.Failed()) >= uint64(c.Calls) }

// well: less than a quarter failed.
func (c Count) well() bool { return 4*uint64(c.Failed()) < uint64(c.Calls) }

// Vote is what the instances of one side of an edge say of it.
type Vote struct {
	// Heard are the instances with calls; Failing those of which at least 50 % failed, Well less than 25 %.
	Heard, Failing, Well int
	// WellCalls is how many calls the well ones made.
	WellCalls uint64
}

// Poll counts the votes. An instance heard once or twice has a vote as any other, since an outage must be seen while
// most of many replicas made one call. But where all calls together, without those of the instances that were heard
// enough and fail, failed less than 33 %, a rarely heard one that fails is noise, and counts as well: in an outage it
// would be half of them as soon as it lasts as long as a cell.
func Poll(hosts []Count) (v Vote) {
	var calls, failed uint64
	for _, h := range hosts {
		if h.Calls < heardEnough || !h.failing() {
			calls, failed = calls+uint64(h.Calls), failed+uint64(h.Failed())
		}
	}
	noise := 100*failed < noisePercent*calls
	for _, h := range hosts {
		switch {
		case h.Calls == 0:
			continue
		case h.well() || noise && h.Calls < heardEnough:
			v.Well++
			v.WellCalls += uint64(h.Calls)
		case h.failing():
			v.Failing++
		}
		v.Heard++
	}
	return v
}

// othersWell says that instances were heard enough, together, and are well.
func (v Vote) othersWell() bool { return v.WellCalls >= heardEnough }

// Quorum says whether the failures of an edge are its callee's: true unless others are well while fewer than 2
// caller instances fail, or fewer than 30 % of those heard. Each instance has one vote, however often it called: one
// sick replica that retries wildly is one. Where one instance was heard, or all that were heard fail, there is
// nobody to contradict. (The objection that a shared breaker lets one bad node poison all, Polly #287.)
func Quorum(callers []Count) (bool, Vote) {
	v := Poll(callers)
	few := v.Failing < quorumLeast || 100*v.Failing < quorumPercent*v.Heard
	return !(v.othersWell() && few), v
}

// Sick returns the names of the caller instances that fail (50 % of at least 3 calls) where the others are well and
// there is no quorum against the callee, sorted.
func Sick(callers []Count) []string {
	if met, _ := Quorum(callers); met {
		return nil
	}
	var names []string
	for _, c := range callers {
		if c.Calls >= heardEnough && c.failing() {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// DefaultEjection ejects a callee instance that fails at 50 % or more of at least 5 calls, where another has 5 calls
// as well; at most half of all, but always one. The percentage is an absolute floor: Envoy's rule of standard
// deviations has none, ejects one at 98 % of five, and can't find a dead one of four.
func DefaultEjection() outlier.Config {
	return outlier.Config{
		FailurePercentage: outlier.Rule{RequestVolume: 5, MinimumHosts: 2}, FailureThreshold: 50,
		MaxEjected: 50, AlwaysOne: true,
	}
}

// Ejection is what to do about the callee instances of an edge.
type Ejection struct {
	// Hosts are to be ejected, the one with most failures first.
	Hosts []Count
	// Concentrated: at least 80 % of the failures charged to the edge fall on these and on those that are out
	// already, and others are well. The edge should stay closed, whatever its ratio.
	Concentrated bool
}

// Eject judges the instances of a callee. total is the edge's, of the same time (Sketch.Total): failures of
// instances that are unknown or not kept count against concentration. out are the keys of instances that are out
// already; they are not ejected again, but take their place in the limit.
func Eject(cfg *outlier.Config, callees []Count, total Count, out []uint64) (e Ejection) {
	var in []Count
	var gone uint64 // failures on instances that are out, or should be
	for _, c := range callees {
		if slices.Contains(out, c.Key) {
			gone += uint64(c.Failed())
		} else {
			in = append(in, c)
		}
	}
	if !Poll(in).othersWell() {
		return e
	}
	// When not all may go, the worst do.
	slices.SortFunc(in, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Failed(), a.Failed()), cmp.Compare(a.Key, b.Key))
	})
	hosts := make([]outlier.Host, len(in))
	for i, c := range in {
		hosts[i] = outlier.Host{Requests: c.Calls, Failures: c.Failed()}
	}
	for _, i := range cfg.Eject(hosts, len(out)) {
		e.Hosts = append(e.Hosts, in[i])
		gone += uint64(in[i].Failed())
	}
	e.Concentrated = gone > 0 && 100*gone >= concentratedPercent*uint64(total.Failed())
	return e
}
