// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"slices"
)

// Peek appends what the table holds of a trace, in (Start, ID) order, and keeps it.
func (t *Table) Peek(id ID, out []Span) []Span {
	i := t.traces.find(&id)
	if i == none {
		return out
	}
	from := len(out)
	for k := t.traces.entries[i].first; k != none; k = t.at(k).next {
		out = append(out, *t.at(k))
	}
	slices.SortFunc(out[from:], func(a, b Span) int {
		if x, y := a.Start(), b.Start(); x != y {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return out
}
