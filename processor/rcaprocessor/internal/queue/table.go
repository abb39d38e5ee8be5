// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package queue joins what producers and consumers of messages tell: how long a record lay in its topic.
package queue

import (
	"bytes"
	"cmp"
	"slices"
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const (
	second = int64(1e9)
	// firstSize is how many publishes a table has room for at first; a power of two.
	firstSize = 1 << 10
)

// Record is a message as its producer's or its consumer's span tells of it.
type Record struct {
	Span     uint64 // of the span that tells
	Producer uint64 // a consumer's link: the span that published; 0 when it is not said
	Start    int64  // unix nanoseconds
	End      int64
	Trace    trace.ID
	Lane     Lane
	Op       graph.OpID
	Weight   uint32 // adjusted count in 1/16
	Publish  bool   // told by the producer
	First    bool   // of the records of a span: a consumer's span may take several at once
	Bad      bool
}

// Lane is a partition: its number plus one, or a hash with the highest bit set where it is no number; 0 when it is
// not said.
type Lane uint64

const unnumbered = Lane(1) << 63

// LaneOf returns the lane that a partition's name means.
func LaneOf(name string) Lane {
	if name == "" {
		return 0
	}
	number, hash := Lane(0), uint64(14695981039346656037) // FNV-1a
	numbered := len(name) < 10
	for i := range len(name) {
		c := name[i]
		numbered = numbered && c >= '0' && c <= '9'
		number = number*10 + Lane(c-'0')
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	if numbered {
		return number + 1
	}
	return Lane(hash) | unnumbered
}

// Number returns the partition's number; false when it has none, or is not known.
func (l Lane) Number() (int, bool) { return int(l) - 1, l != 0 && l < unnumbered }

// Table remembers the newest publishes, and has records wait until all that may come before them is here.
// NewTable makes one.
type Table struct {
	published []publish
	heads     []uint64 // position of the newest publish whose span hashes here; 0 for none
	seq       uint64   // position of the newest; the first is 1
	size      uint64   // of both; a power of two
	most      uint64

	waiting [][]Record // by second modulo len
	from    int64      // earliest second that has not been given out
	held    int
	begun   bool
	limit   int
	// Lost counts publishes that gave way before a consumer's span asked for them, and records for which there
	// was no room to wait.
	Lost int64
}

// publish is a record in its topic. 24 bytes, and 8 for its place in the index.
type publish struct {
	span uint64
	end  int64
	node graph.NodeID
	back uint32 // how far back the next older publish of the chain is, shifted by one bit: the lowest says that it was asked for
}

const asked = 1

// NewTable makes a table of at most limit publishes, rounded up to a power of two, and as many records waiting.
// Records may lie ahead of what was given out by wait nanoseconds.
func NewTable(limit int, wait int64) *Table {
	most := uint64(firstSize)
	for most < uint64(limit) {
		most *= 2
	}
	return &Table{most: most, limit: limit, waiting: make([][]Record, wait/second+8)}
}

// Bytes returns about how much memory the table holds.
func (t *Table) Bytes() int64 {
	return int64(t.size)*int64(unsafe.Sizeof(publish{})+8) + int64(t.held)*int64(unsafe.Sizeof(Record{}))
}

// Publish remembers that the record of a span was in topic node at time end.
func (t *Table) Publish(span uint64, end int64, node graph.NodeID) {
	if p := t.find(span); p != nil && p.end == end { // it came twice
		return
	}
	if t.seq+1 >= t.size && t.size < t.most {
		t.grow()
	}
	t.seq++
	p := t.at(t.seq)
	if p.span != 0 && p.back&asked == 0 {
		t.Lost++
	}
	*p = publish{span: span, end: end, node: node}
	t.link(t.seq)
}

// link puts the publish at position seq at the head of its chain.
func (t *Table) link(seq uint64) {
	p := t.at(seq)
	head := &t.heads[t.hash(p.span)]
	back := seq - *head
	if *head == 0 || back >= t.size {
		back = 0
	}
	p.back = uint32(back)<<1 | p.back&asked
	*head = seq
}

// grow makes room for twice as many; before the table is full for the first time, positions are places.
func (t *Table) grow() {
	t.size = max(2*t.size, firstSize)
	t.published = append(make([]publish, 0, t.size), t.published...)[:t.size]
	t.heads = make([]uint64, t.size)
	for seq := uint64(1); seq <= t.seq; seq++ {
		t.link(seq)
	}
}

func (t *Table) at(seq uint64) *publish { return &t.published[seq&(t.size-1)] }

func (t *Table) hash(span uint64) uint64 { return span * 0x9e3779b97f4a7c15 >> 32 & (t.size - 1) }

func (t *Table) find(span uint64) *publish {
	if t.size == 0 {
		return nil
	}
	for seq := t.heads[t.hash(span)]; seq != 0 && t.seq-seq < t.size; {
		p := t.at(seq)
		if p.span == span {
			return p
		}
		back := uint64(p.back >> 1)
		if back == 0 || back >= seq {
			return nil
		}
		seq -= back
	}
	return nil
}

// Find returns when the publish of a span ended, and its topic.
func (t *Table) Find(span uint64) (end int64, node graph.NodeID, ok bool) {
	p := t.find(span)
	if p == nil || p.node == 0 {
		return 0, 0, false
	}
	p.back |= asked
	return p.end, p.node, true
}

// Forget has the publishes to a topic found no more.
func (t *Table) Forget(node graph.NodeID) {
	for i := range t.published {
		if p := &t.published[i]; p.node == node {
			p.node, p.back = 0, p.back|asked
		}
	}
}

// Wait has a record wait for the second in which its span ended to be over.
func (t *Table) Wait(r *Record) {
	if t.held >= t.limit {
		t.Lost++
		return
	}
	k, n := r.End/second, int64(len(t.waiting))
	if !t.begun {
		t.begun, t.from = true, k-n/2
	}
	w := t.slot(min(max(k, t.from), t.from+n-1))
	*w = append(*w, *r)
	t.held++
}

// Drain gives out the records whose span ended before end, second by second and in the same order whatever the order
// in which they came; what came twice is given out once. at is the start of the second.
func (t *Table) Drain(end int64, visit func(at int64, r *Record)) {
	for last := end / second; t.begun && t.from < last; t.from++ {
		if t.held == 0 {
			t.from = last
			return
		}
		w := t.slot(t.from)
		slices.SortFunc(*w, compare)
		for i := range *w {
			if r := &(*w)[i]; i == 0 || compare((*w)[i-1], *r) != 0 {
				visit(t.from*second, r)
			}
		}
		t.held -= len(*w)
		*w = (*w)[:0]
	}
}

// slot returns where the records of a second wait.
func (t *Table) slot(k int64) *[]Record {
	n := int64(len(t.waiting))
	return &t.waiting[(k%n+n)%n]
}

func compare(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Span, b.Span), bytes.Compare(a.Trace[:], b.Trace[:]), cmp.Compare(a.Producer, b.Producer),
		cmp.Compare(a.Op, b.Op), cmp.Compare(a.Start, b.Start))
}

// Clear forgets everything but the count of what was lost.
func (t *Table) Clear() {
	for i := range t.waiting {
		t.waiting[i] = t.waiting[i][:0]
	}
	t.published, t.heads, t.seq, t.size, t.held, t.begun = nil, nil, 0, 0, 0, false
}
