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
)

const (
	greeting = 1000 // templates
	trouble  = 2000
)

// spoke is a store of two services, each with two operations of a call a second, each call with a plain line; alter
// adds to it, and may take the lines away.
func spoke(alter func(s *Store, at int64, bad bool) (silent func(op Op) bool)) *Store {
	s := New()
	each(60, func(at int64, bad bool) {
		s.Unit(at)
		silent := alter(s, at, bad)
		for _, op := range []Op{10, 11, 20, 21} {
			if silent != nil && silent(op) {
				continue
			}
			s.Line(at, Node(op/10), 1, greeting+uint64(op), false)
		}
	})
	return s
}

// worked has all operations run but those.
func worked(s *Store, at int64, not ...Op) {
	for _, op := range []Op{10, 11, 20, 21} {
		if !slices.Contains(not, op) {
			s.Run(at, op)
		}
	}
}

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

func TestLogs(t *testing.T) {
	second := func(at int64) int64 { return at / (1e9) }
	for _, tt := range []struct {
		name  string
		want  string // "" for nobody
		alter func(s *Store, at int64, bad bool) func(Op) bool
	}{
		{"nothing", "", func(s *Store, at int64, bad bool) func(Op) bool { worked(s, at); return nil }},
		{"a line stops", "n02", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			return func(op Op) bool { return bad && op == 20 }
		}},
		{"its operation is not called", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at, pick(bad, Op(20), 0))
			return func(op Op) bool { return bad && op == 20 }
		}},
		{"the way of the logs is cut", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			return func(op Op) bool { return bad && op >= 20 }
		}},
		{"a line that came at times", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			return func(op Op) bool { return op == 20 && (bad || second(at)/60%2 == 0) }
		}},
		{"the first lines", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			if bad {
				s.Line(at, 2, 1, trouble, true)
			}
			return func(op Op) bool { return !bad && op >= 20 }
		}},
		{"a new error", "n02", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			if bad && second(at)%3 == 0 {
				s.Line(at, 2, 1, trouble, true)
			}
			return nil
		}},
		{"a new plain line", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			if bad {
				s.Line(at, 2, 1, trouble, false)
			}
			return nil
		}},
		{"errors all the time", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			repeat(5, func() { s.Line(at, 2, 1, trouble, true) })
			return nil
		}},
		{"errors in bursts", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			if bad || second(at)/60%3 == 0 {
				repeat(5, func() { s.Line(at, 2, 1, trouble, true) })
			}
			return nil
		}},
		{"a surge of errors", "n02", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			repeat(pick(bad, 10, 2), func() { s.Line(at, 2, 1, trouble, true) })
			return nil
		}},
		{"as many more errors as there is work", "", func(s *Store, at int64, bad bool) func(Op) bool {
			repeat(pick(bad, 10, 1), func() { worked(s, at); s.Line(at, 2, 1, trouble, true) })
			return nil
		}},
		{"an error for each call that failed", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			if bad {
				s.Felt(at, 2)
				s.Line(at, 2, 1, trouble, true)
			}
			return nil
		}},
		{"lines that find their spans", "", func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			s.Joined(at, 2)
			s.Joined(at, 2)
			if bad {
				s.Line(at, 2, 1, trouble, true)
			}
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rank(spoke(tt.alter), Structure)
			if tt.want == "" {
				assert.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			assert.Equal(t, tt.want, names(got)[0])
			assert.Equal(t, Logs, got[0].Evidence[0].Family)
			assert.Positive(t, got[0].Score)
			assert.LessOrEqual(t, got[0].Score, corroborating)
			assert.Empty(t, rank(spoke(tt.alter), Structure, Logs))
		})
	}
}

// Whoever cries loudest is not the one that is slow, whether the noise was there before or comes with the fault.
func TestNoiseDoesNotWin(t *testing.T) {
	for _, before := range []int{0, 1, 100} {
		s := spoke(func(s *Store, at int64, bad bool) func(Op) bool {
			worked(s, at)
			s.Own(at, 10, 1, took(at, 10))
			s.Own(at, 20, 2, took(at, pick(bad, 20.0, 10)))
			repeat(pick(bad, 100, before), func() { s.Line(at, 1, 1, trouble, true) })
			return nil
		})
		got := rank(s)
		require.NotEmpty(t, got)
		assert.Equal(t, "n02", names(got)[0], "noise of %d before", before)
	}
}

func TestSurgeOfAReplica(t *testing.T) {
	s := spoke(func(s *Store, at int64, bad bool) func(Op) bool {
		worked(s, at)
		for in := Instance(1); in < 4; in++ {
			if in == 2 && bad || at%(60*second) == 0 {
				s.Line(at, 2, in, trouble, true)
			}
		}
		return nil
	})
	got := rank(s)
	require.Len(t, got, 1)
	assert.Equal(t, Instance(2), got[0].Evidence[0].Instance)
	assert.EqualValues(t, trouble, got[0].Evidence[0].Feature.Key)

	// When the replica is forgotten its past stays that of its service.
	rows := len(s.nodes[2].said.rows[1])
	s.Forget(all[Node], all[Op], func(in Instance) bool { return in != 2 })
	assert.Len(t, s.nodes[2].said.rows[1], rows)
	got = rank(s)
	require.Len(t, got, 1)
	assert.Zero(t, got[0].Evidence[0].Instance)
}

// A store that two saw halves of, in any order, is as good as one that saw all.
func TestLinesMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, parts := New(), [2]*Store{New(), New()}
		for range rapid.IntRange(1, 60).Draw(t, "lines") {
			at := start + int64(rapid.IntRange(0, 3000).Draw(t, "at"))*second
			key, grave := rapid.Uint64Range(1, 5).Draw(t, "template"), rapid.Bool().Draw(t, "grave")
			in, part := Instance(rapid.IntRange(0, 3).Draw(t, "replica")), rapid.IntRange(0, 1).Draw(t, "part")
			for _, s := range []*Store{one, parts[part]} {
				s.Line(at, 1, in, key, grave)
				s.Joined(at, 1)
				s.Felt(at, 1)
			}
		}
		same := func(i Instance) Instance { return i }
		parts[0].Merge(parts[1], func(n Node) Node { return n }, func(op Op) Op { return op }, same)
		want, got := &one.nodes[1], &parts[0].nodes[1]
		require.Equal(t, one.lines, parts[0].lines)
		require.Equal(t, cellsOf(&want.felt), cellsOf(&got.felt))
		var a, b [][]tally
		want.said.each(func(k *tallies) { a = append(a, cellsOf(k)) })
		got.said.each(func(k *tallies) { b = append(b, cellsOf(k)) })
		require.Equal(t, a, b)
	})
}

func cellsOf(k *tallies) []tally { return append(append([]tally{}, k.coarse...), k.fine...) }

func TestLinesAreBounded(t *testing.T) {
	s := New()
	const flood = 10_000
	for i := range uint64(flood) {
		s.Line(start, 1, Instance(i%7+1), 10+i, true)
		s.Line(start, 1, 0, 10+i, false)
	}
	sd := &s.nodes[1].said
	assert.Len(t, sd.rows[0], maxLines)
	assert.Len(t, sd.rows[1], maxLines+1)
	assert.EqualValues(t, 2*flood-2*maxLines, s.Speechless())
	assert.EqualValues(t, flood-maxLines, sd.rows[1][0].window(span{0, math.MaxUint32}).n, "that there were more errors is known")
	assert.EqualValues(t, 2*flood, sd.all.window(span{0, math.MaxUint32}).n)
	for n := range Node(500) {
		for i := range uint64(200) {
			s.Line(start, n+2, 0, 10+i, true)
		}
	}
	assert.Equal(t, maxLineRows, s.lines)
	held := s.lines
	s.count()
	assert.Equal(t, held, s.lines)

	// What came up once makes room; what comes again and again stays.
	sd = &s.nodes[1].said
	for at := start; at < start+10*minute; at += 10 * second {
		s.Line(at, 1, 1, 10, true)
	}
	s.Sweep()
	assert.Empty(t, sd.rows[0])
	assert.Len(t, sd.rows[1], 2, "the one, and the rest")
	s.Line(start+10*minute, 1, 1, 5, true)
	assert.Len(t, sd.rows[1], 3)
}

// Features of an operation that are no more to be seen make room.
func TestSweepFeatures(t *testing.T) {
	s := New()
	line := func(at int64, key uint64, grave bool) {
		s.Run(at, 10)
		s.Has(at, 10, Feature{Kind: Template, Key: key, Grave: grave})
	}
	for i := range uint64(100) {
		line(start, i, false)
	}
	assert.Len(t, s.ops[10].features, plainFeatures)
	line(start, 1000, true)
	s.Has(start, 10, Feature{Kind: Child, Key: 20})
	assert.Len(t, s.ops[10].features, plainFeatures+2, "there is room for what matters more")
	for at := start; at < start+10*minute; at += 10 * second {
		line(at, 7, false)
	}
	s.Sweep()
	assert.Len(t, s.ops[10].features, 1)
	line(start+2*ringMinutes*minute, 8, false)
	s.Sweep()
	assert.Len(t, s.ops[10].features, 1, "what is older than a series reaches back")
	assert.EqualValues(t, 8, s.ops[10].features[0].Key)
}

func BenchmarkLine(b *testing.B) {
	s := New()
	for i := range uint64(100) {
		s.Line(start, 1, 1, i*0x9e3779b97f4a7c15, true)
	}
	b.ReportAllocs()
	for i := range b.N {
		s.Line(start+int64(i)*1e6, 1, 1, uint64(i%100)*0x9e3779b97f4a7c15, true)
	}
}
