// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"bytes"
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Row tells hurt units of work apart: where they came in, where their trouble began, and on which way.
type Row struct {
	Entry    graph.OpID
	Node     graph.NodeID
	Waits    graph.NodeID
	Instance graph.InstanceID
	Reason   Reason
	Path     Path
}

// Count is how many units of work a row stands for.
type Count struct {
	Units  int64
	Weight int64 // adjusted for sampling, in 1/16
	// Exemplar is the least trace id among them, and the least span in it that a walk ended at.
	Exemplar trace.ID
	Span     uint64
	// First is when the earliest of the spans started that a walk ended at, in unix nanoseconds.
	First int64
}

// Add adds other's counts.
func (c *Count) Add(other Count) {
	if c.Units == 0 || other.Units > 0 && other.before(c) {
		c.Exemplar, c.Span = other.Exemplar, other.Span
	}
	if c.Units == 0 || other.Units > 0 && other.First < c.First {
		c.First = other.First
	}
	c.Units += other.Units
	c.Weight += other.Weight
}

func (c *Count) before(other *Count) bool {
	ids := bytes.Compare(c.Exemplar[:], other.Exemplar[:])
	return ids < 0 || ids == 0 && c.Span < other.Span
}

// Ledger is the origins of hurt units of work, second by second.
type Ledger struct {
	seconds []sheet
	limit   int
	// Overflow counts units of work whose row did not fit into its second.
	Overflow int64
}

type sheet struct {
	second int64
	rows   map[Row]Count
}

// NewLedger makes a ledger of the given number of seconds, with at most limit rows in each.
func NewLedger(seconds, limit int) *Ledger {
	return &Ledger{seconds: make([]sheet, seconds), limit: limit}
}

const second = int64(1e9)

// Record counts a hurt unit of work at time at.
func (l *Ledger) Record(at int64, r Row, c Count) { l.add(at/second, r, c) }

func (l *Ledger) add(k int64, r Row, c Count) {
	s := &l.seconds[k%int64(len(l.seconds))]
	if s.second != k {
		if k < s.second {
			return
		}
		s.second = k
		clear(s.rows)
	}
	if s.rows == nil {
		s.rows = make(map[Row]Count)
	}
	old, ok := s.rows[r]
	if !ok && len(s.rows) >= l.limit {
		l.Overflow += c.Units
		return
	}
	old.Add(c)
	s.rows[r] = old
}

// Window adds up the rows of [from, to).
func (l *Ledger) Window(from, to int64) map[Row]Count {
	sum := make(map[Row]Count)
	for i := range l.seconds {
		s := &l.seconds[i]
		if s.second < from/second || s.second >= (to+second-1)/second {
			continue
		}
		for r, c := range s.rows {
			old := sum[r]
			old.Add(c)
			sum[r] = old
		}
	}
	return sum
}

// Bytes returns about how much memory the ledger holds.
func (l *Ledger) Bytes() int64 {
	const each = int64(unsafe.Sizeof(Row{})+unsafe.Sizeof(Count{})) * 3 / 2 // and the room that a map leaves
	return int64(l.Rows())*each + int64(len(l.seconds))*int64(unsafe.Sizeof(sheet{}))
}

// Reset forgets everything.
func (l *Ledger) Reset() { clear(l.seconds) }
