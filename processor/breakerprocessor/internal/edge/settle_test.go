// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// Whatever a call is corrected to, and how often, the sums are as if that had been known from the start.
func TestSettleIsAsIfKnownFromTheStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := warm(testSettings())
		calls := drawCalls(t, w, func() call.Peer { return shopDB })
		faults := make([]Fault, len(calls))
		var e *Edge
		for i := range calls {
			e, faults[i], _ = w.Record(&calls[i], w.by("orders"), nil, calls[i].End)
		}
		for range rapid.IntRange(0, 60).Draw(t, "corrections") {
			i := rapid.IntRange(0, len(calls)-1).Draw(t, "which")
			if calls[i].Outcome == call.Ignored {
				continue
			}
			to := rapid.SampledFrom([]Fault{NoFault, Pending, Charged, Deeper}).Draw(t, "to")
			w.Settle(e, Failed{Start: calls[i].Start, End: calls[i].End, Weight: WeightOf(calls[i].Weight), Throttled: calls[i].Outcome == call.Throttled}, faults[i], to)
			faults[i] = to
		}
		var want [13]circuit.Sums
		for i, c := range calls {
			if c.Outcome == call.Ignored {
				continue
			}
			p := pulse{calls: 1, weight: WeightOf(c.Weight), busy: busyOf(c.Duration())}
			bad := faults[i].one(c.Outcome == call.Throttled, p.weight, p.busy)
			one := sums(&p, &bad)
			want[c.End/second-49].Add(&one)
		}
		require.Equal(t, want[:], eachSecond(e))
	})
}

// What an open breaker has before its eyes is corrected as well.
func TestSettleAmendsTheBreaker(t *testing.T) {
	w := warm(testSettings())
	w.run(5*second, func(int) { w.record("orders", w.client(shopDB, call.Fail)) })
	e := w.order[0]
	require.Equal(t, circuit.Open, e.Breaker.State())
	w.at(w.now + second/20)
	c := w.client(shopDB, call.Fail)
	w.record("orders", c)
	before := e.Breaker.Verified()
	e.Hot.dirty = false
	w.settle(e, c, Charged, Deeper)
	after := e.Breaker.Verified()
	assert.Equal(t, before.Bad-1, after.Bad)
	assert.Equal(t, before.Deeper+1, after.Deeper)
	assert.Equal(t, before.Calls, after.Calls)
	assert.True(t, e.Hot.dirty)
}

func TestSettleAtTheEdges(t *testing.T) {
	w := warm(testSettings())
	old := w.client(shopDB, call.OK)
	e, _ := w.record("orders", old)
	w.settle(e, old, Deeper, NoFault)
	assert.Nil(t, e.Hot, "nothing to correct where nothing failed")
	w.at(w.now + 30*second)
	w.record("orders", w.client(shopDB, call.Fail))
	want := w.total(e)
	w.settle(e, old, Pending, Charged)
	w.settle(e, old, Pending, Deeper)
	assert.Equal(t, want, w.total(e), "what lies before the window is left alone")
	assert.True(t, e.Hot.dirty)
	e.Hot.dirty = false
	w.settle(e, w.client(shopDB, call.OK), Charged, Charged)
	assert.False(t, e.Hot.dirty)
}

// A call that seemed well was one that the caller gave up: the edge becomes one with failures.
func TestSettleHeats(t *testing.T) {
	w := warm(testSettings())
	c := w.client(shopDB, call.OK)
	e, _ := w.record("orders", c)
	w.Settle(e, Failed{Start: c.Start, End: c.End, Weight: 16}, NoFault, Charged)
	assert.EqualValues(t, 1, w.total(e).Bad)
	assert.Equal(t, []*Edge{e}, w.Active())
	assert.Equal(t, w.now, e.Hot.badAt)
}

// Who failed and what for: of a call whose callee never answered it is told when that is known.
func TestSettleCountsTheUnanswered(t *testing.T) {
	for name, tt := range map[string]struct {
		from, to   Fault
		unanswered bool
		named      bool
		want       uint32
	}{
		"unanswered":     {Pending, Charged, true, false, 1},
		"answered":       {Pending, Charged, false, false, 0},
		"charged before": {Charged, NoFault, true, false, 0},
		"named":          {Pending, Charged, true, true, 0},
	} {
		w := warm(testSettings())
		c := w.client(shopDB, call.Fail)
		e, _ := w.record("orders", c)
		e.Hot.named = tt.named
		w.Settle(e, Failed{Start: c.Start, End: c.End, Weight: 16, Unanswered: tt.unanswered}, tt.from, tt.to)
		total := e.Hot.callees.Total(w.now)
		assert.Equal(t, tt.want, total.Bad, name)
	}
}
