// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPeek(t *testing.T) {
	table := NewTable(Limits{Spans: 10, TraceSpans: 10, Quiet: second, Wait: 10 * second})
	assert.Empty(t, table.Peek(ID{1}, nil))
	for _, s := range []Facts{{ID: 3, Start: 100 * second, End: 101 * second}, {ID: 2, Start: 100 * second, End: 103 * second}, {ID: 1, Start: 101 * second, End: 102 * second}} {
		table.Add(ID{1}, NewSpan(s))
		table.Add(ID{2}, NewSpan(s))
	}
	ids := func(spans []Span) (out []uint64) {
		for i := range spans {
			out = append(out, spans[i].ID)
		}
		return out
	}
	for range 2 {
		assert.Equal(t, []uint64{9, 2, 3, 1}, ids(table.Peek(ID{1}, []Span{{ID: 9}})), "by start and id, behind what is there")
	}
	given := 0
	table.Clear(func(_ ID, spans []Span) { given += len(spans) })
	assert.Equal(t, 6, given, "all is still there")
	assert.Empty(t, table.Peek(ID{1}, nil))
}
