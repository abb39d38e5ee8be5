// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package contrast

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	minute = 60 * second
	ms     = int64(1e6)
	start  = 1_700_000_000 * second / minute * minute
	fault  = start + 10*minute
	end    = fault + minute
)

// world names handles: operation 10n+k belongs to node n; those in calls are the caller's side of calls.
type world struct{ calls map[Op]bool }

func (world) Owner(op Op) Node       { return Node(op / 10) }
func (world) Service(op Op) Node     { return Node(op / 10) }
func (w world) Calls(op Op) bool     { return w.calls[op] }
func (world) NodeName(n Node) string { return fmt.Sprintf("n%02d", n) }
func (world) OpName(op Op) string    { return fmt.Sprintf("op%03d", op) }

// each calls f for n events a minute from the start to the end, and says whether the fault is on.
func each(n int, f func(at int64, bad bool)) {
	for at := start; at < end; at += minute / int64(n) {
		f(at, at >= fault)
	}
}

func pick[T any](bad bool, yes, no T) T {
	if bad {
		return yes
	}
	return no
}

func rank(s *Store, off ...Family) []Candidate {
	var opt Options
	for _, f := range off {
		opt.Without[f] = true
	}
	return s.Rank(fault, end, world{}, opt)
}

func names(cs []Candidate) (out []string) {
	for _, c := range cs {
		out = append(out, world{}.NodeName(c.Node))
	}
	return out
}

// jitter is a repeatable spread around 1.
func jitter(at int64) float64 { return 1 + 0.2*math.Sin(float64(at/second)*1.7) }

func took(at int64, millis float64) int64 { return int64(millis * jitter(at) * float64(ms)) }

func TestOwnTime(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		s.Own(at, 10, 1, took(at, 20))
		s.Own(at, 20, 2, took(at, pick(bad, 30.0, 10)))
		s.Own(at, 30, 3, took(at, pick(bad, 0.06, 0.02))) // grew as much, and matters to nobody
	})
	got := rank(s)
	require.NotEmpty(t, got)
	assert.Equal(t, "n02", names(got)[0])
	e := got[0].Evidence[0]
	assert.InDelta(t, 10, e.Normal, 1)
	assert.InDelta(t, 30, e.Now, 3)
	assert.Greater(t, e.Z, significant)
	assert.Empty(t, rank(s, OwnTime), "without the family nothing tells")
}

// One of ten minutes before was bad: a median does not mind, a mean would hide the fault.
func TestOwnTimeMinutesWithTroubleAreNotNormal(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		trouble := at >= start+2*minute && at < start+3*minute
		s.Own(at, 10, 1, took(at, pick(bad || trouble, 200.0, 10)))
	})
	got := rank(s)
	require.NotEmpty(t, got)
	assert.InDelta(t, 10, got[0].Evidence[0].Normal, 1)
	assert.Greater(t, got[0].Evidence[0].Z, 10.0)
}

func TestOwnTimeOfANewReplica(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		s.Own(at, 10, pick(bad, Instance(2), 1), took(at, pick(bad, 60.0, 10)))
	})
	got := rank(s)
	require.NotEmpty(t, got, "a replica without a history has its operation's")
	assert.InDelta(t, 10, got[0].Evidence[0].Normal, 1)
}

// Three operations with two calls each in the window: none says anything alone.
func TestOwnTimeOfSparseOperations(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) { s.Unit(at); s.Own(at, 10, 1, took(at, 5)) })
	each(2, func(at int64, bad bool) {
		for op := Op(20); op < 23; op++ {
			s.Own(at, op, 2, took(at, pick(bad, 400.0, 10)))
		}
	})
	got := rank(s)
	require.NotEmpty(t, got)
	assert.Equal(t, []string{"n02"}, names(got))
	assert.EqualValues(t, 6, got[0].Evidence[0].Calls)
}

// Few calls weigh less than many, one alone nothing.
func TestFewCalls(t *testing.T) {
	score := func(n int) float64 {
		s := New()
		for at := start; at < fault; at += 10 * second {
			s.Unit(at)
			s.Own(at, 10, 1, took(at, 10))
			s.Run(at, 20)
			s.Has(at, 20, Feature{Kind: Child, Key: 30})
		}
		for i := range n {
			at := fault + int64(i)*second
			s.Unit(at)
			s.Own(at, 10, 1, took(at, 900))
			s.Run(at, 20)
		}
		own := rank(s, Structure)
		structure := rank(s, OwnTime)
		assert.Equal(t, n > 1, len(own) > 0, "own time of %d", n)
		assert.Equal(t, n > 1, len(structure) > 0, "structure of %d", n)
		if n < 2 {
			return 0
		}
		return structure[0].Evidence[0].Strength / strength(structure[0].Evidence[0].Z, 1)
	}
	assert.Zero(t, score(1))
	assert.InDelta(t, 0.6, score(3), 1e-9)
	assert.InDelta(t, 1, score(5), 1e-9)
	assert.InDelta(t, 1, score(20), 1e-9)
}

// hub: 1 > 2 > {3, 4, 5}.
func hub(s *Store, slow func(from, to Node) bool) {
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		for _, e := range []Edge{{1, 2}, {2, 3}, {2, 4}, {2, 5}} {
			s.Gap(at, Op(e.From), e, took(at, pick(bad && slow(e.From, e.To), 80.0, 2)))
			s.Own(at, Op(e.To*10), 0, took(at, 5))
		}
	})
}

func TestGap(t *testing.T) {
	of := func(n Node) func(Node, Node) bool { return func(from, to Node) bool { return from == n || to == n } }
	for _, n := range []Node{2, 3} {
		s := New()
		hub(s, of(n))
		got := rank(s)
		require.NotEmpty(t, got)
		assert.Equal(t, n, got[0].Node, "every edge of it is slow, of its neighbours' only some are")
		assert.Empty(t, rank(s, Gap))
	}
}

// Two callees are slow, each by all that leads to it; their caller has one that is not.
func TestGapOfTwoCallees(t *testing.T) {
	s := New()
	hub(s, func(_, to Node) bool { return to == 3 || to == 4 })
	got := rank(s)
	require.Len(t, got, 3)
	assert.Equal(t, []string{"n03", "n04", "n02"}, names(got))
	assert.InDelta(t, got[0].Score, got[1].Score, 0.05)
}

func TestGapOfANewEdge(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		for n := Node(2); n < 9; n++ {
			s.Gap(at, 1, Edge{1, n}, took(at, 2+float64(n)/4))
		}
		if bad {
			s.Gap(at, 1, Edge{1, 9}, took(at, 500))
		}
	})
	assert.Equal(t, "n09", names(rank(s))[0], "no edge of its kind takes so long")
}

func TestStructure(t *testing.T) {
	child := Feature{Kind: Child, Key: 20}
	line := Feature{Kind: Template, Key: 77}
	grave := Feature{Kind: Template, Key: 78, Grave: true}
	other := Feature{Kind: Template, Key: 79}
	tests := []struct {
		name  string
		has   func(i int, bad bool) []Feature
		named bool
	}{
		{"a child vanishes", func(_ int, bad bool) []Feature { return pick(bad, nil, []Feature{child}) }, true},
		{"a line vanishes", func(_ int, bad bool) []Feature { return pick(bad, []Feature{other}, []Feature{line, other}) }, true},
		{"a child is new", func(_ int, bad bool) []Feature { return pick(bad, []Feature{child}, nil) }, true},
		{"errors are new, in some", func(i int, bad bool) []Feature {
			return pick(bad && i%5 == 0, []Feature{other, grave}, []Feature{other})
		}, true},
		{"nothing changes", func(int, bool) []Feature { return []Feature{child, line} }, false},
		{"it was rare before", func(i int, bad bool) []Feature { return pick(!bad && i%8 == 0, []Feature{child}, nil) }, false},
		{"it came and went before", func(i int, bad bool) []Feature { return pick(!bad && i/120%2 == 0, []Feature{child}, nil) }, false},
		{"the node's first lines", func(_ int, bad bool) []Feature { return pick(bad, []Feature{line, grave}, nil) }, false},
		{"all logs end", func(_ int, bad bool) []Feature { return pick(bad, nil, []Feature{line}) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, i := New(), 0
			each(120, func(at int64, bad bool) {
				s.Unit(at)
				s.Run(at, 10)
				for _, f := range tt.has(i, bad) {
					s.Has(at, 10, f)
				}
				i++
			})
			if !tt.named {
				assert.Empty(t, rank(s))
				return
			}
			assert.Equal(t, []string{"n01"}, names(rank(s)))
			assert.Empty(t, rank(s, Structure))
		})
	}
}

// A caller makes the same call as ever, and no answer is seen.
func TestStructureOfACallWithoutAnAnswer(t *testing.T) {
	s := New()
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		s.Run(at, 10)
		s.Has(at, 10, Feature{Kind: Child, Key: pick[uint64](bad, 11, 20)}) // 11 is node 1's side of the call
	})
	got := s.Rank(fault, end, world{calls: map[Op]bool{11: true}}, Options{})
	require.NotEmpty(t, got)
	assert.Equal(t, Node(2), got[0].Node, "the callee")
	assert.Equal(t, "n01", names(rank(s))[0], "where 11 is no call, the caller does something else now")
}

func TestErrors(t *testing.T) {
	s, i := New(), 0
	each(30, func(at int64, bad bool) {
		s.Unit(at)
		if i%10 == 0 {
			s.Origin(at, 1) // always was
		}
		if bad && i%3 == 0 {
			s.Origin(at, 2)
		}
		if bad && i%3 == 1 {
			s.Contained(at, 3) // as many, but a caller coped
		}
		i++
	})
	got := rank(s)
	assert.Equal(t, []string{"n02", "n03"}, names(got))
	assert.Greater(t, got[0].Score, 2*got[1].Score)
	assert.Empty(t, rank(s, Errors))
}

// Failures that come in bursts in healthy times, too, are no news.
func TestErrorsInBursts(t *testing.T) {
	s := New()
	each(60, func(at int64, bad bool) {
		s.Unit(at)
		if m := (at - start) / minute; m%2 == 0 {
			s.Origin(at, 1)
		}
	})
	assert.Empty(t, rank(s))
}

func TestQuarantine(t *testing.T) {
	s := New()
	for at := start; at < end; at += second {
		s.Unit(at)
		s.Own(at, 10, 1, took(at, pick(at >= fault-2*minute, 60.0, 10)))
	}
	got := rank(s)
	require.NotEmpty(t, got)
	assert.InDelta(t, 10, got[0].Evidence[0].Normal, 1)
}

// Two stores that saw half each, merged, are one that saw all, whatever the order.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, a, b := New(), New(), New()
		n := rapid.IntRange(1, 300).Draw(t, "n")
		for range n {
			at := end - 1 - rapid.Int64Range(0, 90*minute).Draw(t, "age")
			half := pick(rapid.Bool().Draw(t, "half"), a, b)
			node := Node(rapid.IntRange(1, 3).Draw(t, "node"))
			took := rapid.Int64Range(0, 1000*ms).Draw(t, "took")
			what := rapid.IntRange(0, 5).Draw(t, "what")
			for _, s := range []*Store{all, half} {
				switch what {
				case 0:
					s.Own(at, Op(node*10), 1, took)
				case 1:
					s.Gap(at, 1, Edge{node, node + 1}, took)
				case 2:
					s.Run(at, Op(node*10))
				case 3:
					s.Run(at, Op(node*10))
					s.Has(at, Op(node*10), Feature{Key: uint64(1 + took%3)})
				case 4:
					s.Origin(at, node)
				default:
					s.Contained(at, node)
				}
				s.Unit(at)
			}
		}
		b.Merge(a, same[Node], same[Op], same[Instance])
		assert.Equal(t, rank(all), rank(b))
		assert.Equal(t, all.Series(), b.Series())
	})
}

func same[H any](h H) H { return h }

func TestFeaturesAreBounded(t *testing.T) {
	s := New()
	for i := range uint64(10 * maxFeatures) {
		s.Run(start, 10)
		s.Has(start, 10, Feature{Key: i})
	}
	assert.Equal(t, maxFeatures+1, s.Series())
	assert.EqualValues(t, 9*maxFeatures, s.Dropped())
}

func TestSeriesForgetsWhatIsOld(t *testing.T) {
	var s tallies
	observe := func(at int64) { s.observe(&tally{cellOf(at), 1}) }
	for i := range int64(3 * ringCells) {
		observe(start + i*cellWidth)
	}
	assert.Len(t, s.fine, fineMinutes*minuteCells)
	assert.Len(t, s.coarse, ringMinutes-fineMinutes)
	held := s.cells()
	observe(start)
	assert.Equal(t, held, s.cells())
}

func TestQuantile(t *testing.T) {
	v := func(xs ...float64) (out []weighted) {
		for _, x := range xs {
			out = append(out, weighted{x, 1})
		}
		return out
	}
	assert.Equal(t, 2.0, quantile(v(3, 1, 2), 0.5))
	assert.Equal(t, 1.5, quantile(v(2, 1), 0.5))
	assert.Equal(t, 9.0, quantile([]weighted{{1, 1}, {9, 5}}, 0.5))
	assert.Zero(t, quantile(nil, 0.5))
}

func TestGTest(t *testing.T) {
	assert.InDelta(t, 0, gTest(10, 10, 20, 20), 1e-9)
	assert.InDelta(t, 4*20*math.Ln2/2*2, gTest(20, 0, 0, 20), 1e-6)
	assert.Zero(t, gTest(10, 0, 10, 0))
}
