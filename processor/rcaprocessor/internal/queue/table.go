// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package queue remembers what spans tell of messages until it is asked for: a publish until its consumers' spans
// come, a receipt until its trace is looked at.
package queue

import (
	"unsafe"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const (
	// firstSize is how many chains a table has at first; a power of two.
	firstSize = 1 << 10
	// chunkSize entries are made room for at a time.
	chunkBits = 10
	chunkSize = 1 << chunkBits
	// perSpan entries of one span are held: what gives every span the same id must not make every Put slow.
	perSpan = 64
)

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

// Entry is what a span told. 32 bytes, and 8 for its place in the index; up to 16 while the table fills.
type Entry struct {
	Span  uint64
	Value uint64 // of a publish when it ended, unix nanoseconds; of a receipt the span that published, 0 when not said
	Lane  Lane
	Node  graph.NodeID // the topic of a publish; 0 when it was forgotten
	back  uint32       // how far back the next older entry of the chain is, shifted by one bit: the lowest says that it was asked for
}

const asked = 1

// Table holds the newest entries, and finds those of one span. Nothing expires: the newest overwrite the oldest.
// NewTable makes one.
type Table struct {
	chunks [][]Entry
	heads  []uint32 // low half of the position of the newest entry whose span hashes here; 0 for none
	seq    uint64   // position of the newest; the first is 1
	most   uint64   // entries; a power of two
	// Lost counts entries that gave way before they were asked for.
	Lost int64
}

// NewTable makes a table of limit entries, rounded up to a power of two and at least 1,024. Memory is taken as it fills.
func NewTable(limit int) *Table {
	most := uint64(firstSize)
	for most < uint64(limit) {
		most *= 2
	}
	return &Table{most: most}
}

// Len returns the number of entries held.
func (t *Table) Len() int { return int(min(t.seq, t.most)) }

// Bytes returns about how much memory the table holds.
func (t *Table) Bytes() int64 {
	return int64(len(t.chunks))*chunkSize*int64(unsafe.Sizeof(Entry{})) + 4*int64(len(t.heads))
}

// Put remembers what a span tells. What is there already in span and value came twice, and is left alone.
func (t *Table) Put(span, value uint64, node graph.NodeID, lane Lane) {
	n := 0
	for p, seq := t.follow(t.first(span), span); p != nil; p, seq = t.follow(t.before(seq, p), span) {
		if p.Value == value {
			return
		}
		if n++; n == perSpan {
			t.Lost++
			return
		}
	}
	if t.seq++; t.seq <= t.most {
		t.grow()
	}
	p := t.at(t.seq)
	if p.Span != 0 && p.back&asked == 0 {
		t.Lost++
	}
	*p = Entry{Span: span, Value: value, Node: node, Lane: lane}
	t.link(t.seq)
}

// Find returns the newest entry of a span, nil when there is none; it is valid until the next Put.
func (t *Table) Find(span uint64) *Entry {
	p, _ := t.follow(t.first(span), span)
	return p
}

// Ask yields every entry of a span, and notes that they have served. It returns whether there was one.
func (t *Table) Ask(span uint64, yield func(*Entry)) bool {
	p, seq := t.follow(t.first(span), span)
	found := p != nil
	for p != nil {
		p.back |= asked
		yield(p)
		p, seq = t.follow(t.before(seq, p), span)
	}
	return found
}

// Served notes that an entry was of use.
func (p *Entry) Served() { p.back |= asked }

// first returns the position of the head of a span's chain.
func (t *Table) first(span uint64) uint64 {
	if t.seq == 0 {
		return 0
	}
	return t.back(t.seq, uint64(uint32(t.seq)-t.heads[t.hash(span)]))
}

// back returns the position so far before seq; 0 when nothing is there any more.
func (t *Table) back(seq, by uint64) uint64 {
	if by >= seq || t.seq-(seq-by) >= t.most {
		return 0
	}
	return seq - by
}

// follow goes down a chain from position seq to an entry of the span.
func (t *Table) follow(seq, span uint64) (*Entry, uint64) {
	for seq != 0 {
		p := t.at(seq)
		if p.Span == span {
			return p, seq
		}
		seq = t.before(seq, p)
	}
	return nil, 0
}

func (t *Table) before(seq uint64, p *Entry) uint64 {
	if p.back>>1 == 0 {
		return 0
	}
	return t.back(seq, uint64(p.back>>1))
}

// link puts the entry at position seq at the head of its chain. A head that was left untouched for 2^32 entries looks
// young again; it leads into a chain of other spans.
func (t *Table) link(seq uint64) {
	p := t.at(seq)
	head := &t.heads[t.hash(p.Span)]
	back := uint32(seq) - *head
	if uint64(back) >= min(seq, t.most) {
		back = 0
	}
	p.back = back<<1 | p.back&asked
	*head = uint32(seq)
}

// grow makes room for the entry that comes next; before the table is full for the first time, positions are places.
func (t *Table) grow() {
	if at := t.seq & (t.most - 1); at>>chunkBits >= uint64(len(t.chunks)) || len(t.chunks) == 0 {
		t.chunks = append(t.chunks, make([]Entry, chunkSize))
	}
	if 2*t.seq <= uint64(len(t.heads)) {
		return
	}
	t.heads = make([]uint32, max(2*len(t.heads), firstSize))
	for seq := uint64(1); seq < t.seq; seq++ {
		t.link(seq)
	}
}

func (t *Table) at(seq uint64) *Entry {
	at := seq & (t.most - 1)
	return &t.chunks[at>>chunkBits][at&(chunkSize-1)]
}

func (t *Table) hash(span uint64) uint64 {
	return span * 0x9e3779b97f4a7c15 >> 32 & uint64(len(t.heads)-1)
}

// Forget has the publishes to a topic found no more.
func (t *Table) Forget(node graph.NodeID) {
	for _, chunk := range t.chunks {
		for i := range chunk {
			if p := &chunk[i]; p.Node == node {
				p.Node, p.back = 0, p.back|asked
			}
		}
	}
}

// Clear forgets everything but the count of what was lost.
func (t *Table) Clear() { *t = Table{most: t.most, Lost: t.Lost} }

// Merge puts in what other holds, the oldest first.
func (t *Table) Merge(other *Table, node func(graph.NodeID) graph.NodeID) {
	for seq := other.seq - uint64(other.Len()) + 1; seq <= other.seq; seq++ {
		if p := other.at(seq); p.Node != 0 {
			t.Put(p.Span, p.Value, node(p.Node), p.Lane)
			t.Find(p.Span).back |= p.back & asked
		}
	}
	t.Lost += other.Lost
}
