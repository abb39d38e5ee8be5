// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

func TestLaneOf(t *testing.T) {
	for name, want := range map[string]Lane{"": 0, "0": 1, "7": 8, "007": 8, "999999999": 1_000_000_000} {
		assert.Equal(t, want, LaneOf(name), name)
	}
	for _, name := range []string{"a", "-1", "1234567890", "shardId-000000000003"} {
		l := LaneOf(name)
		_, numbered := l.Number()
		assert.False(t, numbered, name)
		assert.NotZero(t, l)
	}
	assert.NotEqual(t, LaneOf("a"), LaneOf("b"))
	n, ok := LaneOf("3").Number()
	assert.True(t, ok)
	assert.Equal(t, 3, n)
}

// The table holds what a plain list of the newest entries would, whatever comes.
func TestTableAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(1)
		var list []Entry
		for range rapid.IntRange(0, 3000).Draw(t, "puts") {
			span := rapid.Uint64Range(1, 1500).Draw(t, "span") << 20
			value := rapid.Uint64Range(1, 3).Draw(t, "value")
			there := false
			for _, e := range list[max(0, len(list)-firstSize):] {
				there = there || e.Span == span && e.Value == value
			}
			if table.Put(span, value, 1, 0); !there {
				list = append(list, Entry{Span: span, Value: value})
			}
		}
		held := list[max(0, len(list)-firstSize):]
		span := rapid.Uint64Range(1, 1500).Draw(t, "asked for") << 20
		var want, got []uint64
		for i := len(held) - 1; i >= 0; i-- {
			if held[i].Span == span {
				want = append(want, held[i].Value)
			}
		}
		found := table.Ask(span, func(e *Entry) { got = append(got, e.Value) })
		assert.Equal(t, want, got)
		assert.Equal(t, len(want) > 0, found)
		if found {
			assert.Equal(t, want[0], table.Find(span).Value)
		} else {
			assert.Nil(t, table.Find(span))
		}
	})
}

func TestTableGrowsToItsLimit(t *testing.T) {
	table := NewTable(5000) // rounded up to 8192
	assert.Zero(t, table.Bytes())
	for i := range uint64(20_000) {
		table.Put(i+1, i, 1, 0)
		require.NotNil(t, table.Find(i+1))
		if i >= 4000 {
			require.NotNil(t, table.Find(i+1-4000))
		}
	}
	assert.Equal(t, 8192, table.Len())
	assert.Equal(t, int64(8192*40), table.Bytes())
	assert.Equal(t, int64(20_000-8192), table.Lost)
	assert.Nil(t, table.Find(20_000-8192))
}

func TestWhatServedIsNotLost(t *testing.T) {
	table := NewTable(1)
	for i := range uint64(5000) {
		table.Put(i+1, i, 1, 0)
		table.Ask(i+1, func(*Entry) {})
	}
	assert.Zero(t, table.Lost)
	table.Clear()
	assert.Zero(t, table.Len())
	assert.Nil(t, table.Find(5000))
}

func TestForget(t *testing.T) {
	table := NewTable(1)
	table.Put(1, 10, 1, 0)
	table.Put(2, 10, 2, 0)
	table.Forget(1)
	assert.Zero(t, table.Find(1).Node)
	assert.Equal(t, graph.NodeID(2), table.Find(2).Node)
}

func TestSnapshot(t *testing.T) {
	table := NewTable(1)
	for i := range uint64(3000) {
		table.Put(i+1, 1e18+i*7, graph.NodeID(i%3), LaneOf("4"))
		if i%2 == 0 {
			table.Find(i + 1).Served()
		}
	}
	w := snapshot.NewWriter(0)
	table.Snapshot(w, 500, nil)
	require.NoError(t, w.Err())
	assert.LessOrEqual(t, w.Len(), 500*PublishBytes)
	known := func(n graph.NodeID) bool { return n < 3 }
	again := NewTable(1)
	r := snapshot.NewReader(w.Bytes())
	again.Snapshot(r, 500, known)
	require.NoError(t, r.Err())
	assert.Equal(t, 500, again.Len())
	for i := uint64(2500); i < 3000; i++ {
		a, b := *table.Find(i + 1), *again.Find(i + 1)
		assert.Equal(t, a.back&asked, b.back&asked)
		a.back, b.back = 0, 0
		assert.Equal(t, a, b)
	}
	r = snapshot.NewReader(w.Bytes())
	NewTable(1).Snapshot(r, 500, func(graph.NodeID) bool { return false })
	assert.ErrorIs(t, r.Err(), snapshot.ErrCorrupt)
}

// Both tables' entries are found, with what they have served for, and what either lost is lost.
func TestMerge(t *testing.T) {
	translate := func(n graph.NodeID) graph.NodeID { return n + 10 }
	for _, n := range []uint64{0, 1, 3, 1024, 3000} {
		a, b := NewTable(1), NewTable(1)
		a.Put(1<<40, 5, 7, 1)
		for i := range n {
			b.Put(i+1, 100+i, graph.NodeID(1+i%3), LaneOf("4"))
			if i%2 == 0 {
				b.Find(i + 1).Served()
			}
		}
		lost := b.Lost
		a.Lost = 3
		a.Merge(b, translate)
		assert.GreaterOrEqual(t, a.Lost, lost+3)
		for i := n - min(n, 1000); i < n; i++ {
			got := a.Find(i + 1)
			require.NotNil(t, got, "the %dth of %d", i+1, n)
			assert.Equal(t, Entry{Span: i + 1, Value: 100 + i, Node: graph.NodeID(11 + i%3), Lane: LaneOf("4"), back: got.back}, *got)
			assert.Equal(t, i%2 == 0, got.back&asked != 0)
		}
		if n < 1000 {
			assert.Equal(t, graph.NodeID(7), a.Find(1<<40).Node, "by its own name")
		}
	}
}

// Memory is taken as it fills, and no more than 48 bytes an entry then.
func TestTableBytes(t *testing.T) {
	table := NewTable(1 << 16)
	assert.Zero(t, table.Bytes())
	for i := range uint64(1 << 17) {
		table.Put(i*0x9e3779b97f4a7c15+1, i, 1, 0)
		if n := int64(table.Len()); n > 0 {
			require.LessOrEqual(t, table.Bytes(), 48*n+chunkSize*32+4*2*firstSize, "%d", n)
		}
	}
	assert.EqualValues(t, 40<<16, table.Bytes())
}

// Spans that all have one id do not make a chain without end.
func TestTableOfOneSpan(t *testing.T) {
	table := NewTable(1 << 10)
	for i := range uint64(perSpan + 10) {
		table.Put(7, i, 1, 0)
	}
	assert.Equal(t, perSpan, table.Len())
	assert.EqualValues(t, 10, table.Lost)
	seen := 0
	assert.True(t, table.Ask(7, func(*Entry) { seen++ }))
	assert.Equal(t, perSpan, seen)
}
