// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package circuit

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// It is held ten thousand times, nearly always closed.
func TestSize(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(Breaker{}), uintptr(48))
	cfg, recent, one := testConfig(), Recent{Window: calls(10, 1)}, calls(1, 0)
	edges := make([]Breaker, 1)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		edges[0] = New(cfg, 1, 0)
		edges[0].Call(0, one)
		edges[0].Amend(0, &one, &one)
		edges[0].Step(0, &recent)
	}))
}

func TestOpenTime(t *testing.T) {
	cfg := testConfig()
	open := func(seed uint64, attempt uint8) int64 {
		b := New(cfg, seed, 0)
		b.attempt = attempt
		return b.openTime()
	}
	for attempt, want := range []int64{5, 10, 20, 40, 80, 160, 300, 300} {
		assert.Equal(t, want*second, open(7, uint8(attempt)))
	}
	assert.Equal(t, 300*second, open(7, math.MaxUint8))
	cfg.Jitter = 0.2
	distinct := map[int64]bool{}
	for seed := range uint64(1000) {
		d := open(seed<<32, 1)
		assert.Equal(t, d, open(seed<<32, 1), "the same whenever it is asked")
		assert.GreaterOrEqual(t, d, 8*second)
		assert.LessOrEqual(t, d, 12*second)
		assert.LessOrEqual(t, open(seed, 20), 300*second, "the cap holds for the jitter too")
		distinct[d] = true
	}
	assert.Greater(t, len(distinct), 990)
	cfg.OpenDuration, cfg.MaxOpenDuration = math.MaxInt64/2, math.MaxInt64/2
	assert.Positive(t, open(7, 5))
}

func TestMove(t *testing.T) {
	const back = -3600 * second
	w := newWorld(10 * second)
	w.Move(back)
	ts := w.drive(back, back+20*second, always(true))
	require.Equal(t, []State{Open}, states(ts))
	assert.Equal(t, back+10*second, ts[0].At, "warm as long after as before")
	w.last = nil
	w.Move(-back)
	assert.Equal(t, 25*second, w.Until())
	ts = w.drive(20*second, 80*second, always(false))
	assert.Equal(t, []State{Closed}, states(ts), "and not stuck for an hour")
	w.Move(back)
	assert.True(t, w.Call(80*second+back, calls(1, 1)))
	assert.False(t, w.Call(back, calls(1, 1)))

	b, at := half(nil)
	b.Call(at, calls(10, 0))
	b.Move(back)
	assert.Zero(t, b.Verified(), "the times of what was seen can't be trusted")
	b.Call(at+back, calls(10, 0))
	b.Step(at+back+3*second, &Recent{})
	assert.Equal(t, 0.1, b.Admit())
}

// told is one call as it was seen first, and as it was in the end.
type told struct {
	start    int64
	from, to Sums
}

func anyTold(t *rapid.T, at int64) (out []told) {
	one := func(label string) Sums {
		s := One(rapid.Bool().Draw(t, label+" bad"), false, rapid.Float64Range(0, 9).Draw(t, label+" weight"), rapid.Int64Range(0, 9).Draw(t, label+" busy"))
		s.Pending = rapid.Uint32Range(0, s.Bad).Draw(t, label+" pending")
		if s.Bad == 0 {
			s.Deeper = rapid.Uint32Range(0, 1).Draw(t, label+" deeper")
		}
		if rapid.IntRange(0, 9).Draw(t, label) == 0 {
			s = Sums{} // ignored
		}
		return s
	}
	for range rapid.IntRange(0, 30).Draw(t, "calls") {
		out = append(out, told{at + rapid.Int64Range(-3, 12).Draw(t, "start"), one("from"), one("to")})
	}
	return out
}

// A breaker in any state, with times of its own around 100: a period, a fence and a trial that began apart.
func anyState(t *rapid.T) func() Breaker {
	kind := rapid.IntRange(0, 4).Draw(t, "state")
	from, since := rapid.Int64Range(100, 105).Draw(t, "from"), rapid.Int64Range(100, 105).Draw(t, "since")
	return func() Breaker {
		b := New(testConfig(), 1, 0)
		b.fence = 100
		switch kind {
		case 1:
			b.other = &open{trial: newTrial(since), from: from, well: math.MaxInt64}
		case 2:
			b.other = newHalfOpen(since, 1)
		case 3:
			b.other = forcedOpen{}
		case 4:
			b.other = disabled{}
		}
		return b
	}
}

// Only a closed breaker has a fence: another judges by the start itself, and has all counted that tells of the callee.
// A call that is amended is as if it had been given right from the start; and the order of calls means nothing.
func TestAmend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := anyState(t)
		in := anyTold(t, 100)
		right, amended, turned := begin(), begin(), begin()
		for _, c := range in {
			counts := right.Call(c.start, c.to)
			require.Equal(t, c.start >= 100 || right.State() != Closed, counts)
			amended.Call(c.start, c.from)
		}
		for _, c := range rapid.Permutation(in).Draw(t, "order") {
			amended.Amend(c.start, &c.from, &c.to)
		}
		for _, c := range slices.Backward(in) {
			turned.Call(c.start, c.to)
		}
		require.Equal(t, right, amended)
		require.Equal(t, right, turned)
	})
}

// Whatever is fed: transitions follow the diagram, one a step, and a replay gives the same.
func TestBreakerInvariants(t *testing.T) {
	type feed struct {
		dt, age, n, bad, pending, deeper int64
		force                            State
	}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) feed {
			f := feed{dt: rapid.Int64Range(0, 8*second).Draw(t, "dt"), age: rapid.Int64Range(0, 12*second).Draw(t, "age")}
			f.n = rapid.Int64Range(0, 40).Draw(t, "n")
			f.bad = rapid.SampledFrom([]int64{0, f.n, f.n / 2}).Draw(t, "bad")
			f.pending = rapid.Int64Range(0, f.bad).Draw(t, "pending")
			f.deeper = rapid.Int64Range(0, f.n-f.bad).Draw(t, "deeper")
			f.force = State(rapid.IntRange(0, 100).Draw(t, "force"))
			return f
		}), 1, 120).Draw(t, "feed")
		warm := rapid.Int64Range(0, 60*second).Draw(t, "warm")
		expected := rapid.SampledFrom([]float64{0, 2, 50}).Draw(t, "expected")
		cfg := testConfig()
		cfg.Jitter = 0.2
		run := func() (out []Transition) {
			b := New(cfg, 3, warm)
			now := int64(0)
			check := func(before State, tr Transition, changed bool) {
				require.Equal(t, changed, before != b.State())
				if changed {
					require.Equal(t, []State{before, b.State()}, []State{tr.From, tr.To})
					require.Equal(t, []any{now, b.Admit(), b.Until()}, []any{tr.At, tr.Admit, tr.Until})
					out = append(out, tr)
				}
				share, known := b.Obedience(now)
				require.True(t, share >= 0 && share <= 1)
				require.False(t, known && b.State() != Open && b.State() != HalfOpen)
			}
			for _, f := range in {
				now += f.dt
				s := with(calls(int(f.n), int(f.bad)), int(f.pending), int(f.deeper), 0)
				b.Call(now-f.age, s)
				before := b.State()
				tr, changed := b.Step(now, &Recent{Window: s, Fast: s, Expected: expected})
				check(before, tr, changed)
				if changed && before == Closed {
					require.GreaterOrEqual(t, now, warm, "mute while warming")
				}
				before = b.State()
				tr, changed = b.Force(now, f.force%50) // mostly none
				check(before, tr, changed)
			}
			return out
		}
		ts := run()
		for i, tr := range ts {
			switch {
			case tr.Reason == Manual:
			case tr.From == Open && tr.To == HalfOpen:
				require.GreaterOrEqual(t, tr.At, ts[i-1].Until)
				require.GreaterOrEqual(t, tr.Obedience, obeyed)
			case tr.From == Open:
				require.Equal(t, Closed, tr.To)
				require.GreaterOrEqual(t, tr.At, ts[i-1].Until, "verified from then on only")
				require.Less(t, tr.Obedience, obeyed)
			default:
				require.False(t, tr.From == Closed && tr.To != Open || tr.From >= ForcedOpen, tr)
			}
			if tr.Reason == Recovered {
				require.GreaterOrEqual(t, tr.Evidence.Calls, cfg.ProbeCalls)
				require.Less(t, tr.Evidence.Ratio(), cfg.CloseRatio)
			}
		}
		require.Equal(t, ts, run())
	})
}

func BenchmarkBreakerCall(b *testing.B) {
	edges := []Breaker{New(testConfig(), 1, 0), New(testConfig(), 2, 0)}
	one := calls(1, 0)
	b.ReportAllocs()
	counted := 0
	for i := range int64(b.N) {
		if edges[i&1].Call(i, one) {
			counted++
		}
	}
	assert.Equal(b, b.N, counted)
}

func BenchmarkBreakerCallHalfOpen(b *testing.B) {
	br, at := half(nil)
	one := calls(1, 0)
	b.ReportAllocs()
	for range b.N {
		br.Call(at, one)
	}
}

func BenchmarkStepClosed(b *testing.B) {
	br := New(testConfig(), 1, 0)
	r := Recent{Window: calls(1000, 100), Fast: calls(200, 20)}
	b.ReportAllocs()
	for i := range int64(b.N) {
		br.Step(i, &r)
	}
}
