// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// half is a breaker that went half-open at 100 s, and the moment.
func half(change func(*Config)) (Breaker, int64) {
	const at = 100 * second
	cfg := testConfig()
	if change != nil {
		change(cfg)
	}
	return Breaker{cfg: cfg, other: newHalfOpen(at, 0.75), fence: at, opened: true}, at
}

// Callers who obey are let in step by step, and all of them once the last share was well.
func TestRamp(t *testing.T) {
	w, at := opened(t, true)
	ts := w.drive(at+second/4, at+8*second, always(false))
	require.Equal(t, []State{HalfOpen}, states(ts))
	began := ts[0].At
	assert.Equal(t, at+5*second, began)
	var shares []float64
	for now := at + 8*second; w.State() == HalfOpen && now < at+1000*second; now += second / 4 {
		if a := w.Admit(); len(shares) == 0 || shares[len(shares)-1] != a {
			shares = append(shares, a)
		}
		ts = w.drive(now, now+second/4, always(false))
	}
	require.Equal(t, []State{Closed}, states(ts))
	assert.Equal(t, w.cfg.Ramp, shares)
	assert.Equal(t, Recovered, ts[0].Reason)
	assert.Equal(t, 1.0, ts[0].Obedience, "as it was measured while it was open")
	assert.Equal(t, 1.0, ts[0].Admit)
	assert.GreaterOrEqual(t, ts[0].Evidence.Calls, uint32(10))
	one := calls(1, 1)
	assert.False(t, w.Call(began-1, one), "what started before it was half-open tells of the past")
	assert.True(t, w.Call(began, one))
}

// Each share takes its part of the window at least, and only calls that started in it count.
func TestShareTakesItsTime(t *testing.T) {
	b, at := half(nil)
	b.Call(at, calls(10, 0))
	now := at + 2499*second/1000
	b.Step(now, &Recent{})
	assert.Equal(t, 0.01, b.Admit())
	now = at + 2500*second/1000
	b.Step(now, &Recent{})
	assert.Equal(t, 0.1, b.Admit())
	assert.True(t, b.Call(now-1, calls(100, 100)), "it is of the time after the opening")
	assert.Zero(t, b.Verified(), "but not of this share")
	b.Call(now, calls(9, 9))
	_, changed := b.Step(now+1, &Recent{})
	assert.False(t, changed, "too few to decide")
	b.Call(now, calls(1, 1))
	tr, changed := b.Step(now+1, &Recent{})
	require.True(t, changed, "bad: at once")
	assert.Equal(t, StillFailing, tr.Reason)
	assert.Equal(t, calls(10, 10), tr.Evidence)
	assert.EqualValues(t, 1, tr.Attempt)
	assert.Equal(t, now+1+10*second, tr.Until)
	assert.Equal(t, 0.75, tr.Obedience)
	got, known := b.Obedience(now + second)
	assert.True(t, known)
	assert.Equal(t, 0.75, got, "until this period has been measured too")
}

// Without a ramp all are let in at once, for a whole window, which may be longer than it may stay undecided.
func TestNoRamp(t *testing.T) {
	b, at := half(func(cfg *Config) { cfg.Ramp = nil })
	assert.Equal(t, 1.0, b.Admit())
	b.Call(at, calls(10, 0))
	_, changed := b.Step(at+10*second-1, &Recent{})
	assert.False(t, changed)
	tr, changed := b.Step(at+10*second, &Recent{})
	assert.True(t, changed)
	assert.Equal(t, Recovered, tr.Reason)
}

func TestProbeTimeout(t *testing.T) {
	tests := map[string]struct {
		wait     int64
		expected float64
		seen     Sums
		after    int64 // of the first call, in half seconds
		want     Reason
	}{
		"no calls":                            {0, 0, Sums{}, 1000, NoReason},
		"too few, not yet":                    {0, 0, calls(3, 0), 9, NoReason},
		"too few":                             {0, 0, calls(3, 0), 10, ProbeTimeout},
		"too few, as configured, not yet":     {8 * second, 0, calls(3, 0), 15, NoReason},
		"too few, as configured":              {8 * second, 0, calls(3, 0), 16, ProbeTimeout},
		"neither":                             {0, 0, calls(100, 30), 10, ProbeTimeout},
		"neither, of a busy edge":             {0, 1e4, calls(100, 30), 10, ProbeTimeout},
		"too few, but of a quiet edge":        {0, 20, calls(3, 0), 199, NoReason},
		"too few, even for a quiet edge":      {0, 20, calls(3, 0), 200, ProbeTimeout},
		"pending, not known":                  {0, 0, with(calls(100, 60), 60, 0, 0), 10, ProbeTimeout},
		"all bad, pending, too few settled":   {0, 0, with(calls(100, 60), 56, 0, 0), 9, NoReason},
		"few pending, well whatever they are": {0, 0, with(calls(100, 9), 9, 0, 0), 1000, NoReason},
	}
	for name, tt := range tests {
		b, at := half(func(cfg *Config) { cfg.MaxWait = tt.wait })
		first := at + 40*second
		for now := at; now < first; now += second {
			_, changed := b.Step(now, &Recent{Expected: tt.expected})
			require.False(t, changed, "%s: silence decides nothing", name)
		}
		if tt.seen.Calls > 0 {
			b.Call(first, tt.seen)
		}
		tr, changed := b.Step(first+tt.after*second/2, &Recent{Window: tt.seen, Expected: tt.expected})
		assert.Equal(t, tt.want, tr.Reason, name)
		assert.Equal(t, tt.want != NoReason, changed, name)
		if changed {
			assert.EqualValues(t, 1, tr.Attempt, name)
			assert.Equal(t, tt.seen, tr.Evidence, name)
		}
	}
}

// Half well is not well: while there is time, each window is verified for itself, and the first good one counts.
func TestVerificationStartsAnewEachWindow(t *testing.T) {
	b, at := half(func(cfg *Config) { cfg.MaxWait = 60 * second })
	b.Call(at, calls(1000, 300))
	_, changed := b.Step(at+10*second-1, &Recent{})
	assert.False(t, changed)
	assert.EqualValues(t, 1000, b.Verified().Calls)
	b.Step(at+10*second, &Recent{})
	assert.Zero(t, b.Verified())
	b.Call(at+10*second, calls(100, 0))
	b.Step(at+13*second, &Recent{})
	assert.Equal(t, 0.1, b.Admit())
	// The time to wait is not given anew by a new window, but by a new share.
	b, at = half(func(cfg *Config) { cfg.MaxWait = 15 * second })
	b.Call(at, calls(1000, 300))
	b.Step(at+10*second, &Recent{})
	_, changed = b.Step(at+15*second, &Recent{})
	assert.False(t, changed, "nor does it decide while nothing is seen")
	b.Call(at+15*second, calls(1, 0))
	tr, _ := b.Step(at+15*second, &Recent{})
	assert.Equal(t, ProbeTimeout, tr.Reason)
}

// Who obeys and says nothing is never closed, whatever came before.
func TestSilenceNeverCloses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := testConfig()
		cfg.Jitter = 0.2
		b := New(cfg, rapid.Uint64().Draw(t, "seed"), 0)
		now := rapid.Int64Range(0, 1000*second).Draw(t, "now")
		expected := rapid.SampledFrom([]float64{0, 0.1, 10, 1e4}).Draw(t, "expected")
		s := calls(rapid.IntRange(10, 1000).Draw(t, "n"), 0)
		s.Bad, s.BadWeight = s.Calls, s.Weight
		_, changed := b.Step(now, &Recent{Window: s, Expected: expected})
		require.True(t, changed)
		// Calls that started before the opening trickle in and are counted, but nobody was asked to stay away then.
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += rapid.Int64Range(0, 20*second).Draw(t, "dt")
			r := Recent{Expected: expected}
			if rapid.Bool().Draw(t, "late") {
				r.Window = calls(100, 0)
				require.True(t, b.Call(b.fence-1, r.Window))
			}
			b.Step(now, &r)
			require.NotEqual(t, Closed, b.State())
		}
		b.Step(now+400*second, &Recent{Expected: expected})
		require.Equal(t, HalfOpen, b.State())
		require.Equal(t, 0.01, b.Admit())
	})
}
