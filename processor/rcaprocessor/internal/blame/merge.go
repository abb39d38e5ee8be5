// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import "github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"

// Merge adds the rows of other, whose handles t translates. Rows of what has no room count as beyond the limit.
func (l *Ledger) Merge(other *Ledger, t *graph.Translation) {
	for i := range other.seconds {
		s := &other.seconds[i]
		for _, r := range s.sorted() {
			c := s.rows[r]
			if to, ok := r.translate(t); ok {
				l.add(s.second, to, c)
			} else {
				l.Overflow += c.Units
			}
		}
	}
	l.Overflow += other.Overflow
}

// translate returns the row in the handles of another graph; false when where it came in, or began, has none.
func (r Row) translate(t *graph.Translation) (Row, bool) {
	entry, node := t.Ops[r.Entry], t.Nodes[r.Node]
	if entry == 0 && r.Entry != 0 || node == 0 && r.Node != 0 {
		return r, false
	}
	r.Entry, r.Node, r.Waits, r.Instance = entry, node, t.Nodes[r.Waits], t.Instances[r.Instance]
	for i := range r.Path {
		r.Path[i] = t.Nodes[r.Path[i]]
	}
	return r, true
}
