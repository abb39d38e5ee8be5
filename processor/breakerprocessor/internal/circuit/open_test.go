// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Nobody obeys: no transition while it fails, only the open times get longer; then it closes.
func TestOutageThatNobodyHeeds(t *testing.T) {
	w, at := opened(t, false)
	assert.LessOrEqual(t, at, 62*second, "fast")
	assert.Equal(t, at+5*second, w.Until())
	require.Empty(t, w.drive(at+second/4, at+5*second, always(true)))
	assert.Zero(t, w.Attempt())
	require.Empty(t, w.drive(at+5*second, at+40*second, always(true)))
	assert.EqualValues(t, 3, w.Attempt(), "after 5, 15 and 35 s")
	assert.Equal(t, at+75*second, w.Until())
	obedience, known := w.Obedience(at + 40*second)
	assert.True(t, known)
	assert.Less(t, obedience, 0.05)
	healed := at + 40*second
	ts := w.drive(healed, healed+20*second, always(false))
	require.Equal(t, []State{Closed}, states(ts))
	assert.Equal(t, Recovered, ts[0].Reason)
	assert.Greater(t, ts[0].At, healed+8*second, "a tenth of the window still fails, which is not well")
	assert.LessOrEqual(t, ts[0].At, healed+10*second, "as soon as the window has forgotten")
	assert.EqualValues(t, 3, ts[0].Attempt)
	assert.Equal(t, obedience, ts[0].Obedience)
	assert.EqualValues(t, 8, ts[0].Evidence.Bad, "of the window")
	assert.InDelta(t, 100, ts[0].Evidence.Calls, 1)
	stale := calls(1, 1)
	assert.False(t, w.Call(ts[0].At-10*second-1, stale), "started before what was verified")
	assert.True(t, w.Call(ts[0].At-10*second, stale))
	assert.Zero(t, w.Verified())
	require.Empty(t, w.drive(ts[0].At+second/4, 400*second, always(false)))
	ts = w.drive(400*second, 404*second, always(true))
	require.Equal(t, []State{Open}, states(ts))
	assert.Zero(t, ts[0].Attempt, "trusted again")
}

// A callee that was well again at once is not told to wait for longer.
func TestAttemptOfOneThatIsWell(t *testing.T) {
	w, at := opened(t, false)
	ts := w.drive(at+second/4, at+30*second, always(false))
	require.Equal(t, []State{Closed}, states(ts))
	assert.Zero(t, ts[0].Attempt)
	assert.Less(t, ts[0].At, at+10*second)
	one := calls(1, 1)
	assert.False(t, w.Call(at-1, one), "of before the opening, though of the last window too")
	assert.True(t, w.Call(at, one))
}

// Calls that started before the opening are counted, as news of the callee, but not among those that have started since.
func TestOpenCountsWhatStartedBefore(t *testing.T) {
	w, at := opened(t, false)
	before := w.Verified()
	stale, one := calls(100, 100), calls(1, 0)
	assert.True(t, w.Call(at-1, stale))
	assert.Equal(t, before, w.Verified())
	assert.True(t, w.Call(at, one))
	assert.Equal(t, before.Calls+1, w.Verified().Calls)
	w.Amend(at-1, &stale, &one)
	assert.Equal(t, before.Calls+1, w.Verified().Calls, "nor is what was not counted amended")
	before.Calls++
	obedience, known := w.Obedience(at + second)
	assert.True(t, known)
	assert.Equal(t, 1-float64(before.Calls)/10, obedience, "nor do they disobey")
}

// A callee that fails every other 5 s: opened once, and not trusted in its good moments.
func TestNoFlapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.Int64Range(0, 100).Draw(t, "shift") * second / 10
		w := newWorld(0)
		ts := w.drive(0, 120*second, func(at int64) bool { return (at+shift)/(5*second)%2 == 1 })
		require.LessOrEqual(t, len(ts), 3, states(ts))
		require.NotEmpty(t, ts)
	})
}

// A callee that fails again as soon as it is trusted must be well for twice as long each time, beginning with
// the end of an open time that is twice as long likewise.
func TestRelapses(t *testing.T) {
	w, at := opened(t, false)
	for _, windows := range []int64{1, 2, 4, 8, 16, 30} {
		var closed, again int64
		for now := at + second/4; again == 0; now += second / 4 {
			for _, tr := range w.drive(now, now+second/4, always(closed > 0)) {
				if tr.To == Closed {
					closed = tr.At
				} else {
					again = tr.At
				}
			}
			require.Less(t, now, at+700*second, "never closes")
		}
		assert.GreaterOrEqual(t, closed-at, windows*10*second-2*second, "the window was well at its end for all but one of them")
		assert.LessOrEqual(t, closed-at, windows*15*second+10*second)
		assert.Less(t, again-closed, 10*second)
		at = again
	}
}

// However late it heals, whatever the share that failed before.
func TestClosesSoonAfterHealing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(0)
		outage := rapid.Int64Range(4, 200).Draw(t, "seconds") * second
		of := rapid.Int64Range(5, 10).Draw(t, "of ten")
		ts := w.drive(0, outage, func(at int64) bool { return at/(second/10)%10 < of })
		if len(ts) == 0 {
			return
		}
		require.Equal(t, []State{Open}, states(ts))
		healed := max(outage, ts[0].Until)
		w.drive(outage, healed, always(false))
		if w.State() == Open {
			require.Equal(t, []State{Closed}, states(w.drive(healed, healed+10*second+second/4, always(false))))
		}
	})
}

// A quiet edge closes too, by as many calls as any other; it takes as long as it takes.
func TestQuietEdgeCloses(t *testing.T) {
	b := New(testConfig(), 1, 0)
	_, changed := b.Step(0, &Recent{Window: calls(5, 5)})
	require.True(t, changed)
	for now := second; now < 30*second; now += 5 * second {
		b.Call(now, calls(1, 0))
		tr, changed := b.Step(now, &Recent{Window: calls(2, 0), Expected: 0.2})
		require.False(t, changed, tr)
	}
	var closed int64
	for now := 31 * second; now < 200*second && closed == 0; now += 5 * second {
		b.Call(now, calls(1, 0))
		if tr, changed := b.Step(now, &Recent{Window: calls(2, 0), Expected: 0.2}); changed {
			require.Equal(t, Recovered, tr.Reason)
			closed = now
			assert.EqualValues(t, 10, tr.Evidence.Calls)
		}
	}
	assert.NotZero(t, closed)
}

// A window that is well closes only once the first open time is over; and what was not well is forgotten.
func TestVerificationBeginsWithTheEndOfTheOpenTime(t *testing.T) {
	b := New(testConfig(), 1, 0)
	b.Step(0, &Recent{Window: calls(10, 10)})
	good := Recent{Window: calls(50, 0), Expected: 1}
	b.Call(0, good.Window)
	for now := second; now <= 5*second; now += second {
		_, changed := b.Step(now, &good)
		require.False(t, changed)
	}
	tr, _ := b.Step(6*second, &good)
	require.Equal(t, Recovered, tr.Reason)
	assert.Equal(t, good.Window, tr.Evidence)

	// Two bad ones of ten, on an edge whose window never holds enough.
	b = New(testConfig(), 1, 0)
	b.Step(0, &Recent{Window: calls(10, 10), Expected: 0.1})
	b.Call(0, calls(1, 0))
	b.Step(5*second, &Recent{})
	b.Call(5*second, calls(9, 2))
	b.Step(6*second, &Recent{Window: calls(2, 0)})
	assert.EqualValues(t, 9, b.Verified().Calls)
	b.Call(6*second, calls(1, 0))
	b.Step(7*second, &Recent{Window: calls(2, 0)})
	assert.Zero(t, b.Verified())
}

// An edge that usually fails more often than CloseRatio closes when it does so again.
func TestNoisyEdgeCloses(t *testing.T) {
	for usual, want := range map[float64]State{0: Open, 0.1: Open, 0.13: Closed, 0.6: Closed} {
		w := newWorld(0)
		b := Breaker{cfg: w.cfg, other: &open{trial: newTrial(0), verifying: true, well: math.MaxInt64, until: 100 * second, measured: 0}, opened: true}
		s := calls(1000, 160)
		b.Call(0, s)
		b.Step(10*second, &Recent{Window: s, Usual: usual})
		assert.Equal(t, want, b.State(), "usual %v", usual)
	}
}

func TestObedience(t *testing.T) {
	at := 100 * second
	tests := map[string]struct {
		expected float64
		calls    int
		want     float64
	}{
		"all stay away":                {10, 0, 1},
		"half":                         {10, 20, 0.5},
		"just half in the end":         {10, 25, 0.375},
		"none":                         {10, 40, 0},
		"more than usual":              {10, 400, 0},
		"too few to tell":              {1, 3, 0},
		"too few, and none came":       {1, 0, 1},
		"unknown, none":                {0, 0, 1},
		"unknown, few":                 {0, 9, 1},
		"unknown, as many as probes":   {0, 10, 0},
		"unknown, more than as probes": {0, 99, 0},
	}
	for name, tt := range tests {
		b := New(testConfig(), 1, 0)
		_, known := b.Obedience(at)
		require.False(t, known, "closed")
		tr, _ := b.Step(at, &Recent{Window: calls(10, 10), Expected: tt.expected})
		require.Equal(t, Open, tr.To)
		_, known = b.Obedience(at)
		require.False(t, known, "no time to measure")
		b.Call(at-1, calls(50, 0))
		if tt.calls > 0 {
			b.Call(at, calls(tt.calls, 0))
		}
		got, known := b.Obedience(at + 4*second)
		require.True(t, known)
		assert.InDelta(t, tt.want, got, 1e-12, name)
		tr, changed := b.Step(at+5*second, &Recent{})
		assert.Equal(t, got >= 0.375, changed, "%s: half of what is usual in 5 s", name)
		if changed {
			assert.GreaterOrEqual(t, tr.Obedience, 0.5)
			got, known = b.Obedience(at + 50*second)
			assert.True(t, known)
			assert.Equal(t, tr.Obedience, got, "as it was measured")
		}
	}
}

// Callers who stop calling in the middle of an outage are found to obey at the end of a period.
func TestObeyedAtLast(t *testing.T) {
	w, at := opened(t, false)
	require.Empty(t, w.drive(at+second/4, at+20*second, always(true)))
	ts := w.drive(at+20*second, at+200*second, nil)
	require.Equal(t, []State{HalfOpen}, states(ts))
	assert.Equal(t, at+35*second, ts[0].At)
	assert.GreaterOrEqual(t, ts[0].Obedience, 0.5)
	assert.EqualValues(t, 2, ts[0].Attempt)
	assert.Equal(t, 0.01, ts[0].Admit)
}

// Callers whose calls take longer than the open time, or are told of late, have not stopped calling: of what started
// since, nothing can have been seen.
func TestObedienceOfSlowCalls(t *testing.T) {
	at := 100 * second
	for name, r := range map[string]Recent{
		"slow":            {Window: Sums{Calls: 10, Bad: 10, Weight: 10, BadWeight: 10, Busy: 100 * second, BadBusy: 100 * second}, Expected: 10},
		"late":            {Window: calls(10, 10), Expected: 10, Lag: 6 * second},
		"slow, and stops": {Window: calls(10, 10), Expected: 10, Lag: second},
	} {
		b := New(testConfig(), 1, 0)
		_, ok := b.Step(at, &r)
		require.True(t, ok)
		_, changed := b.Step(at+5*second, &r)
		assert.Equal(t, name == "slow, and stops", changed, name)
	}
}
