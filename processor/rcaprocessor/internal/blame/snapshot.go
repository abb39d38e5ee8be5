// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"cmp"
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// Handles is how many handles there are of each kind, the 0 included: what a row refers to must lie below.
type Handles struct{ Ops, Nodes, Instances int }

// Rows returns how many rows the ledger holds.
func (l *Ledger) Rows() (n int) {
	for i := range l.seconds {
		n += len(l.seconds[i].rows)
	}
	return n
}

// Snapshot writes the ledger to c, or reads one from it into l, which must be new and of the same length.
func (l *Ledger) Snapshot(c *snapshot.Codec, h Handles) {
	held := 0
	for i := range l.seconds {
		if len(l.seconds[i].rows) > 0 {
			held++
		}
	}
	held = c.Count(held, len(l.seconds), "seconds")
	for i := 0; held > 0 && c.Err() == nil; held-- {
		if c.Reading() {
			l.readSheet(c, h)
			continue
		}
		for len(l.seconds[i].rows) == 0 {
			i++
		}
		s := &l.seconds[i]
		i++
		c.Time(&s.second)
		c.Count(len(s.rows), l.limit, "rows")
		for _, r := range s.sorted() {
			n := s.rows[r]
			r.snapshot(c, h)
			n.snapshot(c)
		}
	}
}

func (l *Ledger) readSheet(c *snapshot.Codec, h Handles) {
	var k int64
	c.Time(&k)
	s := &l.seconds[k%int64(len(l.seconds))]
	if s.rows != nil {
		c.Fail("a second is there twice")
		return
	}
	s.second, s.rows = k, make(map[Row]Count)
	for n := c.Count(0, l.limit, "rows"); n > 0 && c.Err() == nil; n-- {
		var r Row
		var count Count
		r.snapshot(c, h)
		count.snapshot(c)
		s.rows[r] = count
	}
}

func (r *Row) snapshot(c *snapshot.Codec, h Handles) {
	handle(c, &r.Entry, h.Ops)
	handle(c, &r.Node, h.Nodes)
	handle(c, &r.Waits, h.Nodes)
	handle(c, &r.Instance, h.Instances)
	snapshot.Uint(c, &r.Reason, NumReasons-1)
	for i := range r.Path {
		handle(c, &r.Path[i], h.Nodes)
	}
}

func handle[H ~uint32](c *snapshot.Codec, p *H, n int) { snapshot.Uint(c, p, H(max(0, n-1))) }

func (c *Count) snapshot(k *snapshot.Codec) {
	k.Time(&c.Units)
	k.Time(&c.Weight)
	k.Raw(c.Exemplar[:])
	snapshot.Uint(k, &c.Span, math.MaxUint64)
	k.Int(&c.First)
}

func (s *sheet) sorted() []Row {
	rows := make([]Row, 0, len(s.rows))
	for r := range s.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, compareRows)
	return rows
}

func compareRows(a, b Row) int {
	return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Waits, b.Waits),
		cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Reason, b.Reason),
		slices.CompareFunc(a.Path[:], b.Path[:], func(x, y graph.NodeID) int { return cmp.Compare(x, y) }))
}
