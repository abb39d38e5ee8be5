// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"

	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/instance"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// judgeEach is how often instances and retries are looked at, in nanoseconds of event time.
const judgeEach = int64(1e9)

// judgeFailures are how many there must be, lately, for instances to be looked at.
const judgeFailures = 5

// maxPath bounds the path that is looked at for layers that retry.
const maxPath = 8

var ejection = instance.DefaultEjection()

// judge looks at what an edge with failures is besides open or closed.
func (t *Table) judge(e *Edge, now int64, tell func(Event)) {
	if now%judgeEach != 0 || t.Warming() {
		return
	}
	t.judgeInstances(e, now, tell)
	t.judgeRetries(e, now, tell)
}

// judgeInstances finds replicas, on either side, that fail while the others are well.
func (t *Table) judgeInstances(e *Edge, now int64, tell func(Event)) {
	h := e.Hot
	var ejected, degraded []string
	if e.Breaker.State() == circuit.Closed && h.callers.Total(now).Failed() >= judgeFailures {
		degraded = instance.Sick(h.callers.Hosts(now))
		if len(degraded) == 0 {
			ejected = names(h.eject(now).Hosts)
		}
	}
	if !slices.Equal(ejected, h.Ejected) || !slices.Equal(degraded, h.Degraded) {
		h.Ejected, h.Degraded = ejected, degraded
		tell(Event{Kind: InstanceSick, Edge: e, At: now, Evidence: e.Sums(now-t.span, now)})
	}
}

func (h *Hot) eject(now int64) instance.Ejection {
	return instance.Eject(&ejection, h.callees.Hosts(now), h.callees.Total(now), nil)
}

func names(hosts []instance.Count) (out []string) {
	for _, c := range hosts {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}

// judgeRetries finds retries that are more than a callee in trouble can bear.
func (t *Table) judgeRetries(e *Edge, now int64, tell func(Event)) {
	h := e.Hot
	if now-h.retriedAt > t.span && h.storm.Idle() {
		return
	}
	to := t.told(now)
	from := max(h.toldTo, to-t.storm.Window)
	if to <= from {
		return
	}
	h.toldTo = to
	ev := h.storm.Look(&t.storm, &storm.Look{
		Now: now, Window: e.attempts(to-t.storm.Window, to), Step: e.attempts(from, to),
		UsualOK: e.usual.rate(t.span) * (1 - e.usual.ratio()), DeeperHealthy: h.storm.Storm() && t.deeperHealthy(e),
	})
	if ev.Kind == storm.None {
		return
	}
	h.Metastable = ev.Kind == storm.Metastable
	tell(Event{Kind: RetryStorm, Edge: e, At: now, Storm: ev, Evidence: e.Sums(to-t.storm.Window, to)})
}

// told is how far traces have told of retries at time now: to the end of a bucket.
func (t *Table) told(now int64) int64 {
	to := now - t.Rest()
	return to - to%t.set.Bucket
}

// attempts are the calls that ended in [from, to) in terms of what was wanted.
func (e *Edge) attempts(from, to int64) storm.Sums {
	s, f := e.Sums(from, to), e.Effects(from, to)
	failed := window.Plus(s.Bad, s.Deeper)
	return storm.Sums{
		Attempts: s.Calls, Retries: min(f.Retries, s.Calls), Calls: minus(s.Calls, f.Retries), OK: minus(s.Calls, failed), Bad: failed,
	}
}

// deeperHealthy says that no breaker on the callee's own calls is open, nor on the edge itself.
func (t *Table) deeperHealthy(e *Edge) bool {
	return e.Breaker.State() == circuit.Closed && !slices.ContainsFunc(t.active, func(a *Edge) bool {
		return a.Caller == e.Callee && a.Breaker.State() != circuit.Closed
	})
}

// RetryLayer looks at the path to the edge, as far up as its failures reach. keep is the name of the edge that alone
// should go on retrying; empty when no more than one does. amplification is how many calls on the edge one request at
// the path's begin comes to, as far as traces were told of.
func (t *Table) RetryLayer(e *Edge) (keep string, amplification float64) {
	path := []*Edge{e}
	for on := e.Caller.above; on != nil && len(path) < maxPath && !slices.Contains(path, on); on = on.Caller.above {
		path = append(path, on)
	}
	slices.Reverse(path)
	sums := make([]storm.LayerSum, len(path))
	for i, on := range path {
		to := t.told(t.head)
		a := on.attempts(to-t.storm.Window, to)
		sums[i] = storm.LayerSum{First: uint64(a.Calls), Attempts: uint64(a.Attempts)}
	}
	plan := storm.Layers(sums)
	if len(plan.Drop) > 0 {
		keep = path[plan.Keep].Name()
	}
	return keep, plan.Amplification
}

func (h *Hot) retries(t *Table) bool { return t.head-h.retriedAt <= t.span }
