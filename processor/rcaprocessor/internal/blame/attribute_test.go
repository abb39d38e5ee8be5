// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// row is a row of a table: a way, whose last node it began at, and whom that waits for.
func row(why Reason, waits graph.NodeID, path ...graph.NodeID) Row {
	r := Row{Entry: 1, Reason: why, Waits: waits, Node: path[len(path)-1]}
	for _, n := range path {
		r.Path.push(n)
	}
	return r
}

// Who a row counts for.
func TestAttribute(t *testing.T) {
	type records = map[graph.NodeID]float64
	type units = map[graph.NodeID]int64
	for _, tt := range []struct {
		name    string
		rows    map[Row]Count
		strong  records
		want    units // by component
		waiting units // among them
	}{
		{"nobody is waited for", map[Row]Count{row(Errors, 0, 1, 2): many(9)}, records{1: 1}, units{2: 9}, nil},

		{"stood in line for one that strays", map[Row]Count{row(Saturation, 3, 1, 2): many(9)}, records{3: .3}, units{3: 9}, units{3: 9}},
		{"that does not", map[Row]Count{row(Saturation, 3, 1, 2): many(9)}, records{3: .29}, units{2: 9}, nil},
		{"shed", map[Row]Count{row(Shed, 3, 1, 2): many(9)}, records{3: .3}, units{3: 9}, units{3: 9}},
		{"failed without asking one that strays as a root does", map[Row]Count{row(Errors, 3, 1, 2): many(9)}, records{3: .5}, units{3: 9}, units{3: 9}},
		{"that strays less", map[Row]Count{row(Errors, 3, 1, 2): many(9)}, records{3: .49}, units{2: 9}, nil},
		{"asked for what is wrong", map[Row]Count{row(ClientRejected, 3, 1, 2): many(9)}, records{3: 1}, units{2: 9}, nil},
		{"asked too often", map[Row]Count{row(FanOut, 3, 1, 2): many(9)}, records{3: 1}, units{2: 9}, nil},

		{"who refuses one has cause to", map[Row]Count{row(Auth, 3, 1, 2): many(9), row(Auth, 3, 4, 2): many(5)}, records{3: 1}, units{2: 14}, nil},
		{"who refuses two is at fault", map[Row]Count{row(Auth, 3, 1, 2): many(9), row(Auth, 3, 1): many(5)}, nil, units{3: 14}, units{3: 14}},
		{"two that refuse one each", map[Row]Count{row(Auth, 3, 1, 2): many(9), row(Auth, 4, 1): many(5)}, nil, units{2: 9, 1: 5}, nil},
		{"refused by nobody known", map[Row]Count{row(Auth, 0, 1, 2): many(9), row(Auth, 0, 1): many(5)}, nil, units{2: 9, 1: 5}, nil},

		{"no name is found: the resolver", map[Row]Count{row(DNS, 0, 1, 2, 3): many(9), row(DNS, 0, 1, 2, 4): many(5)}, nil, units{2: 14}, nil},
		{"one name is not found", map[Row]Count{row(DNS, 0, 1, 2, 3): many(9), row(Errors, 0, 1, 2, 4): many(5)}, nil, units{3: 9, 4: 5}, nil},
		{"one of two that others do not find either", map[Row]Count{
			row(DNS, 0, 1, 2, 3): many(9), row(DNS, 0, 1, 2, 4): many(5), row(DNS, 0, 5, 4): many(5),
		}, nil, units{3: 9, 4: 10}, nil},
		{"names of one entry are names", map[Row]Count{row(DNS, 0, 1): many(9), row(DNS, 0, 2): many(5)}, nil, units{1: 9, 2: 5}, nil},
		{"what is found by the blind is not theirs", map[Row]Count{
			row(DNS, 0, 1, 2, 3): many(9), row(DNS, 0, 1, 2, 4): many(5), row(Latency, 0, 1, 2, 4): many(7),
		}, nil, units{2: 14, 4: 7}, nil},

		{"one that stands in line itself passes it on", map[Row]Count{
			row(Saturation, 2, 1): many(5), row(Saturation, 3, 1, 2): many(9),
		}, records{3: 1}, units{3: 14}, units{3: 14}},
		{"and on", map[Row]Count{
			row(Saturation, 2, 1): many(5), row(Saturation, 3, 5, 2): many(9), row(Saturation, 4, 6, 3): many(9),
		}, records{3: .3, 4: 1}, units{4: 23}, units{4: 23}},
		{"through those who are asked on the way", map[Row]Count{
			row(Saturation, 2, 1): many(5), row(Errors, 0, 1, 2, 3): many(9),
		}, records{3: 1}, units{3: 14}, units{3: 5}},
		{"but not when half of its trouble is its own", map[Row]Count{
			row(Saturation, 2, 1): many(5), row(Saturation, 3, 1, 2): many(9), row(Errors, 0, 1, 2): many(9),
		}, records{3: 1}, units{1: 5, 2: 9, 3: 9}, units{3: 9}},
		{"nor back to the one that stands in line", map[Row]Count{
			row(Saturation, 2, 1): many(5), row(Errors, 1, 3, 2): many(9), row(Errors, 0, 1): many(7),
		}, records{1: 1, 2: 1}, units{2: 5, 1: 16}, units{2: 5, 1: 9}},
		{"in a circle: somebody, and soon", map[Row]Count{
			row(Saturation, 2, 1): many(5), row(Saturation, 3, 4, 2): many(9), row(Saturation, 2, 4, 3): many(9),
		}, records{2: 1, 3: 1}, units{2: 14, 3: 9}, units{2: 14, 3: 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := rank(world{names: alphabet, strong: tt.strong}, tt.rows)
			sums, waiting := units{}, units{}
			for _, c := range got.Candidates {
				if sums[c.Node] = c.Units; c.Waiting > 0 {
					waiting[c.Node] = c.Waiting
				}
			}
			assert.Equal(t, tt.want, sums)
			if tt.waiting == nil {
				tt.waiting = units{}
			}
			assert.Equal(t, tt.waiting, waiting)
		})
	}
}

// To its callers one that is waited for is slow; one that refuses them all refuses them.
func TestAttributedReason(t *testing.T) {
	for why, want := range map[Reason]Reason{Saturation: Latency, Shed: Latency, Errors: Latency, Auth: Auth} {
		got := rank(strayed(3), map[Row]Count{row(why, 3, 1): many(9), row(why, 3, 2): many(9)})
		assert.Equal(t, []graph.NodeID{3}, nodesOf(got.Candidates))
		assert.Equal(t, want, got.Candidates[0].Reason)
		assert.Equal(t, Path{1, 3}, got.Candidates[0].Path)
		assert.Empty(t, got.Candidates[0].Replicas)
	}
}
