// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const start = 1_000_000 * second

func rowOf(n graph.NodeID) Row { return Row{Entry: 1, Node: n} }

func count(units, weight int64, id byte, span uint64) Count {
	return Count{Units: units, Weight: weight, Exemplar: trace.ID{id}, Span: span}
}

func TestLedgerWindow(t *testing.T) {
	l := NewLedger(10, 100)
	for s := range int64(10) {
		l.Record(start+s*second, rowOf(1), count(1, 16, byte(9-s), uint64(s)))
	}
	l.Record(start+3*second+1, rowOf(2), count(5, 80, 1, 1))
	at := func(s int64) int64 { return start + s*second }
	for _, tt := range []struct {
		name     string
		from, to int64
		want     map[Row]Count
	}{
		{"all", at(0), at(10), map[Row]Count{rowOf(1): count(10, 160, 0, 9), rowOf(2): count(5, 80, 1, 1)}},
		{"one second", at(2), at(3), map[Row]Count{rowOf(1): count(1, 16, 7, 2)}},
		{"parts of seconds count as the whole", at(2) + 1, at(3) + 1, map[Row]Count{rowOf(1): count(2, 32, 6, 3), rowOf(2): count(5, 80, 1, 1)}},
		{"before", at(-5), at(0), map[Row]Count{}},
		{"after", at(10), at(20), map[Row]Count{}},
		{"nothing", at(5), at(5), map[Row]Count{}},
	} {
		t.Run(tt.name, func(t *testing.T) { assert.Equal(t, tt.want, l.Window(tt.from, tt.to)) })
	}

	l.Record(at(12), rowOf(1), count(1, 16, 0, 1))
	assert.Equal(t, int64(9), l.Window(at(0), at(12))[rowOf(1)].Units, "its place was that of second 2")
	l.Record(at(2), rowOf(1), count(1, 16, 0, 1))
	assert.Empty(t, l.Window(at(2), at(3)), "too late")
	l.Reset()
	assert.Empty(t, l.Window(0, at(100)))
	l.Record(at(2), rowOf(1), count(1, 16, 0, 1))
	assert.Len(t, l.Window(at(2), at(3)), 1)
}

func TestLedgerLimit(t *testing.T) {
	l := NewLedger(10, 2)
	for n := range graph.NodeID(5) {
		l.Record(start, rowOf(n+1), count(1, 16, 1, 1))
	}
	l.Record(start, rowOf(1), count(1, 16, 1, 1))
	l.Record(start+second, rowOf(9), count(1, 16, 1, 1))
	assert.Equal(t, int64(3), l.Overflow)
	assert.Len(t, l.Window(start, start+second), 2)
	assert.Equal(t, int64(2), l.Window(start, start+second)[rowOf(1)].Units)
	assert.Len(t, l.Window(start+second, start+2*second), 1, "each second has its own room")
}

// Hosts without a clock live in 1970.
func TestLedgerAtTheBeginningOfTime(t *testing.T) {
	l := NewLedger(10, 2)
	l.Record(0, rowOf(1), count(1, 16, 1, 1))
	l.Record(1, rowOf(1), count(1, 16, 1, 1))
	assert.Equal(t, int64(2), l.Window(0, second)[rowOf(1)].Units)
}

// Whatever the order in which they come: the same sums, and the same example.
func TestLedgerDoesNotDependOnOrder(t *testing.T) {
	type record struct {
		at  int64
		row Row
		c   Count
	}
	rapid.Check(t, func(t *rapid.T) {
		var records []record
		for range rapid.IntRange(0, 40).Draw(t, "records") {
			records = append(records, record{
				start + rapid.Int64Range(0, 5*second).Draw(t, "at"),
				rowOf(graph.NodeID(rapid.IntRange(1, 3).Draw(t, "node"))),
				count(rapid.Int64Range(1, 3).Draw(t, "units"), rapid.Int64Range(16, 1000).Draw(t, "weight"),
					byte(rapid.IntRange(0, 3).Draw(t, "trace")), uint64(rapid.IntRange(0, 3).Draw(t, "span"))),
			})
		}
		window := func() map[Row]Count {
			l := NewLedger(10, 100)
			for _, r := range records {
				l.Record(r.at, r.row, r.c)
			}
			return l.Window(start, start+10*second)
		}
		want := window()
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Shuffle(len(records), func(i, j int) {
			records[i], records[j] = records[j], records[i]
		})
		require.Equal(t, want, window())
	})
}
