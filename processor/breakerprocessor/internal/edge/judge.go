// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/instance"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// judgeEach is how often instances and retries are looked at, in nanoseconds of event time.
const judgeEach = int64(1e9)

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
	if e.Breaker.State() == circuit.Closed {
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
	// The newest seconds have not been told yet: a trace is looked at when it is over.
	to := now - t.Rest()
	s, f := e.Sums(to-t.span/2, to), e.Effects(to-t.span/2, to)
	failed := minus(s.Bad+s.Deeper, 0)
	look := storm.Look{
		Now: now, Seconds: float64(t.span/2) / 1e9,
		Attempts: s.Calls, Retries: min(f.Retries, s.Calls), OK: minus(s.Calls, failed), Bad: failed,
		UsualOK: e.usual.rate(t.span) * (1 - e.usual.ratio()),
	}
	if ev, ok := h.storm.Step(look); ok {
		tell(Event{Kind: RetryStorm, Edge: e, At: now, Storm: ev, Evidence: s})
	}
}
