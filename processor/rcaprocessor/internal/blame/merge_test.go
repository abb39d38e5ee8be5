// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Two ledgers of a part each, merged, are one of all; the handles of the other are its own.
func TestMergeIsAddition(t *testing.T) {
	tr := graph.Translation{
		Nodes: []graph.NodeID{0, 5, 4, 3, 2, 1}, Ops: []graph.OpID{0, 3, 1, 2}, Instances: []graph.InstanceID{0, 2, 3, 1},
	}
	rapid.Check(t, func(t *rapid.T) {
		whole, a, b := NewLedger(20, 100), NewLedger(20, 100), NewLedger(20, 100)
		n := rapid.IntRange(0, 60).Draw(t, "units")
		for i := range n {
			r := Row{
				Entry: graph.OpID(rapid.IntRange(1, 3).Draw(t, "entry")), Node: graph.NodeID(rapid.IntRange(1, 5).Draw(t, "node")),
				Waits: graph.NodeID(rapid.IntRange(0, 5).Draw(t, "waits")), Instance: graph.InstanceID(rapid.IntRange(0, 3).Draw(t, "instance")),
				Path: Path{graph.NodeID(rapid.IntRange(0, 5).Draw(t, "path"))},
			}
			at := start + int64(i)*15*second/60 // in order: a second that is out of reach takes nothing
			c := Count{Units: 1, Weight: rapid.Int64Range(16, 64).Draw(t, "weight"), Exemplar: trace.ID{byte(rapid.IntRange(0, 9).Draw(t, "id"))},
				Span: rapid.Uint64Range(0, 3).Draw(t, "span"), First: rapid.Int64Range(1, 9).Draw(t, "first")}
			there, ok := r.translate(&tr)
			require.True(t, ok)
			whole.Record(at, there, c)
			if rapid.Bool().Draw(t, "side") {
				a.Record(at, there, c)
			} else {
				b.Record(at, r, c)
			}
		}
		a.Merge(b, &tr)
		require.Equal(t, whole.Window(0, math.MaxInt64-second), a.Window(0, math.MaxInt64-second))
		require.Equal(t, whole.Rows(), a.Rows())
		require.Zero(t, a.Overflow)
	})
}

func TestTranslate(t *testing.T) {
	tr := graph.Translation{
		Nodes: []graph.NodeID{0, 5, 4, 3}, Ops: []graph.OpID{0, 3}, Instances: []graph.InstanceID{0, 2},
	}
	got, ok := Row{Entry: 1, Node: 1, Waits: 2, Instance: 1, Reason: Latency, Path: Path{3, 2, 1}}.translate(&tr)
	assert.True(t, ok)
	assert.Equal(t, Row{Entry: 3, Node: 5, Waits: 4, Instance: 2, Reason: Latency, Path: Path{3, 4, 5}}, got)
}

// What has no room is counted, unit by unit.
func TestMergeBeyondLimits(t *testing.T) {
	tr := graph.Translation{Nodes: []graph.NodeID{0, 1, 0, 3}, Ops: []graph.OpID{0, 1, 0}, Instances: []graph.InstanceID{0}}
	a, b := NewLedger(10, 1), NewLedger(10, 10)
	b.Record(start, Row{Entry: 1, Node: 1}, count(3, 48, 1, 1))
	b.Record(start, Row{Entry: 1, Node: 3}, count(5, 80, 1, 1))  // the second row of its second
	b.Record(start, Row{Entry: 1, Node: 2}, count(7, 112, 1, 1)) // its node has no room
	b.Record(start, Row{Entry: 2, Node: 1}, count(11, 16, 1, 1)) // its entry has none
	b.Overflow = 100
	a.Merge(b, &tr)
	assert.Equal(t, map[Row]Count{{Entry: 1, Node: 1}: count(3, 48, 1, 1)}, a.Window(start, start+second))
	assert.Equal(t, int64(5+7+11+100), a.Overflow)
}
