// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/instance"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// maxInstances bounds the instances of each side of an edge that are told apart.
const maxInstances = 32

// Hot is what is kept of an edge that has failures, or had them lately.
type Hot struct {
	// Last is the breaker's last transition, Cause the last that opened it.
	Last, Cause circuit.Transition
	// The newest call that failed, as an example.
	BadTrace [16]byte
	BadSpan  uint64
	// Withheld is why the breaker did not open though a rule said so.
	Withheld Withheld
	// Ejected are the callee's instances that are to be left out, Degraded the caller's that fail where others don't.
	Ejected, Degraded []string
	// MostInFlight is how many calls were in flight at a time, at most, in the window in which the breaker opened last;
	// 0: not known.
	MostInFlight int
	// Metastable: retries go on though what caused them is well again.
	Metastable bool

	name     string
	troubles window.Ring[trouble, *trouble]
	effects  window.Ring[Effects, *Effects]
	upstream upstream
	callers  instance.Sketch
	callees  instance.Sketch
	storm    storm.Detector
	toldTo   int64 // retries up to then were looked at
	// When a retry was last told of, in event time.
	retriedAt int64
	badAt     int64 // event time of the newest failure
	wouldAt   int64 // when a rule last wanted to open
	since     int64 // when the first failure came
	named     bool  // calls themselves say which of the callee's instances they are for
	dirty     bool  // something new came since the breaker was last asked
}

func newHot(t *Table) *Hot {
	half := (t.span + 1) / 2
	return &Hot{
		troubles: window.NewRing[trouble](t.set.Buckets+1, t.set.Bucket),
		effects:  window.NewRing[Effects](t.set.Buckets+1, t.set.Bucket),
		// Who calls is asked when it is to open fast, who answers when it is to open at all.
		callers:   instance.NewSketch(maxInstances, t.set.Circuit.FastWindow),
		callees:   instance.NewSketch(maxInstances, half),
		badAt:     t.head,
		since:     t.head,
		wouldAt:   never,
		retriedAt: never,
	}
}

func (h *Hot) move(d int64) {
	h.troubles.Reset()
	h.effects.Reset()
	h.callers.Reset()
	h.callees.Reset()
	h.storm.Move(d)
	h.toldTo += d
	h.badAt += d
	h.since += d
	h.wouldAt, h.retriedAt = never, never
}

// merge adds what is known of an edge that turned out to be the same.
func (h *Hot) merge(other *Hot) {
	h.troubles.Merge(&other.troubles)
	h.effects.Merge(&other.effects)
	h.upstream.merge(&other.upstream)
	h.callers.Merge(&other.callers)
	h.callees.Merge(&other.callees)
	h.badAt = max(h.badAt, other.badAt)
	h.dirty = true
}

// from and to note which of the caller's instances made a call, and which of the callee's answered it; nil: not known.
// The call has its weight, as its bucket has it.
func (h *Hot) from(at int64, i *Instance, f Fault, weight uint32) { note(&h.callers, at, i, f, weight) }

func (h *Hot) to(at int64, i *Instance, f Fault, weight uint32) { note(&h.callees, at, i, f, weight) }

func note(s *instance.Sketch, at int64, i *Instance, f Fault, weight uint32) {
	calls, bad := (weight+weightUnit/2)/weightUnit, uint32(0)
	if f != NoFault {
		bad = calls
	}
	if i == nil {
		i = &Instance{}
	}
	s.Add(at, i.Key, i.Name, calls, bad)
}
