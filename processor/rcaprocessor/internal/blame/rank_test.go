// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// labels names handle n by its n-th letter.
type labels string

func (l labels) NodeName(n graph.NodeID) string { return l.at(int(n)) }
func (l labels) OpName(n graph.OpID) string     { return l.at(int(n)) }

func (l labels) at(n int) string {
	if n == 0 {
		return ""
	}
	return string(l[n-1])
}

const alphabet = labels("abcdefghij")

func normalRecord(graph.NodeID) Support { return Support{} }

// strayed gives the given nodes a record that strays as far as can be.
func strayed(nodes ...graph.NodeID) func(graph.NodeID) Support {
	return func(n graph.NodeID) Support {
		for _, s := range nodes {
			if n == s {
				return Support{Calls: 10, Z: 1000}
			}
		}
		return Support{}
	}
}

func at(seconds int64, rows map[Row]Count) Window { return Window{Rows: rows, Seconds: seconds} }

func nodesOf(candidates []Candidate) (out []graph.NodeID) {
	for _, c := range candidates {
		out = append(out, c.Node)
	}
	return out
}

func TestStrength(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    Support
		want float64
	}{
		{"nothing known", Support{}, 0},
		{"within normal", Support{Calls: 100, Z: 3}, 0},
		{"faster than normal", Support{Calls: 100, Z: -9}, 0},
		{"far beyond", Support{Calls: 100, Z: 30}, 1},
		{"all fail", Support{Calls: 100, Bad: 100}, 1},
		{"a quarter fails", Support{Calls: 100, Bad: 25}, .5},
		{"a quarter fails as ever", Support{Calls: 100, Bad: 25, NormalBad: .25}, 0},
		{"fewer fail than ever", Support{Calls: 100, NormalBad: .25}, 0},
		{"both", Support{Calls: 100, Bad: 25, Z: 6}, 1 - .5*.3679},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.InDelta(t, tt.want, tt.s.Strength(), .001) })
	}
}

func TestRank(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		assert.Empty(t, Rank(Window{}, Window{}, normalRecord, alphabet))
	})
	t.Run("by the share of the hurt units of work", func(t *testing.T) {
		got := Rank(at(1, map[Row]Count{rowOf(1): count(1, 16, 3, 3), rowOf(2): count(3, 48, 2, 2)}), Window{}, normalRecord, alphabet)
		require.Equal(t, []graph.NodeID{2, 1}, nodesOf(got))
		assert.InDelta(t, .75*.6, got[0].Score, 1e-9)
		assert.InDelta(t, .25*.6, got[1].Score, 1e-9)
		assert.Equal(t, [2]int64{3, 4}, [2]int64{got[0].Units, got[0].Of})
		assert.Equal(t, trace.ID{2}, got[0].Exemplar)
		assert.Equal(t, uint64(2), got[0].Span)
	})
	t.Run("by weight: one span may stand for many", func(t *testing.T) {
		got := Rank(at(1, map[Row]Count{rowOf(1): count(1, 1600, 3, 3), rowOf(2): count(3, 48, 2, 2)}), Window{}, normalRecord, alphabet)
		assert.Equal(t, []graph.NodeID{1, 2}, nodesOf(got))
	})
	t.Run("a record of its own that strays makes it surer", func(t *testing.T) {
		got := Rank(at(1, map[Row]Count{rowOf(1): count(5, 80, 3, 3), rowOf(2): count(4, 64, 2, 2)}), Window{}, strayed(2), alphabet)
		require.Equal(t, []graph.NodeID{2, 1}, nodesOf(got))
		assert.InDelta(t, 4.0/9, got[0].Score, 1e-9)
	})
	t.Run("what is usual is taken off", func(t *testing.T) {
		usual := at(10, map[Row]Count{rowOf(1): count(100, 1600, 1, 1)}) // ten a second
		got := Rank(at(5, map[Row]Count{rowOf(1): count(60, 960, 1, 1), rowOf(2): count(40, 640, 2, 2)}), usual, normalRecord, alphabet)
		require.Equal(t, []graph.NodeID{2, 1}, nodesOf(got))
		assert.InDelta(t, .8*.6, got[0].Score, 1e-9, "40 of the 50 beyond what is usual")
		assert.Equal(t, int64(100), got[0].Of, "counts stay as they are")
		less := Rank(at(5, map[Row]Count{rowOf(1): count(10, 160, 1, 1)}), usual, normalRecord, alphabet)
		assert.Zero(t, less[0].Score)
	})
	t.Run("ties by name, not by who was seen first", func(t *testing.T) {
		rows := map[Row]Count{}
		for n := range graph.NodeID(9) {
			rows[rowOf(n+1)] = count(1, 16, byte(n), 1)
		}
		got := Rank(at(1, rows), Window{}, normalRecord, labels("ihgfedcba"))
		assert.Equal(t, []graph.NodeID{9, 8, 7, 6, 5, 4, 3, 2, 1}, nodesOf(got))
	})
	t.Run("the reason and the way of most", func(t *testing.T) {
		row := func(r Reason, p Path, entry graph.OpID) Row { return Row{Node: 3, Reason: r, Path: p, Entry: entry} }
		got := Rank(at(1, map[Row]Count{
			row(Errors, Path{1, 2, 3}, 1):      count(2, 32, 1, 1),
			row(Unavailable, Path{1, 2, 3}, 1): count(2, 32, 1, 1),
			row(Unavailable, Path{4, 3}, 2):    count(3, 48, 1, 1),
		}), Window{}, normalRecord, alphabet)
		require.Len(t, got, 1)
		assert.Equal(t, Unavailable, got[0].Reason)
		assert.Equal(t, Path{1, 2, 3}, got[0].Path)
		assert.Equal(t, graph.OpID(1), got[0].Entry)
	})
}

func TestRankWaits(t *testing.T) {
	const service, database = 1, 2
	rows := map[Row]Count{
		{Entry: 1, Node: service, Waits: database, Reason: Errors, Path: Path{3, service}, Instance: 7}: count(58, 58*16, 1, 11),
		{Entry: 1, Node: database, Reason: Errors, Path: Path{3, service, database}}:                    count(42, 42*16, 2, 22),
	}
	t.Run("the database strays: they stood in line for it", func(t *testing.T) {
		got := Rank(at(1, rows), Window{}, strayed(database), alphabet)
		require.Equal(t, []graph.NodeID{database}, nodesOf(got))
		c := got[0]
		assert.Equal(t, [3]int64{100, 100, 58}, [3]int64{c.Units, c.Of, c.Waiting})
		assert.Equal(t, Latency, c.Reason)
		assert.Equal(t, Path{3, service, database}, c.Path)
		assert.Equal(t, uint64(22), c.Span, "the example is one that got to it")
		assert.Equal(t, map[graph.InstanceID]int64{0: 42}, c.Replicas, "whose pool it was does not matter")
	})
	t.Run("it does not: the pool is the service's own", func(t *testing.T) {
		got := Rank(at(1, rows), Window{}, normalRecord, alphabet)
		require.Equal(t, []graph.NodeID{service, database}, nodesOf(got))
		assert.Equal(t, Saturation, got[0].Reason)
		assert.Equal(t, map[graph.InstanceID]int64{7: 58}, got[0].Replicas)
	})
	t.Run("what usually waits is usual, whoever takes it over", func(t *testing.T) {
		usual := map[Row]Count{{Node: service, Waits: database}: count(58, 58*16, 1, 1)}
		got := Rank(at(1, rows), at(1, usual), strayed(database), alphabet)
		require.Equal(t, []graph.NodeID{database}, nodesOf(got))
		other := Rank(at(1, map[Row]Count{
			{Node: service, Waits: database}: count(58, 58*16, 1, 1), rowOf(4): count(10, 160, 1, 1),
		}), at(1, usual), strayed(database), alphabet)
		assert.Equal(t, []graph.NodeID{4, database}, nodesOf(other))
	})
}

func TestRankReplicas(t *testing.T) {
	got := Rank(at(1, map[Row]Count{
		{Node: 1, Instance: 5}:           count(3, 48, 1, 1),
		{Node: 1, Instance: 6}:           count(4, 64, 1, 1),
		{Node: 1, Instance: 6, Entry: 2}: count(5, 80, 1, 1),
		{Node: 1}:                        count(6, 96, 1, 1),
	}), Window{}, normalRecord, alphabet)
	require.Len(t, got, 1)
	assert.Equal(t, map[graph.InstanceID]int64{5: 3, 6: 9, 0: 6}, got[0].Replicas)
}

// Scores are shares; the verdict is the same whatever the handles are, and when every weight is the same multiple.
func TestRankProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		node := rapid.IntRange(1, 5)
		now, renamed, heavier := map[Row]Count{}, map[Row]Count{}, map[Row]Count{}
		k := rapid.Int64Range(1, 100).Draw(t, "weight")
		mirror := func(n graph.NodeID) graph.NodeID {
			if n == 0 {
				return 0
			}
			return 11 - n
		}
		for range rapid.IntRange(0, 12).Draw(t, "rows") {
			r := Row{Node: graph.NodeID(node.Draw(t, "node")), Path: Path{graph.NodeID(node.Draw(t, "path"))}}
			if rapid.Bool().Draw(t, "waits") {
				r.Waits = graph.NodeID(node.Draw(t, "for"))
			}
			units := rapid.Int64Range(1, 9).Draw(t, "units")
			now[r] = count(units, units*16, 1, 1)
			heavier[r] = count(units, units*16*k, 1, 1)
			r.Node, r.Waits, r.Path[0] = mirror(r.Node), mirror(r.Waits), mirror(r.Path[0])
			renamed[r] = count(units, units*16, 1, 1)
		}
		var nodes []graph.NodeID
		for n := range graph.NodeID(5) {
			if rapid.Bool().Draw(t, "strays") {
				nodes = append(nodes, n+1)
			}
		}
		got := Rank(at(2, now), Window{}, strayed(nodes...), alphabet)
		sum, units := 0.0, int64(0)
		for i, c := range got {
			require.True(t, i == 0 || got[i-1].Score >= c.Score)
			require.LessOrEqual(t, c.Waiting, c.Units)
			sum += c.Score
			units += c.Units
		}
		require.LessOrEqual(t, sum, 1+1e-9)
		if len(got) > 0 {
			require.Equal(t, got[0].Of, units)
		}
		require.Equal(t, got, Rank(at(2, heavier), Window{}, strayed(nodes...), alphabet))

		for i := range nodes {
			nodes[i] = mirror(nodes[i])
		}
		again := Rank(at(2, renamed), Window{}, strayed(nodes...), labels("jihgfedcba"))
		for i := range again {
			again[i].Node = mirror(again[i].Node)
			again[i].Path[0], again[i].Path[1] = mirror(again[i].Path[0]), mirror(again[i].Path[1])
		}
		require.Equal(t, got, again)
	})
}
