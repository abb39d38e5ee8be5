// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import "testing"

// A table that resumes tells of the seconds from where the other left off, none twice.
func TestResume(t *testing.T) {
	limits := Limits{Spans: 10, TraceSpans: 10, Quiet: second, Wait: 10 * second}
	a := NewTable(limits)
	if a.Told() != 0 {
		t.Error("nothing was told yet")
	}
	a.Add(ID{1}, Span{End: 1000 * second})
	a.Expire(1010*second, func(ID, []Span) {}, func(int64) {})
	b := NewTable(limits)
	b.Resume(a.Told())
	b.Add(ID{2}, Span{End: 1009 * second})
	var ends []int64
	given := 0
	b.Expire(1013*second, func(ID, []Span) { given++ }, func(end int64) { ends = append(ends, end/second) })
	if given != 1 || len(ends) == 0 || ends[0] != a.Told()+1 {
		t.Errorf("%d traces; the first second told ends at %v, not %d", given, ends, a.Told()+1)
	}
}
