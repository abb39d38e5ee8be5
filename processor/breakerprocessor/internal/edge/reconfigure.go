// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/instance"
)

// Reconfigure puts other settings into force. Edges for which none differs in value go on as they are; the breakers of
// the others begin anew, closed or as a rule sets them, with what was counted in their windows. False: the window is
// another one, into which nothing that was counted fits; the table is as it was.
func (t *Table) Reconfigure(set Settings) bool {
	old, was := t.set, t.crowd
	if set.Buckets != old.Buckets || set.Bucket != old.Bucket || set.Circuit.Window != old.Circuit.Window {
		return false
	}
	t.set, t.crowd = set, crowd(set.Circuit)
	if t.operations == nil && slices.ContainsFunc(set.Rules, func(r Rule) bool { return r.ByOperation }) {
		t.operations = make(map[uint64]int)
	}
	if t.lag.most != set.Settling {
		t.lag = lag{}
		t.lag.init(set.Settling)
	}
	slow := set.SlowFactor != old.SlowFactor || set.SlowFloor != old.SlowFloor
	for _, e := range slices.Clone(t.order) { // some go
		cfg, rule := e.Breaker.Config(), e.rule
		if cfg == &t.crowd {
			cfg = &was
		}
		next := t.configFor(e)
		if set.Circuit.FastWindow != old.Circuit.FastWindow && e.Hot != nil {
			e.Hot.callers = instance.NewSketch(maxInstances, set.Circuit.FastWindow)
		}
		if slow {
			e.usual.settle(set.SlowFloor, set.SlowFactor)
		}
		split := rule.splits() != e.rule.splits() && e.Caller.Key != 0
		if slow || split || rule.state() != e.rule.state() || !reflect.DeepEqual(cfg, next) {
			t.anew(e, next)
		} else {
			e.Breaker.Configure(next)
		}
		if split { // its calls belong to other edges now
			t.remove(e)
		}
	}
	t.shrink()
	return true
}

// anew replaces the edge's breaker. A change of its state is told at the next step.
func (t *Table) anew(e *Edge, cfg *circuit.Config) {
	want := e.rule.state()
	if e.decides() && e.Breaker.State() != circuit.Closed {
		t.open--
	}
	tr, ok := e.Breaker.Force(t.head, want)
	e.Breaker = circuit.New(cfg, e.key, t.warm)
	e.Breaker.Force(t.head, want)
	if ok {
		h := t.heat(e)
		h.Last, h.Cause = tr, tr
		t.forced = append(t.forced, e)
	}
	if h := e.Hot; h != nil {
		h.Withheld, h.wouldAt, h.dirty = NotWithheld, never, true
	}
}

// shrink lets go of closed edges, the longest unseen first, until there are no more than may be.
func (t *Table) shrink() {
	over := len(t.order) - t.set.MaxEdges
	if over <= 0 {
		return
	}
	byAge := slices.Clone(t.order)
	slices.SortStableFunc(byAge, func(a, b *Edge) int { return cmp.Compare(a.lastSeen, b.lastSeen) })
	for _, e := range byAge {
		if over > 0 && e.Breaker.State() == circuit.Closed {
			t.remove(e)
			over--
		}
	}
}

// state is the one that the rule sets by hand; circuit.Closed: none.
func (r *Rule) state() circuit.State {
	if r == nil {
		return circuit.Closed
	}
	return r.State
}

func (r *Rule) splits() bool { return r != nil && r.ByOperation }
