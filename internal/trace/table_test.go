// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const lateness = 5 * second

func testLimits() Limits {
	return Limits{Spans: 10_000, TraceSpans: 1_000, Quiet: second, Wait: lateness}
}

// arrival is a span as it arrives: after the head has come to seen.
type arrival struct {
	id   ID
	span Span
	seen int64
}

// play feeds arrivals in order, as an engine does that waits lateness for late spans, and writes down what
// is given out: per second the episodes, in order of their first span.
func play(arrivals []arrival) []string {
	table := NewTable(testLimits())
	var out, episodes []string
	head := int64(0)
	visit := func(id ID, spans []Span) {
		line := fmt.Sprintf("%x:", id[15])
		for _, s := range spans {
			line += fmt.Sprintf(" %d", s.ID)
		}
		episodes = append(episodes, line)
	}
	tick := func(end int64) {
		slices.Sort(episodes)
		for _, e := range episodes {
			out = append(out, fmt.Sprintf("%d %s", end/second, e))
		}
		episodes = episodes[:0]
	}
	for _, a := range arrivals {
		head = max(head, a.seen)
		table.Add(a.id, a.span)
		table.Expire(head-lateness, visit, tick)
	}
	table.Expire(head+100*second, visit, tick)
	return out
}

func drawArrivals(t *rapid.T) []arrival {
	n := rapid.IntRange(1, 120).Draw(t, "spans")
	var out []arrival
	for i := range n {
		end := 1000*second + rapid.Int64Range(0, 30*second).Draw(t, "end")
		var id ID
		id[15] = byte(rapid.IntRange(0, 9).Draw(t, "trace"))
		out = append(out, arrival{id: id, span: NewSpan(Facts{ID: uint64(i + 1), Start: end - 1000, End: end}), seen: end})
	}
	return out
}

// What an episode holds does not depend on the order of arrival, within the allowed lateness.
func TestEpisodesDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arrivals := drawArrivals(t)
		slices.SortFunc(arrivals, func(a, b arrival) int { return int(a.span.End - b.span.End) })
		// The table starts half its span before the first: let it be the same one.
		arrivals = append([]arrival{{span: Span{ID: 9999, End: 990 * second}, seen: 990 * second}}, arrivals...)
		want := play(arrivals)

		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		type delayed struct {
			arrival
			at int64
		}
		var late []delayed
		for _, a := range arrivals[1:] {
			late = append(late, delayed{a, a.span.End + r.Int64N(lateness-1)})
		}
		slices.SortStableFunc(late, func(a, b delayed) int { return int(a.at - b.at) })
		shuffled := []arrival{arrivals[0]}
		for _, d := range late {
			shuffled = append(shuffled, d.arrival)
		}
		assert.Equal(t, want, play(shuffled))
	})
}

// Every span comes out once, whatever the order and the limits.
func TestEverySpanComesOutOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arrivals := drawArrivals(t)
		limits := testLimits()
		limits.Spans = rapid.IntRange(1, 50).Draw(t, "most spans")
		limits.TraceSpans = rapid.IntRange(1, 20).Draw(t, "most of a trace")
		table := NewTable(limits)
		seen := map[uint64]int{}
		visit := func(_ ID, spans []Span) {
			require.True(t, slices.IsSortedFunc(spans, func(a, b Span) int { return int(a.Start() - b.Start()) }))
			for _, s := range spans {
				seen[s.ID]++
			}
		}
		head, kept := int64(0), 0
		for _, a := range arrivals {
			head = max(head, a.seen)
			if table.Full() {
				require.True(t, table.Relieve(visit))
			}
			if table.Add(a.id, a.span) {
				kept++
			}
			spans, traces := table.Len()
			require.LessOrEqual(t, spans, limits.Spans)
			require.LessOrEqual(t, traces, spans)
			table.Expire(head-lateness, visit, func(int64) {})
		}
		table.Clear(visit)
		spans, traces := table.Len()
		assert.Zero(t, spans)
		assert.Zero(t, traces)
		assert.Len(t, seen, kept)
		for id, n := range seen {
			assert.Equal(t, 1, n, "span %d", id)
		}
	})
}

// The documentation gives this figure.
func TestSkeletonIsSmall(t *testing.T) {
	assert.Equal(t, uintptr(40), unsafe.Sizeof(Span{}))
}

func TestMemoryIsReused(t *testing.T) {
	table := NewTable(testLimits())
	for i := range int64(200_000) {
		var id ID
		id[0], id[1], id[2] = byte(i), byte(i>>8), byte(i>>16)
		end := 1000*second + i*second/1000
		table.Add(id, Span{ID: uint64(i + 1), End: end})
		table.Expire(end-lateness, func(ID, []Span) {}, func(int64) {})
	}
	assert.Less(t, table.Bytes(), int64(2<<20), "about 7,000 spans were held at any time")
}

func TestJumpOfTimeIsNotWalkedSecondBySecond(t *testing.T) {
	table := NewTable(testLimits())
	table.Add(ID{1}, NewSpan(Facts{ID: 1, Start: second, End: 2 * second}))
	ticks, given := 0, 0
	table.Expire(1e9*second, func(ID, []Span) { given++ }, func(int64) { ticks++ })
	assert.Equal(t, 1, given)
	assert.Less(t, ticks, 100)
}

// The last time that a clock lets pass is no time at which a trace stays for ever.
func TestEndOfTime(t *testing.T) {
	table := NewTable(testLimits())
	table.Add(ID{1}, NewSpan(Facts{ID: 1, End: 1 << 62}))
	given := 0
	for range 3 {
		table.Relieve(func(ID, []Span) { given++ })
	}
	assert.Equal(t, 1, given)
	spans, _ := table.Len()
	assert.Zero(t, spans)
}

// Seconds come to their end for those who count them, however early their traces were given out.
func TestReliefLeavesNoSecondOut(t *testing.T) {
	table := NewTable(testLimits())
	var told []int64
	for sec := range int64(20) {
		table.Add(ID{byte(sec)}, Span{ID: 1, End: (100 + sec) * second})
		table.Relieve(func(ID, []Span) {})
		table.Add(ID{byte(sec)}, Span{ID: 2, End: (100 + sec) * second})
		table.Expire((100+sec)*second, func(ID, []Span) {}, func(end int64) { told = append(told, end/second) })
	}
	require.NotEmpty(t, told)
	for i, end := range told {
		assert.Equal(t, told[0]+int64(i), end)
	}
	assert.Equal(t, int64(100+19-1), told[len(told)-1], "quiet is a second")
}
