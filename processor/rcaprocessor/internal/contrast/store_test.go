// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

func all[H any](H) bool { return true }

var everything = Handles{Node: all[Node], Op: all[Op], Instance: all[Instance]}

// Six of the ten minutes before were an incident, known as such: they teach nothing.
func TestSuspectCellsAreNotNormal(t *testing.T) {
	for _, known := range []bool{true, false} {
		s := New()
		each(30, func(at int64, bad bool) {
			s.Unit(at)
			trouble := at < start+6*minute
			s.Own(at, 10, 1, took(at, pick(bad || trouble, 200.0, 10)))
			if trouble {
				s.Origin(at, 3)
				if known {
					s.Suspect(at)
				}
			} else if bad {
				s.Origin(at, 3)
			}
		})
		got := rank(s)
		if !known {
			assert.Empty(t, got, "it was so most of the time")
			continue
		}
		require.Len(t, got, 2)
		for _, c := range got {
			assert.InDelta(t, pick(c.Node == 1, 10.0, 0), c.Evidence[0].Normal, 1)
		}
	}
}

// Where all that was before is under suspicion it is the new normal.
func TestAllIsSuspect(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		s.Own(at, 10, 1, took(at, pick(bad, 90.0, 10)))
		if !bad {
			s.Suspect(at)
		}
	})
	got := rank(s)
	require.NotEmpty(t, got)
	assert.InDelta(t, 10, got[0].Evidence[0].Normal, 1)
}

// Minutes beyond the fine tier stay what they were, whether under suspicion or not.
func TestOldMinutes(t *testing.T) {
	s := New()
	for at := fault - 50*minute; at < end; at += 2 * second {
		s.Unit(at)
		trouble := at < fault-20*minute
		if trouble {
			s.Suspect(at)
		}
		s.Own(at, 10, 1, took(at, pick(trouble || at >= fault, 300.0, 10)))
	}
	require.NotEmpty(t, s.ops[10].own[0].coarse)
	got := rank(s)
	require.NotEmpty(t, got)
	assert.InDelta(t, 10, got[0].Evidence[0].Normal, 1)
	assert.EqualValues(t, 30, got[0].Evidence[0].Calls)
}

// Which cell is in which tier follows from what was seen, not from the order in which it came.
func TestTiersDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, 100*minute), 1, 200).Draw(t, "times")
		series := func(times []int64) (s tallies) {
			for _, at := range times {
				s.observe(&tally{cellOf(start + at), 1})
			}
			return s
		}
		a := series(times)
		slices.Sort(times)
		b := series(times)
		require.True(t, slices.Equal(a.fine, b.fine))
		require.True(t, slices.Equal(a.coarse, b.coarse))
		n, newest := uint32(0), (start+times[len(times)-1])/minute
		for _, at := range times {
			if (start+at)/minute > newest-ringMinutes {
				n++
			}
		}
		got := uint32(0)
		for _, m := range a.minutes(span{0, math.MaxUint32}, nil, nil) {
			got += m.n
		}
		require.Equal(t, n, got)
		w := a.window(span{0, math.MaxUint32})
		require.Equal(t, n, w.n)
	})
}

// filled is a store with something of everything.
func filled() *Store {
	s := New()
	for at := fault - 30*minute; at < end; at += 3 * second {
		s.Unit(at)
		bad := at >= fault
		s.Own(at, 10, 1, took(at, pick(bad, 30.0, 10)))
		s.Own(at, 20, 2, took(at, 5))
		s.Gap(at, 11, Edge{1, 2}, took(at, 2))
		s.Gap(at, 12, Edge{1, 3}, took(at, pick(bad, 50.0, 1)))
		s.Gap(at, 14, Edge{1, 4}, took(at, 3))
		s.Run(at, 10)
		s.Has(at, 10, Feature{Kind: Child, Key: 20})
		s.Has(at, 10, Feature{Kind: Template, Key: math.MaxUint64, Grave: bad})
		s.Origin(at, 1)
		s.Contained(at, 3)
		s.Felt(at, 1)
		s.Line(at, 1, 1, pick(bad, uint64(7), 8), bad)
		s.Line(at, 3, 2, math.MaxUint64, true)
		s.Joined(at, 3)
		if at < fault-25*minute {
			s.Suspect(at)
		}
	}
	return s
}

func TestForget(t *testing.T) {
	s := filled()
	before := s.Series()
	s.Forget(all[Node], all[Op], all[Instance])
	assert.Equal(t, before, s.Series(), "nothing is gone")
	s.Forget(func(n Node) bool { return n != 3 }, func(op Op) bool { return op != 20 }, func(i Instance) bool { return i != 1 })
	assert.Equal(t, before-7, s.Series(), "an edge, a replica, an operation's own time and the child that it was, a node's failures and lines")
	assert.Equal(t, 2, s.lines)
	assert.Empty(t, s.ops[10].own)
	assert.Len(t, s.ops[10].features, 2)
	s.Gap(end, 12, Edge{1, 3}, 5)
	s.Gap(end, 13, Edge{1, 4}, 5)
	assert.Len(t, s.edges, 3)
	assert.Len(t, s.edges[2].fine, 1, "a row of its own")
	assert.Equal(t, before-6, s.Series())
	s.Forget(func(Node) bool { return false }, func(Op) bool { return false }, func(Instance) bool { return false })
	assert.Zero(t, s.Series())
	assert.Equal(t, int64(s.units.cells())*tallyBytes, s.cells)
}

func TestRewind(t *testing.T) {
	s := filled()
	s.Rewind(fault - 1)
	s.eachDurations(func(d *durations) { assert.Zero(t, d.window(span{cellOf(fault), math.MaxUint32}).n) })
	s.eachTallies(func(k *tallies) { assert.Zero(t, k.window(span{cellOf(fault), math.MaxUint32}).n) })
	assert.NotZero(t, s.units.window(span{0, cellOf(fault)}).n)
	s.Rewind(0)
	assert.False(t, s.units.held())
	assert.Zero(t, s.suspects)
	s.Unit(fault - 40*minute)
	assert.True(t, s.units.held(), "and on it goes, from an earlier time")
}

func passed(c *snapshot.Codec, s *Store) {
	s.SnapshotCore(c)
	for op := Op(0); op < 25; op++ {
		s.SnapshotOp(c, op, &everything)
	}
	for n := Node(1); n < 4; n++ {
		s.SnapshotNode(c, n, &everything)
	}
	s.Restored()
}

func TestSnapshot(t *testing.T) {
	s := filled()
	w := snapshot.NewWriter(0)
	passed(w, s)
	require.NoError(t, w.Err())
	r, back := snapshot.NewReader(w.Bytes()), New()
	passed(r, back)
	require.NoError(t, r.Err())
	assert.Zero(t, r.Len())
	assert.Equal(t, rank(s), rank(back))
	assert.Equal(t, s.Series(), back.Series())
	assert.Equal(t, s.lines, back.lines)
	again := snapshot.NewWriter(0)
	passed(again, back)
	assert.Equal(t, w.Bytes(), again.Bytes())

	// What was cut short or changed is refused, or is a store that can be used.
	rapid.Check(t, func(t *rapid.T) {
		b := slices.Clone(w.Bytes()[:rapid.IntRange(0, len(w.Bytes())).Draw(t, "n")])
		if len(b) > 0 {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= rapid.Byte().Draw(t, "flip")
		}
		s, r := New(), snapshot.NewReader(b)
		passed(r, s)
		if r.Err() == nil {
			rank(s)
			s.Own(end, 10, 1, ms)
			s.Unit(end)
		}
	})
}

// A window that has just begun in the middle of a cell has all that was seen since, and not only what the cell at hand holds.
func TestYoungWindow(t *testing.T) {
	onset := fault + 4*second
	s := New()
	for at := start; at < onset+40*second; at += second / 2 {
		s.Unit(at)
		s.Own(at, 10, 1, took(at, pick(at >= onset, 60.0, 10)))
	}
	calls := func(to int64) int64 {
		got := s.Rank(onset, to, world{}, Options{})
		require.NotEmpty(t, got)
		return got[0].Evidence[0].Calls
	}
	assert.EqualValues(t, 40, calls(onset+7*second), "two cells")
	assert.EqualValues(t, 60, calls(onset+26*second), "three whole cells, and none that it shares")
}

func TestReuse(t *testing.T) {
	s := filled()
	want := rank(s)
	reuse := func() []Candidate { return s.Rank(fault, end, world{}, Options{Reuse: true}) }
	assert.Equal(t, want, reuse())
	assert.Equal(t, want, reuse())
	for i := range int64(20) { // a replica of the bad version is new
		s.Own(fault+i*second, 20, 9, 900*ms)
	}
	assert.NotEqual(t, want, reuse())
	assert.Equal(t, rank(s), reuse())
	s.Suspect(fault - 10*minute)
	a := reuse()
	assert.Equal(t, rank(s), a)
}

func TestSeriesAreBounded(t *testing.T) {
	s := New()
	for op := Op(1); op < maxSeries+100; op++ {
		s.Own(start, op, 1, ms)
	}
	s.Gap(start, 1, Edge{1, 2}, ms)
	s.Run(start, 1)
	s.Origin(start, 1)
	assert.Equal(t, maxSeries, s.Series())
	assert.EqualValues(t, 99+3, s.Dropped())
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	s := filled()
	at := end
	assert.Zero(t, testing.AllocsPerRun(5000, func() {
		at += second / 4
		s.Unit(at)
		s.Own(at, 10, 1, 7*ms)
		s.Gap(at, 11, Edge{1, 2}, ms)
		s.Run(at, 10)
		s.Has(at, 10, Feature{Kind: Child, Key: 20})
		s.Has(at, 10, Feature{Kind: Child, Key: 20})
		s.Origin(at, 1)
		s.Line(at, 1, 1, 7, true)
		s.Felt(at, 1)
		s.Joined(at, 3)
	}))
	assert.Equal(t, s.ops[10].runs.window(span{cellOf(end), math.MaxUint32}).n,
		s.ops[10].features[0].window(span{cellOf(end), math.MaxUint32}).n, "once a span")
}

func TestBytes(t *testing.T) {
	s := filled()
	held := s.cells
	s.count()
	assert.Equal(t, held, s.cells, "counted as it grows")
	assert.Greater(t, s.Bytes(), held)
}
