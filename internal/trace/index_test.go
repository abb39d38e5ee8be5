// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Against a map: whatever comes and goes, entries that went are used again, and each is found while it is there.
func TestTracesAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ts traces
		held := map[ID]int32{}
		most := 0
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			id := ID{15: rapid.Byte().Draw(t, "id")}
			i := ts.find(&id)
			if want, ok := held[id]; !ok {
				require.Equal(t, none, i)
				held[id] = ts.add(id)
				require.Equal(t, none, ts.entries[held[id]].first)
			} else if require.Equal(t, want, i); rapid.Bool().Draw(t, "goes") {
				ts.drop(i)
				delete(held, id)
			}
			most = max(most, len(held))
			require.Equal(t, len(held), ts.n)
		}
		for id, i := range held {
			require.Equal(t, i, ts.find(&id))
		}
		require.Len(t, ts.entries, most)
	})
}

func TestSortSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []Span
		for i := range rapid.SampledFrom([]int{0, 1, 2, 12, 32, 33}).Draw(t, "n") {
			start := rapid.Int64Range(0, 9).Draw(t, "start")
			spans = append(spans, NewSpan(Facts{ID: uint64(i) * 7 % 31, Start: start, End: start + rapid.Int64Range(0, 9).Draw(t, "took")}))
		}
		want := slices.Clone(spans)
		slices.SortFunc(want, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Start(), b.Start()), cmp.Compare(a.ID, b.ID)) })
		sortSpans(spans)
		for i := range want {
			require.Equal(t, want[i].Start(), spans[i].Start())
			require.Equal(t, want[i].ID, spans[i].ID)
		}
	})
}
