// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
)

// What a span is made of comes out again, each field whatever the others are.
func TestSpanKeepsFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{
			ID: rapid.Uint64().Draw(t, "id"), Parent: rapid.Uint64Range(0, 3).Draw(t, "parent"),
			Start: rapid.Int64Range(0, 1<<60).Draw(t, "start"),
			Op:    rapid.Uint32().Draw(t, "op"), Instance: rapid.Uint32().Draw(t, "instance"), Weight: rapid.Uint32Range(0, 4095).Draw(t, "weight"),
			Role: call.Role(rapid.IntRange(0, int(call.RoleConsumer)).Draw(t, "role")), Outcome: call.Outcome(rapid.IntRange(0, int(call.Ignored)).Draw(t, "outcome")),
			Reason: call.Reason(rapid.IntRange(0, int(call.ReasonClient)).Draw(t, "reason")), Detail: call.Detail(rapid.IntRange(0, int(call.DetailAuth)).Draw(t, "detail")),
			Attempt: uint8(rapid.IntRange(0, 15).Draw(t, "attempt")),
		}
		f.End = f.Start + rapid.Int64Range(0, 1<<31-1).Draw(t, "duration")
		s := NewSpan(f)
		require.Equal(t, f.Parent == 0, s.Parent() == 0)
		got := Facts{
			ID: s.ID, Parent: f.Parent, Start: s.Start(), End: s.End, Op: s.Op, Instance: s.Instance, Weight: s.Weight(),
			Role: s.Role(), Outcome: s.Outcome(), Reason: s.Reason(), Detail: s.Detail(), Attempt: s.Attempt(),
		}
		require.Equal(t, f, got)
	})
	s := NewSpan(Facts{Attempt: 16, Detail: call.DetailDNS})
	assert.EqualValues(t, 15, s.Attempt())
	assert.Equal(t, call.DetailDNS, s.Detail())
}

func TestDurations(t *testing.T) {
	for d, want := range map[int64]int64{
		-5: 0, 0: 0, 1: 1, 1<<31 - 1: 1<<31 - 1, 1 << 31: 1 << 31, 1<<31 + 1: 1<<31 + 4096, 3600e9: 3600e9, 1 << 62: (1<<31 - 1) * 4096,
	} {
		s := NewSpan(Facts{Start: 100, End: 100 + d})
		assert.Equal(t, want, s.Duration(), "%d", d)
		assert.Equal(t, 100+d-want, s.Start(), "%d", d)
	}
}

func TestWeights(t *testing.T) {
	for _, w := range []uint32{0, 16, 17, 2047, 2048, 4095, 4096, 1 << 28, 1 << 31} {
		assert.Equal(t, w, RoundWeight(w))
	}
	assert.EqualValues(t, 4098, RoundWeight(4097), "even numbers only")
	assert.EqualValues(t, 8192, RoundWeight(8191), "into the next exponent")
	assert.EqualValues(t, 4095<<20, RoundWeight(math.MaxUint32))
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.Uint32().Draw(t, "weight")
		r := RoundWeight(w)
		require.InDelta(t, w, r, float64(w)/4096+1)
		require.Equal(t, r, RoundWeight(r))
		require.LessOrEqual(t, r, RoundWeight(max(w, w+1)))
	})
}

// colliders returns two ids with one fold: their products with its factor differ in the lower half alone.
func colliders() (a, b uint64) {
	const factor = uint64(0x9e3779b97f4a7c15)
	inverse := factor
	for range 5 {
		inverse *= 2 - factor*inverse
	}
	return inverse * (7 << 32), inverse * (7<<32 + 1)
}

// Two spans of a trace with one fold: at worst their children hang below the earlier of them.
func TestWalkFoldsCollide(t *testing.T) {
	const server, client = call.RoleServer, call.RoleClient
	a, b := colliders()
	assert.Equal(t, fold(a), fold(b))
	var w Walker
	nodes := w.Walk([]Span{span(a, 0, server, 0, 100), span(b, 0, server, 1, 90), span(3, b, client, 2, 80), span(4, a, client, 3, 50)})
	for i, want := range []int32{-1, -1, 0, 0} {
		assert.Equal(t, want, nodes[i].Parent)
		assert.False(t, nodes[i].Duplicate || nodes[i].Partial, "neither a copy nor without a parent")
	}
	// A parent and its child: the child does not take itself for its parent.
	for _, spans := range [][]Span{
		{span(a, 0, server, 0, 100), span(b, a, client, 10, 90)},
		{span(b, a, client, 0, 90), span(a, 0, server, 10, 100)},
	} {
		for i, n := range w.Walk(spans) {
			if spans[i].ID == b {
				assert.Equal(t, int32(1-i), n.Parent)
			} else {
				assert.Equal(t, none, n.Parent)
			}
		}
	}
	alone := w.Walk([]Span{span(b, a, client, 0, 90)})
	assert.Equal(t, none, alone[0].Parent)
	assert.True(t, alone[0].Partial)
	assert.Zero(t, w.Cycles())
}

func TestFold(t *testing.T) {
	assert.NotZero(t, fold(0))
	seen := map[uint32]bool{}
	for i := range uint64(100_000) { // ids that only count, in either half
		for _, id := range []uint64{i, i << 32, i<<32 | i} {
			seen[fold(id)] = true
		}
	}
	assert.Greater(t, len(seen), 299_900)
}
