// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	minBad = 10
	week   = 7 * 24 * 3600
)

// run steps a gate through seconds, from the one that ends at from; share is the share of bad units of each.
type run struct {
	gate      Gate
	test      Test
	threshold float64
	now       int64 // end of the last second stepped
	level     Level
}

func newRun(perSecond float64) *run {
	return &run{test: ErrorTest(0), threshold: Threshold(perSecond)}
}

func (r *run) step(units, bad int64) Level {
	r.now += second
	r.level = r.gate.Step(r.now, units, bad, r.test, r.threshold, minBad)
	return r.level
}

// openAfter returns the seconds that it takes to open, -1 when limit is not enough.
func (r *run) openAfter(limit int, units, bad int64) int {
	for n := 1; n <= limit; n++ {
		if r.step(units, bad) == Open {
			return n
		}
	}
	return -1
}

func TestTests(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  Test
		want Test
	}{
		{"no failures known", ErrorTest(0), Test{.005, .055}},
		{"some", ErrorTest(.01), Test{.01, .06}},
		{"many", ErrorTest(.1), Test{.1, .4}},
		{"most", ErrorTest(.6), Test{.6, .9}},
		{"nearly all", ErrorTest(.99), Test{.9, .9}},
		{"no slowness known", SlowTest(0), Test{.03, .18}},
		{"much", SlowTest(.2), Test{.2, .8}},
		{"nearly all slow", SlowTest(1), Test{.5, .9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.InDelta(t, tt.want.P0, tt.got.P0, 1e-9)
			assert.InDelta(t, tt.want.P1, tt.got.P1, 1e-9)
		})
	}
}

func TestThreshold(t *testing.T) {
	assert.InDelta(t, math.Log(week), Threshold(0), 1e-9, "never less than for one a second")
	assert.InDelta(t, math.Log(500*week), Threshold(500), 1e-9)
}

// binomial draws how many of n units are bad.
func binomial(r *rand.Rand, n int64, p float64) (bad int64) {
	for range n {
		if r.Float64() < p {
			bad++
		}
	}
	return bad
}

// A week of failures at random, as many as are normal, opens nothing. At two units of work a second the
// threshold promises about one false alarm in a week at the most; minBad makes it far fewer.
func TestHealthyWeekIsSilent(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		errors, slow := newRun(2), newRun(2)
		slow.test = SlowTest(.03)
		for range week {
			units := int64(r.IntN(5))
			require.NotEqual(t, Open, errors.step(units, binomial(r, units, errors.test.P0)))
			require.NotEqual(t, Open, slow.step(units, binomial(r, units, slow.test.P0)))
		}
	}
}

// A step opens the gate as soon as the sum of the expected evidence is beyond the threshold, and not before.
func TestStepOpens(t *testing.T) {
	for _, tt := range []struct {
		name       string
		units, bad int64
	}{
		{"all of much", 1000, 1000},
		{"all", 50, 50},
		{"a fifth", 50, 10},
		{"a tenth", 20, 2},
		{"all of little", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun(float64(tt.units))
			for range 300 {
				require.Equal(t, Quiet, r.step(tt.units, 0))
			}
			healthy := r.now
			p := r.test
			evidence := float64(tt.bad)*math.Log(p.P1/p.P0) + float64(tt.units-tt.bad)*math.Log((1-p.P1)/(1-p.P0))
			want := int(math.Floor(r.threshold/evidence)) + 1
			uncounted := int(noise / evidence) // seconds that may still be noise
			want = max(want, uncounted+int(math.Ceil(minBad/float64(tt.bad))))
			assert.Equal(t, want, r.openAfter(1000, tt.units, tt.bad))
			assert.InDelta(t, healthy, r.gate.Onset(), float64(noise/evidence+1)*float64(second), "onset")
			assert.LessOrEqual(t, healthy, r.gate.Onset())
			units, bad := r.gate.Counts()
			assert.GreaterOrEqual(t, bad, int64(minBad))
			assert.LessOrEqual(t, bad*tt.units, units*tt.bad)
		})
	}
}

// What little traffic there is counts the same, however long the pauses in it.
func TestLowTrafficWaits(t *testing.T) {
	busy, rare := newRun(1), newRun(1)
	want := busy.openAfter(100, 1, 1)
	opened := 0
	for n := 1; n <= 100 && opened == 0; n++ {
		for range 99 {
			require.NotEqual(t, Open, rare.step(0, 0))
		}
		if rare.step(1, 1) == Open {
			opened = n
		}
	}
	assert.Equal(t, want, opened)
}

func TestAHandfulOfFailuresIsNotEnough(t *testing.T) {
	r := newRun(1)
	require.Equal(t, Suspect, r.step(minBad-1, minBad-1), "the sum alone would open it")
	assert.Equal(t, Open, r.step(1, 1))
}

// A gate at rest may be left alone for as long as nothing comes: its onset is none the worse for it.
func TestOnsetAfterAPauseThatWasNotTold(t *testing.T) {
	told, left := newRun(1), newRun(1)
	told.step(10, 0)
	left.step(10, 0)
	require.True(t, left.gate.AtRest())
	for range 100 {
		told.step(0, 0)
	}
	left.now = told.now
	require.Equal(t, Open, told.step(20, 20))
	require.Equal(t, Open, left.step(20, 20))
	assert.Equal(t, told.now-second, told.gate.Onset())
	assert.Equal(t, told.gate.Onset(), left.gate.Onset())
}

// However long it was bad, it closes within a bounded number of good units.
func TestCloses(t *testing.T) {
	closeAfter := func(bad int) (n int) {
		r := newRun(100)
		for range bad {
			r.step(100, 50)
		}
		for r.level == Open {
			r.step(100, 0)
			n++
		}
		return n
	}
	assert.Equal(t, closeAfter(10), closeAfter(10_000))
	good := -math.Log((1 - ErrorTest(0).P1) / (1 - ErrorTest(0).P0))
	assert.LessOrEqual(t, float64(closeAfter(10)), (ceiling-1)*Threshold(100)/(100*good)+1)
}

func TestReset(t *testing.T) {
	r := newRun(10)
	require.Positive(t, r.openAfter(10, 10, 10))
	r.gate.Reset()
	assert.True(t, r.gate.AtRest())
	assert.Equal(t, Quiet, r.step(0, 0))
	units, bad := r.gate.Counts()
	assert.Zero(t, units+bad)
	assert.Equal(t, r.now, r.gate.Onset())
	assert.Positive(t, r.openAfter(10, 10, 10), "it opens again")
}

func TestLastBad(t *testing.T) {
	for _, tt := range []struct {
		name       string
		units, bad int64 // after ten seconds in which half failed
		well       bool
	}{
		{"still as bad", 100, 50, false},
		{"half healed is not healed", 100, 25, false},
		{"a fifth of it is not", 100, 10, false},
		{"as good as normal", 200, 1, true},
		{"all good", 100, 0, true},
		{"good, of few", 1, 0, true},
		{"silence says nothing", 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun(100)
			r.step(100, 0)
			require.Zero(t, r.gate.LastBad())
			for range 10 {
				r.step(100, 50)
			}
			last := r.now
			require.Equal(t, last, r.gate.LastBad())
			for range 30 {
				r.step(tt.units, tt.bad)
			}
			if tt.well {
				assert.Equal(t, last, r.gate.LastBad())
			} else {
				assert.Equal(t, r.now, r.gate.LastBad())
			}
		})
	}
}

// The level follows from the counts, never exceeds what they say, and a gate at rest is quiet.
func TestGateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRun(float64(rapid.IntRange(0, 1000).Draw(t, "rate")))
		r.test = rapid.SampledFrom([]Test{ErrorTest(0), ErrorTest(.2), SlowTest(0), SlowTest(1)}).Draw(t, "test")
		total := int64(0)
		for range rapid.IntRange(1, 100).Draw(t, "seconds") {
			units := rapid.Int64Range(0, 200).Draw(t, "units")
			bad := rapid.Int64Range(0, units).Draw(t, "bad")
			level := r.step(units, bad)
			total += bad
			u, b := r.gate.Counts()
			require.LessOrEqual(t, b, u)
			require.LessOrEqual(t, b, total)
			require.LessOrEqual(t, r.gate.Onset(), r.now)
			require.LessOrEqual(t, r.gate.LastBad(), r.now)
			require.LessOrEqual(t, r.gate.s, ceiling*r.threshold)
			require.False(t, r.gate.AtRest() && level != Quiet)
			require.False(t, level == Open && b < minBad)
		}
	})
}

// A burst of late records within much that is on time opens nothing; most of them being late does.
func TestLagTest(t *testing.T) {
	var burst, queue Gate
	threshold := Threshold(20)
	for s := range int64(20) {
		assert.NotEqual(t, Open, burst.Step((s+1)*second, 4, 1, LagTest(0), threshold, 10))
		queue.Step((s+1)*second, 4, 3, LagTest(0), threshold, 10)
	}
	assert.Equal(t, Open, queue.Step(21*second, 4, 3, LagTest(0), threshold, 10))
	assert.True(t, queue.Failing())
	assert.False(t, burst.Failing())
	queue.Reset()
	assert.False(t, queue.Failing())
}
