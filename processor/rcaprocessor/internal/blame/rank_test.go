// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

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

func candidates(now, before Window, w World) []Candidate { return Rank(now, before, nil, w).Candidates }

func TestRank(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		assert.Equal(t, Ranking{}, Rank(Window{}, Window{}, nil, ordinary))
		assert.Empty(t, Rank(Window{}, at(9, map[Row]Count{rowOf(1): count(1, 16, 1, 1)}), nil, ordinary))
	})
	t.Run("by the share of the hurt units of work", func(t *testing.T) {
		got := candidates(at(1, map[Row]Count{rowOf(1): count(1, 16, 3, 3), rowOf(2): count(3, 48, 2, 2)}), Window{}, ordinary)
		require.Equal(t, []graph.NodeID{2, 1}, nodesOf(got))
		assert.InDelta(t, .75*.6, got[0].Score, 1e-9)
		assert.InDelta(t, .25*.6, got[1].Score, 1e-9)
		assert.Equal(t, [2]int64{3, 4}, [2]int64{got[0].Units, got[0].Of})
		assert.Equal(t, trace.ID{2}, got[0].Exemplar)
		assert.Equal(t, uint64(2), got[0].Span)
	})
	t.Run("by weight: one span may stand for many", func(t *testing.T) {
		got := candidates(at(1, map[Row]Count{rowOf(1): count(1, 1600, 3, 3), rowOf(2): count(3, 48, 2, 2)}), Window{}, ordinary)
		assert.Equal(t, []graph.NodeID{1, 2}, nodesOf(got))
	})
	t.Run("a record of its own that strays makes it surer", func(t *testing.T) {
		got := candidates(at(1, map[Row]Count{rowOf(1): count(5, 80, 3, 3), rowOf(2): count(4, 64, 2, 2)}), Window{}, strayed(2))
		require.Equal(t, []graph.NodeID{2, 1}, nodesOf(got))
		assert.InDelta(t, 4.0/9, got[0].Score, 1e-9)
	})
	t.Run("what is usual is taken off", func(t *testing.T) {
		usual := at(10, map[Row]Count{rowOf(1): count(100, 1600, 1, 1)}) // ten a second
		got := candidates(at(5, map[Row]Count{rowOf(1): count(60, 960, 1, 1), rowOf(2): count(40, 640, 2, 2)}), usual, ordinary)
		require.Equal(t, []graph.NodeID{2, 1}, nodesOf(got))
		assert.InDelta(t, .8*.6, got[0].Score, 1e-9, "40 of the 50 beyond what is usual")
		assert.Equal(t, int64(100), got[0].Of, "counts stay as they are")
		less := candidates(at(5, map[Row]Count{rowOf(1): count(10, 160, 1, 1)}), usual, ordinary)
		assert.Zero(t, less[0].Score)
	})
	t.Run("ties by name, not by who was seen first", func(t *testing.T) {
		rows := map[Row]Count{}
		for n := range graph.NodeID(9) {
			rows[rowOf(n+1)] = count(1, 16, byte(n), 1)
		}
		got := candidates(at(1, rows), Window{}, world{names: "ihgfedcba"})
		assert.Equal(t, []graph.NodeID{9, 8, 7, 6, 5, 4, 3, 2, 1}, nodesOf(got))
	})
	t.Run("the reason and the way of most", func(t *testing.T) {
		row := func(r Reason, p Path, entry graph.OpID) Row { return Row{Node: 3, Reason: r, Path: p, Entry: entry} }
		got := candidates(at(1, map[Row]Count{
			row(Errors, Path{1, 2, 3}, 1):      count(2, 32, 1, 1),
			row(Unavailable, Path{1, 2, 3}, 1): count(2, 32, 1, 1),
			row(Unavailable, Path{4, 3}, 2):    count(3, 48, 1, 1),
		}), Window{}, ordinary)
		require.Len(t, got, 1)
		assert.Equal(t, Unavailable, got[0].Reason)
		assert.Equal(t, Path{1, 2, 3}, got[0].Path)
		assert.Equal(t, graph.OpID(1), got[0].Entry(ordinary))
	})
}

func TestRankWaits(t *testing.T) {
	const service, database = 1, 2
	rows := map[Row]Count{
		{Entry: 1, Node: service, Waits: database, Reason: Saturation, Path: Path{3, service}, Instance: 7}: count(58, 58*16, 1, 11),
		{Entry: 1, Node: database, Reason: Errors, Path: Path{3, service, database}}:                        count(42, 42*16, 2, 22),
	}
	t.Run("the database strays: they stood in line for it", func(t *testing.T) {
		got := candidates(at(1, rows), Window{}, strayed(database))
		require.Equal(t, []graph.NodeID{database}, nodesOf(got))
		c := got[0]
		assert.Equal(t, [3]int64{100, 100, 58}, [3]int64{c.Units, c.Of, c.Waiting})
		assert.Equal(t, Latency, c.Reason)
		assert.Equal(t, Path{3, service, database}, c.Path)
		assert.Equal(t, uint64(22), c.Span, "the example is one that got to it")
		assert.Equal(t, map[graph.InstanceID]int64{0: 42}, c.Replicas, "whose pool it was does not matter")
	})
	t.Run("it does not: the pool is the service's own", func(t *testing.T) {
		got := candidates(at(1, rows), Window{}, ordinary)
		require.Equal(t, []graph.NodeID{service, database}, nodesOf(got))
		assert.Equal(t, Saturation, got[0].Reason)
		assert.Equal(t, map[graph.InstanceID]int64{7: 58}, got[0].Replicas)
	})
	t.Run("what usually waits is usual, whoever takes it over", func(t *testing.T) {
		usual := map[Row]Count{{Node: service, Waits: database}: count(58, 58*16, 1, 1)}
		got := candidates(at(1, rows), at(1, usual), strayed(database))
		require.Equal(t, []graph.NodeID{database}, nodesOf(got))
		other := candidates(at(1, map[Row]Count{
			{Node: service, Waits: database}: count(58, 58*16, 1, 1), rowOf(4): count(10, 160, 1, 1),
		}), at(1, usual), strayed(database))
		assert.Equal(t, []graph.NodeID{4, database}, nodesOf(other))
	})
}

func TestRankReplicas(t *testing.T) {
	got := candidates(at(1, map[Row]Count{
		{Node: 1, Instance: 5}:           count(3, 48, 1, 1),
		{Node: 1, Instance: 6}:           count(4, 64, 1, 1),
		{Node: 1, Instance: 6, Entry: 2}: count(5, 80, 1, 1),
		{Node: 1}:                        count(6, 96, 1, 1),
	}), Window{}, ordinary)
	require.Len(t, got, 1)
	assert.Equal(t, map[graph.InstanceID]int64{5: 3, 6: 9, 0: 6}, got[0].Replicas)
}

// A replica of each of four nodes on each of three hosts, and of another on one, in two zones.
func replicasOnHosts() (all []replica) {
	for n := range graph.NodeID(4) {
		for h := range 3 {
			all = append(all, replica{n + 1, Place{Host: string(rune('x' + h)), Zone: string(rune('p' + h/2))}})
		}
	}
	return append(all, replica{5, Place{Host: "x", Zone: "p"}})
}

// named is a candidate without handles.
type named struct {
	Name          string
	Nodes         []string
	Reasons       [NumReasons]int64
	Score         float64
	Counts        [4]int64
	Path          string
	Entries       map[string]int64
	Replicas      map[string]int64
	Strength      float64
	Span          uint64
	Reason, Entry string
}

func namedAll(w World, instances []string, candidates []Candidate) (out []named) {
	for _, c := range candidates {
		n := named{
			Name: c.Place.Name() + "|" + w.NodeName(c.Node), Reasons: c.Reasons, Score: c.Score, Strength: c.Support.Strength(),
			Counts: [4]int64{c.Units, c.Of, c.Waiting, c.First}, Entries: map[string]int64{}, Replicas: map[string]int64{},
			Span: c.Span, Reason: c.Reason.String(), Entry: w.OpName(c.Entry(w)),
		}
		for _, m := range c.Nodes {
			n.Nodes = append(n.Nodes, w.NodeName(m))
		}
		for _, p := range c.Path {
			n.Path += w.NodeName(p) + " "
		}
		for op, x := range c.Entries {
			n.Entries[w.OpName(op)] = x
		}
		for i, x := range c.Replicas {
			n.Replicas[instances[i]] = x
		}
		out = append(out, n)
	}
	return out
}

// Scores are shares, each unit of work counts for one candidate, roots are a few of the candidates; the verdict is the
// same whatever the handles are, and when every weight is the same multiple.
func TestRankProperties(t *testing.T) {
	several, places, brokers := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		const nodes = 8
		node := rapid.Custom(func(t *rapid.T) graph.NodeID { return graph.NodeID(rapid.IntRange(1, nodes).Draw(t, "node")) })
		one := world{names: alphabet, strong: map[graph.NodeID]float64{}, calls: map[graph.NodeID][]graph.NodeID{},
			brokers: map[graph.NodeID]string{}, replicas: replicasOnHosts()}
		for n := graph.NodeID(1); n <= nodes; n++ {
			one.strong[n] = rapid.SampledFrom([]float64{0, .2, .4, .6, 1}).Draw(t, "strength")
			if n > 6 {
				one.brokers[n] = "q"
			}
			for m := n + 1; m <= nodes; m++ {
				if rapid.IntRange(0, 3).Draw(t, "calls") == 0 {
					one.calls[n] = append(one.calls[n], m)
				}
			}
		}
		// The other world has other handles of the same things.
		swap := func(n int) func(int) int {
			p := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
				for i := range n {
					if !yield(i + 1) {
						return
					}
				}
			})).Draw(t, "handles")
			return func(i int) int {
				if i == 0 {
					return 0
				}
				return p[i-1]
			}
		}
		ofNode, ofInstance := swap(nodes), swap(len(one.replicas))
		other := world{strong: map[graph.NodeID]float64{}, calls: map[graph.NodeID][]graph.NodeID{},
			brokers: map[graph.NodeID]string{}, replicas: make([]replica, len(one.replicas))}
		to := func(n graph.NodeID) graph.NodeID { return graph.NodeID(ofNode(int(n))) }
		names := make([]byte, nodes)
		for n := graph.NodeID(1); n <= nodes; n++ {
			names[to(n)-1] = alphabet[n-1]
			other.strong[to(n)] = one.strong[n]
			if b := one.brokers[n]; b != "" {
				other.brokers[to(n)] = b
			}
			for _, m := range one.calls[n] {
				other.calls[to(n)] = append(other.calls[to(n)], to(m))
			}
		}
		other.names = labels(names)
		instances, again := []string{""}, make([]string, len(one.replicas)+1)
		for i, r := range one.replicas {
			k := ofInstance(i + 1)
			other.replicas[k-1] = replica{to(r.node), r.at}
			instances = append(instances, alphabet.at(int(r.node))+r.at.Host)
			again[k] = instances[i+1]
		}

		heavy := rapid.Int64Range(1, 100).Draw(t, "weight")
		rows := func(n int) (now, renamed, heavier map[Row]Count) {
			now, renamed, heavier = map[Row]Count{}, map[Row]Count{}, map[Row]Count{}
			for i := range n {
				r := Row{
					Entry: graph.OpID(rapid.IntRange(1, 3).Draw(t, "entry")), Node: node.Draw(t, "of"),
					Instance: graph.InstanceID(rapid.IntRange(0, len(one.replicas)).Draw(t, "instance")),
					Reason:   Reason(rapid.IntRange(0, NumReasons-1).Draw(t, "reason")),
				}
				if rapid.Bool().Draw(t, "waits") {
					r.Waits = node.Draw(t, "for")
				}
				r.Path.push(node.Draw(t, "first"))
				r.Path.push(r.Node)
				c := many(rapid.Int64Range(1, 90).Draw(t, "units"))
				c.Exemplar[0], c.Span, c.First = byte(i), uint64(i), int64(i)
				if _, there := now[r]; there {
					continue
				}
				now[r] = c
				q := r
				q.Entry, q.Node, q.Waits, q.Instance = graph.OpID(to(graph.NodeID(r.Entry))), to(r.Node), to(r.Waits), graph.InstanceID(ofInstance(int(r.Instance)))
				for k := range q.Path {
					q.Path[k] = to(r.Path[k])
				}
				renamed[q] = c
				c.Weight *= heavy
				heavier[r] = c
			}
			return now, renamed, heavier
		}
		now, renamed, heavier := rows(rapid.IntRange(0, 12).Draw(t, "rows"))
		before, renamedBefore, heavierBefore := rows(rapid.IntRange(0, 3).Draw(t, "rows before"))
		var known, renamedKnown []Cause
		if rapid.Bool().Draw(t, "known") {
			n := node.Draw(t, "cause")
			known, renamedKnown = []Cause{{Nodes: []graph.NodeID{n}}}, []Cause{{Nodes: []graph.NodeID{to(n)}}}
		}

		got := Rank(at(2, now), at(9, before), known, one)
		sum, units, all := 0.0, int64(0), int64(0)
		for _, c := range now {
			all += c.Units
		}
		for i, c := range got.Candidates {
			require.True(t, i < 2 || got.Candidates[i-1].Score >= c.Score, "but for one that another gives way to")
			require.LessOrEqual(t, c.Waiting, c.Units)
			require.GreaterOrEqual(t, c.Score, 0.0)
			require.Equal(t, all, c.Of)
			require.Equal(t, c.Node == 0, c.Place != Place{})
			reasons := int64(0)
			for _, n := range c.Reasons {
				reasons += n
			}
			require.Equal(t, c.Units, reasons)
			sum += c.Score
			units += c.Units
			if c.Place.Broker != "" {
				brokers++
			} else if c.Node == 0 {
				places++
			}
		}
		require.LessOrEqual(t, sum, 1+1e-9)
		require.Equal(t, all, units)
		require.LessOrEqual(t, len(got.Roots), maxRoots)
		if len(got.Roots) > 1 {
			several++
		}
		if len(known) == 0 && len(now) > 0 {
			require.NotEmpty(t, got.Roots)
		}
		for _, r := range got.Roots {
			require.GreaterOrEqual(t, r.Score, 0.0)
			require.LessOrEqual(t, r.Score, 1+1e-9)
			i := slices.IndexFunc(got.Candidates, func(c Candidate) bool { return c.Node == r.Node && c.Place == r.Place })
			require.GreaterOrEqual(t, i, 0, "a root is a candidate")
			require.GreaterOrEqual(t, r.Score, got.Candidates[i].Score-1e-9, "the others' trouble is not its rival")
			r.Score = got.Candidates[i].Score
			require.Equal(t, got.Candidates[i], r)
		}
		want := [2][]named{namedAll(one, instances, got.Candidates), namedAll(one, instances, got.Roots)}
		more := Rank(at(2, heavier), at(9, heavierBefore), known, one)
		require.Equal(t, want, [2][]named{namedAll(one, instances, more.Candidates), namedAll(one, instances, more.Roots)})
		ren := Rank(at(2, renamed), at(9, renamedBefore), renamedKnown, other)
		require.Equal(t, want, [2][]named{namedAll(other, again, ren.Candidates), namedAll(other, again, ren.Roots)})
	})
	assert.Positive(t, several*places*brokers, "the property says something: %d %d %d", several, places, brokers)
}
