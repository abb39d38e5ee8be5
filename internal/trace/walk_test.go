// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
)

const ms = int64(1e6)

// span makes a span from milliseconds.
func span(id, parent uint64, role call.Role, start, end int64) Span {
	return NewSpan(Facts{ID: id, Parent: parent, Role: role, Start: start * ms, End: end * ms})
}

func TestWalk(t *testing.T) {
	const (
		server   = call.RoleServer
		client   = call.RoleClient
		internal = call.RoleInternal
		producer = call.RoleProducer
		consumer = call.RoleConsumer
	)
	type want struct {
		parent, server int32
		own            int64 // ms
		async, partial bool
	}
	tests := []struct {
		name  string
		spans []Span
		want  []want
	}{
		{
			name: "own time is the duration less the union of the children",
			spans: []Span{
				span(1, 0, server, 0, 100), span(2, 1, client, 10, 40), span(3, 1, client, 20, 50), span(4, 1, internal, 80, 90),
			},
			want: []want{{-1, -1, 50, false, false}, {0, -1, 30, false, false}, {0, -1, 30, false, false}, {0, -1, 10, false, false}},
		},
		{
			name:  "the gap of an answered call compares no clocks",
			spans: []Span{span(1, 0, client, 0, 100), span(2, 1, server, 5000, 5080)},
			want:  []want{{-1, 1, 20, false, false}, {0, -1, 80, false, false}},
		},
		{
			name:  "a callee that outlives its caller leaves no negative gap",
			spans: []Span{span(1, 0, client, 0, 100), span(2, 1, server, 10, 900)},
			want:  []want{{-1, 1, 0, false, false}, {0, -1, 890, false, false}},
		},
		{
			name:  "nobody waits for a consumer",
			spans: []Span{span(1, 0, server, 0, 100), span(2, 1, producer, 10, 20), span(3, 2, consumer, 30, 80)},
			want:  []want{{-1, -1, 90, false, false}, {0, -1, 10, false, false}, {1, -1, 50, true, false}},
		},
		{
			name:  "nor for what starts after its parent has ended",
			spans: []Span{span(1, 0, server, 0, 100), span(2, 1, internal, 100, 300)},
			want:  []want{{-1, -1, 100, false, false}, {0, -1, 200, true, false}},
		},
		{
			name:  "a child that outlives its parent counts up to the parent's end",
			spans: []Span{span(1, 0, server, 0, 100), span(2, 1, producer, 60, 300)},
			want:  []want{{-1, -1, 60, false, false}, {0, -1, 240, false, false}},
		},
		{
			name:  "a missing parent",
			spans: []Span{span(2, 1, server, 0, 100), span(3, 2, client, 10, 20)},
			want:  []want{{-1, -1, 90, false, true}, {0, -1, 10, false, false}},
		},
		{
			name:  "a cycle is cut at its earliest span",
			spans: []Span{span(1, 3, server, 0, 100), span(2, 1, client, 10, 90), span(3, 2, server, 20, 80)},
			want:  []want{{-1, -1, 20, false, true}, {0, 2, 20, false, false}, {1, -1, 60, false, false}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w Walker
			nodes := w.Walk(tt.spans)
			require.Len(t, nodes, len(tt.want))
			for i, n := range nodes {
				assert.Equal(t, tt.want[i], want{n.Parent, n.Server, n.Own / ms, n.Async, n.Partial}, "span %d", i)
			}
		})
	}
}

func TestDuplicatesCountNothing(t *testing.T) {
	var w Walker
	nodes := w.Walk([]Span{span(1, 0, call.RoleServer, 0, 100), span(2, 1, call.RoleClient, 10, 30), span(2, 1, call.RoleClient, 10, 30)})
	assert.False(t, nodes[1].Duplicate)
	assert.True(t, nodes[2].Duplicate)
	assert.Equal(t, int32(1), nodes[0].FirstChild)
	assert.Equal(t, int32(-1), nodes[1].NextSibling)
	assert.Equal(t, 80*ms, nodes[0].Own)
}

// Whatever the parents, the nodes are a forest without cycles, siblings are in order, and own times are within durations.
func TestWalkInvariants(t *testing.T) {
	var w Walker
	rapid.Check(t, func(t *rapid.T) {
		var spans []Span
		for range rapid.IntRange(1, 40).Draw(t, "spans") {
			start := rapid.Int64Range(0, 100).Draw(t, "start")
			spans = append(spans, span(
				rapid.Uint64Range(1, 40).Draw(t, "id"), rapid.Uint64Range(0, 45).Draw(t, "parent"),
				call.Role(rapid.IntRange(0, 4).Draw(t, "role")), start, start+rapid.Int64Range(0, 100).Draw(t, "ms"),
			))
		}
		slices.SortFunc(spans, func(a, b Span) int {
			return cmp.Or(cmp.Compare(a.Start(), b.Start()), cmp.Compare(a.ID, b.ID))
		})
		nodes := w.Walk(spans)
		children := 0
		for i := range spans {
			n := nodes[i]
			require.GreaterOrEqual(t, n.Own, int64(0))
			require.LessOrEqual(t, n.Own, spans[i].Duration())
			steps := 0
			for p := n.Parent; p >= 0; p = nodes[p].Parent {
				require.False(t, nodes[p].Duplicate)
				if steps++; steps > len(spans) {
					t.Fatalf("span %d is in a cycle", i)
				}
			}
			last := int64(-1)
			for c := n.FirstChild; c >= 0; c = nodes[c].NextSibling {
				require.Equal(t, int32(i), nodes[c].Parent)
				require.GreaterOrEqual(t, spans[c].Start(), last)
				last = spans[c].Start()
				children++
			}
		}
		parents := 0
		for _, n := range nodes {
			if n.Parent >= 0 {
				parents++
			}
		}
		assert.Equal(t, parents, children)
	})
}

func BenchmarkWalk(b *testing.B) {
	var spans []Span
	for i := range int64(12) {
		role := call.RoleServer
		if i%2 == 1 {
			role = call.RoleClient
		}
		spans = append(spans, span(uint64(i+1), uint64(i), role, i, 100-i))
	}
	var w Walker
	b.ReportAllocs()
	for b.Loop() {
		w.Walk(spans)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/span")
}
