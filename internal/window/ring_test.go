// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tally is a bucket for the tests: how many, and what they added up to.
type tally struct{ n, sum int64 }

func (t *tally) Add(o *tally) { t.n += o.n; t.sum += o.sum }

type tallyRing = Ring[tally, *tally]

const width = int64(1e9)

func record(r *tallyRing, at, v int64) bool {
	b := r.At(at)
	if b == nil {
		return false
	}
	b.n++
	b.sum += v
	return true
}

// contents lists the window's buckets by number, empty ones left out.
func contents(r *tallyRing) map[int64]tally {
	out := map[int64]tally{}
	n := int64(len(r.buckets))
	for k := r.head - n + 1; r.started && k <= r.head; k++ {
		if b := r.Sum(k*r.width, (k+1)*r.width); b != (tally{}) {
			out[k] = b
		}
	}
	return out
}

func TestRingTable(t *testing.T) {
	s := func(sec float64) int64 { return int64(sec * 1e9) }
	tests := map[string]struct {
		at   []int64
		want map[int64]tally
		late int
	}{
		"one bucket":                {at: []int64{s(5), s(5.9)}, want: map[int64]tally{5: {2, 2}}},
		"late inside the window":    {at: []int64{s(60), s(57.5)}, want: map[int64]tally{60: {1, 1}, 57: {1, 1}}},
		"late beyond the window":    {at: []int64{s(60), s(55.9)}, want: map[int64]tally{60: {1, 1}}, late: 1},
		"oldest that still counts":  {at: []int64{s(60), s(56)}, want: map[int64]tally{60: {1, 1}, 56: {1, 1}}},
		"a step beyond the window":  {at: []int64{s(1), s(100)}, want: map[int64]tally{100: {1, 1}}},
		"a bucket is reused, empty": {at: []int64{s(1), s(6)}, want: map[int64]tally{6: {1, 1}}},
		"before the epoch":          {at: []int64{s(-3), s(-0.5), s(0.5)}, want: map[int64]tally{-3: {1, 1}, -1: {1, 1}, 0: {1, 1}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := NewRing[tally](5, width)
			late := 0
			for _, at := range tt.at {
				if !record(&r, at, 1) {
					late++
				}
			}
			assert.Equal(t, tt.want, contents(&r))
			assert.Equal(t, tt.late, late)
		})
	}
}

func TestRingSumRanges(t *testing.T) {
	r := NewRing[tally](4, width)
	assert.Equal(t, tally{}, r.Sum(math.MinInt64, math.MaxInt64), "nothing yet")
	assert.Equal(t, tally{}, r.Last(3), "nothing yet")
	for sec := range int64(6) {
		record(&r, sec*width, 1<<sec)
	}
	assert.Equal(t, tally{4, 4 + 8 + 16 + 32}, r.Sum(math.MinInt64, math.MaxInt64), "all that is left")
	assert.Equal(t, tally{2, 8 + 16}, r.Sum(3*width, 5*width), "the end is exclusive")
	assert.Equal(t, tally{2, 8 + 16}, r.Sum(3*width+1, 4*width+1), "what overlaps counts whole")
	assert.Equal(t, tally{1, 32}, r.Sum(5*width, 99*width))
	assert.Equal(t, tally{}, r.Sum(6*width, 99*width), "after the window")
	assert.Equal(t, tally{}, r.Sum(0, 2*width), "before the window")
	assert.Equal(t, tally{}, r.Sum(5*width, 5*width), "an empty range")
	assert.Equal(t, tally{}, r.Sum(5*width, 3*width), "an inverted range")
	assert.Equal(t, tally{2, 16 + 32}, r.Last(2))
	assert.Equal(t, r.Last(4), r.Last(400), "not more than there is")
	r.Advance(7 * width)
	assert.Equal(t, tally{2, 16 + 32}, r.Last(9), "time passes without calls")
	r.Advance(2 * width)
	assert.Equal(t, tally{2, 16 + 32}, r.Last(9), "and never back")
	r.Reset()
	assert.Equal(t, tally{}, r.Last(4))
	assert.True(t, record(&r, -99*width, 1), "like new after a reset")
}

type point struct{ at, v int64 }

func points(t *rapid.T, label string, lo, hi int64) []point {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) point {
		return point{at: rapid.Int64Range(lo*width/4, hi*width/4).Draw(t, "quarter second"), v: rapid.Int64Range(-9, 9).Draw(t, "v")}
	}), 0, 60).Draw(t, label)
}

// Inside one window nothing is lost, and the order in which it came cannot be told from the result.
func TestRingIsOrderIndependentWithinTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "buckets")
		start := rapid.Int64Range(-20, 20).Draw(t, "start") * width
		in := points(t, "points", 0, int64(n)*4)
		a, b := NewRing[tally](n, width), NewRing[tally](n, width)
		for _, p := range in {
			require.True(t, record(&a, start+p.at%(int64(n)*width), p.v))
		}
		seed := rapid.Uint64().Draw(t, "shuffle")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		for _, p := range in {
			record(&b, start+p.at%(int64(n)*width), p.v)
		}
		require.Equal(t, contents(&a), contents(&b))
		require.EqualValues(t, len(in), a.Last(n).n)
	})
}

// State of A plus state of B is the state of A and B together, whatever the order of each.
func TestRingMergeIsAddition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "buckets")
		as, bs := points(t, "a", -40, 60), points(t, "b", -40, 60)
		a, b, both := NewRing[tally](n, width), NewRing[tally](n, width), NewRing[tally](n, width)
		var head int64 = math.MinInt64
		for _, p := range append(append([]point{}, as...), bs...) {
			head = max(head, p.at)
		}
		// Late arrivals depend on how far the head had come, which merging cannot know: bring all heads up first.
		if len(as)+len(bs) > 0 {
			both.Advance(head)
		}
		if len(as) > 0 {
			a.Advance(head)
		}
		for _, p := range as {
			record(&a, p.at, p.v)
			record(&both, p.at, p.v)
		}
		for _, p := range bs {
			record(&b, p.at, p.v)
			record(&both, p.at, p.v)
		}
		ab, ba := NewRing[tally](n, width), NewRing[tally](n, width)
		ab.Merge(&a)
		ab.Merge(&b)
		ba.Merge(&b)
		ba.Merge(&a)
		require.Equal(t, contents(&ab), contents(&ba), "commutes")
		// b ran on its own head: what it forgot meanwhile lies before its window, hence before the merged one.
		require.Equal(t, contents(&both), contents(&ab))
	})
}

// Whatever comes: the window holds n buckets, late gives nil exactly before it, and a model agrees.
func TestRingAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "buckets")
		r := NewRing[tally](n, width)
		model := map[int64]tally{}
		var head int64 = math.MinInt64
		for _, p := range points(t, "points", -400, 400) {
			k := int64(math.Floor(float64(p.at) / float64(width)))
			late := head != math.MinInt64 && k <= head-int64(n)
			require.Equal(t, !late, record(&r, p.at, p.v), "late gives nil")
			head = max(head, k)
			if !late {
				m := model[k]
				m.Add(&tally{1, p.v})
				model[k] = m
			}
		}
		for k := range model {
			if k <= head-int64(n) {
				delete(model, k)
			}
		}
		require.Equal(t, model, contents(&r))
		require.Len(t, r.buckets, n)
	})
}

func FuzzRing(f *testing.F) {
	f.Add(int64(0), int64(1), int64(2), uint8(3))
	f.Add(int64(-1), int64(math.MaxInt64), int64(math.MinInt64), uint8(1))
	f.Fuzz(func(t *testing.T, a, b, c int64, n uint8) {
		r := NewRing[tally](int(n%16)+1, width)
		counted := int64(0)
		for _, at := range []int64{a, b, c} {
			if record(&r, at, 1) {
				counted++
			}
		}
		if got := r.Last(16).n; got < 1 || got > counted {
			t.Fatalf("counted %d, window holds %d", counted, got)
		}
		if r.At(max(a, b, c)) == nil {
			t.Fatal("the newest time is always inside the window")
		}
		r.Sum(b, c)
	})
}

func BenchmarkRingAt(b *testing.B) {
	r := NewRing[tally](11, width)
	b.ReportAllocs()
	for i := range int64(b.N) {
		r.At(i*1e6).n++
	}
}
