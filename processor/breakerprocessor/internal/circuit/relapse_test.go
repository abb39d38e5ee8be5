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

// A callee that fails every other half minute, or so: each good phase is long enough at first, but soon none is.
func TestSlowFlapperSettlesIntoOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phase := rapid.Int64Range(20, 40).Draw(t, "phase") * second
		shift := rapid.Int64Range(0, 600).Draw(t, "shift") * second / 10
		fails := func(at int64) bool { return (at+shift)/phase%2 == 1 }
		w := newWorld(0)
		ts := w.drive(0, 600*second, fails)
		require.GreaterOrEqual(t, len(ts), 3, "it is given the benefit of the doubt once")
		require.LessOrEqual(t, len(ts), 8, states(ts))
		require.Equal(t, Open, w.State())
		require.Empty(t, w.drive(600*second, 1800*second, fails), "and stays there")
		// Well at last, it closes in time.
		ts = w.drive(1800*second, 1800*second+10*second+w.healthyTime(), always(false))
		require.Equal(t, []State{Closed}, states(ts))
	})
}

// One outage after another, minutes apart, is no flapping: each closes as soon as the window has forgotten it.
func TestOutagesFarApart(t *testing.T) {
	w := newWorld(0)
	ts := w.drive(0, 1800*second, func(at int64) bool { return at%(150*second) < 30*second && at >= 150*second })
	require.Len(t, ts, 22)
	for i := 1; i < len(ts); i += 2 {
		healed := ts[i].At/(150*second)*150*second + 30*second
		assert.LessOrEqual(t, ts[i].At, healed+10*second)
	}
}

// The window is well, but what it would be closed for opens it at once: it waits, and so does one that ramps up.
func TestNoClosingThatOpensAtOnce(t *testing.T) {
	cfg := testConfig()
	cfg.Consecutive = 7
	verifying := Breaker{cfg: cfg, other: &open{trial: newTrial(0), verifying: true, until: 1000 * second}, opened: true}
	last := Breaker{cfg: cfg, other: newHalfOpen(0, 1), opened: true}
	last.other.(*halfOpen).share = 3
	for name, b := range map[string]Breaker{"open": verifying, "half-open": last} {
		now := second
		for ; now < 100*second; now += second {
			b.Call(now, calls(20, 1))
			_, changed := b.Step(now, &Recent{Window: calls(200, 10), Row: 7})
			require.False(t, changed, name)
			if name != "open" {
				require.LessOrEqual(t, b.Verified().Calls, uint32(200), "window by window, for it may get worse")
			}
		}
		vetoed := b
		b.Call(now, calls(20, 1))
		tr, _ := b.Step(now+10*second, &Recent{Window: calls(200, 10), Row: 6})
		assert.Equal(t, Recovered, tr.Reason, name)
		if name == "open" {
			tr, _ = vetoed.Step(now, &Recent{Window: calls(200, 10), Row: 7, Veto: true})
			assert.Equal(t, Recovered, tr.Reason, "it would not open")
		}
	}
}

// Calls that hung since before the opening end while callers who obey come back: these are not taken for failures of
// now, neither by half-open nor by the breaker once it is closed.
func TestLateFailuresAndTheRamp(t *testing.T) {
	w, at := opened(t, true)
	w.cfg.Ramp = []float64{0.5, 1}
	var ts []Transition
	for now := at + second/4; now < at+90*second; now += second / 4 {
		if late := calls(8, 8); now < at+45*second && w.Call(at-second, late) {
			w.last = append(w.last, lastCall{now, late})
		}
		ts = append(ts, w.drive(now, now+second/4, always(false))...)
		if now == at+30*second {
			assert.Equal(t, 1.0, w.Admit(), "it waits with all let in")
		}
	}
	require.Equal(t, []State{HalfOpen, Closed}, states(ts))
	assert.Greater(t, ts[1].At, at+45*second)
	assert.LessOrEqual(t, ts[1].At, at+65*second)
}

// What has to be well for longer than a window must be so without a break: neither bad moments, nor ones of which too
// little is known, nor a clock that was wrong are slept through. The edge is asked for 40 s, 30 of them beyond a window.
func TestWellWithoutABreak(t *testing.T) {
	well, bad, quiet := Recent{Window: calls(100, 1)}, Recent{Window: calls(100, 50)}, Recent{Window: calls(9, 0)}
	tests := map[string]struct {
		between func(b *Breaker, now int64)
		closes  int64 // seconds after the break, which is 20 s after it got well
	}{
		"none":           {func(*Breaker, int64) {}, 10},
		"bad":            {func(b *Breaker, now int64) { b.Step(now, &bad) }, 31},
		"too few":        {func(b *Breaker, now int64) { b.Step(now, &quiet) }, 31},
		"a wrong clock":  {func(b *Breaker, now int64) { b.Move(0) }, 31},
		"none, but more": {func(b *Breaker, now int64) { b.Step(now, &well) }, 10},
	}
	for name, tt := range tests {
		b := Breaker{cfg: testConfig(), other: &open{trial: newTrial(0), verifying: true, well: math.MaxInt64, until: 1000 * second}, relapses: 2, opened: true}
		for now := int64(0); now <= 20*second; now += second {
			_, changed := b.Step(now, &well)
			require.False(t, changed, name)
		}
		tt.between(&b, 20*second)
		closed := int64(0)
		for now := 21 * second; now < 100*second && closed == 0; now += second {
			if _, changed := b.Step(now, &well); changed {
				closed = now
			}
		}
		assert.Equal(t, tt.closes, closed/second-20, name)
	}
}

// An edge that gets quiet while it is verified goes by the calls since its window was last not well.
func TestQuietAfterBad(t *testing.T) {
	for name, tt := range map[string]struct {
		window Sums
		want   State
	}{"well": {calls(50, 0), Closed}, "bad": {calls(50, 25), Open}} {
		b := Breaker{cfg: testConfig(), other: &open{trial: newTrial(0), verifying: true, well: math.MaxInt64, until: 1000 * second}, relapses: 1, opened: true}
		b.Call(second, calls(500, 10))
		b.Step(2*second, &Recent{Window: calls(9, 0)})
		b.Step(15*second, &Recent{Window: tt.window})
		b.Step(22*second, &Recent{Window: calls(9, 0)})
		assert.Equal(t, tt.want, b.State(), name)
	}
}

// At the end of a period it waits for longer only if none of what is known says that the callee is well by now.
func TestFurtherPeriodOfOneThatFails(t *testing.T) {
	bad, good := calls(50, 25), calls(50, 0)
	for name, tt := range map[string]struct {
		window, fast, since Sums
		want                uint8
	}{
		"all fail":                       {bad, bad, bad, 1},
		"nothing is known of late":       {bad, calls(9, 0), calls(50, 5), 1},
		"well of late":                   {bad, good, bad, 0},
		"well since, of a quiet edge":    {calls(9, 5), calls(2, 0), good, 0},
		"the window, for want of others": {good, calls(9, 9), calls(9, 9), 0},
	} {
		b := New(testConfig(), 1, 0)
		b.Step(0, &Recent{Window: bad, Expected: 1})
		b.Call(0, tt.since)
		tr, changed := b.Step(5*second, &Recent{Window: tt.window, Fast: tt.fast, Expected: 1})
		require.False(t, changed, tr)
		assert.Equal(t, tt.want, b.Attempt(), name)
		assert.Equal(t, 5*second+5*second<<tt.want, b.Until(), name)
	}
}
