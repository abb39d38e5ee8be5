// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// drawCalls makes calls that end in the window.
func drawCalls(t *rapid.T, w *world, peer func() call.Peer) []call.Call {
	calls := make([]call.Call, rapid.IntRange(1, 60).Draw(t, "calls"))
	for i := range calls {
		c := w.client(peer(), call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
		c.End -= rapid.Int64Range(0, 9*second).Draw(t, "age")
		c.Start = c.End - rapid.Int64Range(0, 3*second).Draw(t, "took")
		c.Weight = float64(rapid.IntRange(0, 9).Draw(t, "weight"))
		calls[i] = c
	}
	return calls
}

// eachSecond are the sums of the window second by second.
func eachSecond(e *Edge) (out []circuit.Sums) {
	for s := int64(49); s < 62; s++ {
		out = append(out, e.Sums(s*second, (s+1)*second))
	}
	return out
}

// The packed sums are those of circuit.One, but for the unit of time.
func TestPackedSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := warm(testSettings())
		var want circuit.Sums
		var e *Edge
		for _, c := range drawCalls(t, w, func() call.Peer { return shopDB }) {
			e, _ = w.record("orders", c)
			if c.Outcome != call.Ignored {
				one := circuit.One(c.Outcome.Bad(), c.Outcome == call.Throttled, c.Weight, c.Duration())
				want.Add(&one)
			}
		}
		got := w.total(e)
		off := float64(want.Calls) * busyUnit
		require.InDelta(t, want.Busy, got.Busy, off)
		require.InDelta(t, want.BadBusy, got.BadBusy, off)
		got.Busy, got.BadBusy = want.Busy, want.BadBusy
		require.Equal(t, want, got)
		var parts circuit.Sums
		for _, s := range eachSecond(e) {
			parts.Add(&s)
		}
		parts.Busy, parts.BadBusy = want.Busy, want.BadBusy
		require.Equal(t, want, parts)
	})
}

// The same calls in any order, within the window and between two decisions, give the same sums.
func TestOrderIndependence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		calls := drawCalls(t, warm(testSettings()), func() call.Peer { return shopDB })
		sums := func(in []call.Call) []circuit.Sums {
			w := warm(testSettings())
			var e *Edge
			for _, c := range in {
				e, _ = w.record("orders", c)
			}
			return eachSecond(e)
		}
		require.Equal(t, sums(calls), sums(rapid.Permutation(calls).Draw(t, "order")))
	})
}

func TestOneCallSums(t *testing.T) {
	for name, tt := range map[string]struct {
		fault     Fault
		throttled bool
		want      trouble
	}{
		"well":                {NoFault, false, trouble{}},
		"pending":             {Pending, false, trouble{bad: 1, pending: 1, weight: 32, busy: 7}},
		"charged":             {Charged, false, trouble{bad: 1, weight: 32, busy: 7}},
		"throttled":           {Charged, true, trouble{bad: 1, throttled: 1, weight: 32, busy: 7}},
		"deeper":              {Deeper, false, trouble{deeper: 1}},
		"deeper, throttled":   {Deeper, true, trouble{deeper: 1}},
		"pending, throttled":  {Pending, true, trouble{bad: 1, pending: 1, throttled: 1, weight: 32, busy: 7}},
		"recovered throttled": {NoFault, true, trouble{}},
	} {
		assert.Equal(t, tt.want, tt.fault.one(tt.throttled, 32, 7), name)
	}
}

func TestWeightOf(t *testing.T) {
	for w, want := range map[float64]uint32{
		0: 16, -1: 16, 0.5: 16, 1: 16, 1.5: 24, 100: 1600, 1e18: 1 << 28, math.Inf(1): 1 << 28, math.NaN(): 16,
	} {
		assert.Equal(t, want, WeightOf(w), "%v", w)
	}
}

func TestBounds(t *testing.T) {
	assert.EqualValues(t, 0, busyOf(-5))
	assert.EqualValues(t, 1, busyOf(busyUnit))
	assert.EqualValues(t, 1, busyOf(busyUnit/2), "rounds")
	assert.Equal(t, busyOf(maxBusy), busyOf(math.MaxInt64))
	p := pulse{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32}
	p.Add(&pulse{1, 1, 1, 1})
	assert.Equal(t, pulse{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32}, p, "saturates")
	var tr trouble
	tr.sub(&trouble{1, 1, 1, 1, 1, 1})
	assert.Zero(t, tr)
}

// Weights count in the ratio, not in the number of calls (H10).
func TestSampledCalls(t *testing.T) {
	w := warm(testSettings())
	var e *Edge
	for i := range 10 {
		c := w.client(shopDB, call.OK)
		if i == 0 {
			c.Outcome, c.Weight = call.Fail, 27
		}
		e, _ = w.record("orders", c)
	}
	s := w.total(e)
	assert.EqualValues(t, 10, s.Calls)
	assert.InDelta(t, 0.75, s.Ratio(), 1e-12)
}
