// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"unsafe"
)

// hopsPerSpan bounds the length of chain that Trace follows, as a multiple of the most spans of a trace: a trace
// without end must not make every trace that shares its chain slow to read.
const hopsPerSpan = 4

// Log holds the newest spans in order of arrival, and finds those of one trace. Nothing is expired: the newest
// overwrite the oldest. Memory is taken as it fills.
type Log struct {
	chunks [][]logged
	heads  []uint32 // low half of the position of the newest span whose trace id hashes here; 0: none
	size   uint64   // a power of two
	most   int      // of one trace
	seq    uint64   // position of the newest; the first is 1
	cut    uint64
	found  []uint64
}

type logged struct {
	id   ID
	span Span
	tag  uint32
	back uint32 // how far back the next older span of the chain is; 0: there is none
}

// NewLog makes a log of so many spans, rounded up to a power of two and at least 4,096. Trace returns at most
// traceSpans of them.
func NewLog(spans, traceSpans int) *Log {
	n := max(spans, chunkSize) - 1
	return &Log{size: 1 << bits.Len(uint(min(n, math.MaxUint32>>1))), most: max(traceSpans, 1)}
}

// Add keeps a span of trace id, with a further handle of the engine, and returns its position: one more than
// that of the span before.
func (l *Log) Add(id ID, s Span, tag uint32) (seq uint64) {
	if l.heads == nil {
		l.heads = make([]uint32, l.size)
	}
	l.seq++
	at := l.seq & (l.size - 1)
	if at>>chunkBits >= uint64(len(l.chunks)) {
		l.grow(at)
	}
	head := &l.heads[l.hash(&id)]
	// A head that was left untouched for 2^32 spans looks young again; it leads into a chain of other traces.
	// One that has been overwritten since ends the chain when it is followed.
	back := uint32(l.seq) - *head
	if uint64(back) >= l.seq {
		back = 0
	}
	*head = uint32(l.seq)
	e := &l.chunks[at>>chunkBits][at&(chunkSize-1)]
	e.id, e.span, e.tag, e.back = id, s, tag, back
	return l.seq
}

// SetTag changes the further handle of the span at a position that Trace gave since the last Add.
func (l *Log) SetTag(seq uint64, tag uint32) { l.at(seq).tag = tag }

// grow makes the chunks up to that of the entry. All but the last are there already, as they fill in order.
func (l *Log) grow(at uint64) {
	for at>>chunkBits >= uint64(len(l.chunks)) {
		l.chunks = append(l.chunks, make([]logged, chunkSize))
	}
}

func (l *Log) hash(id *ID) uint64 { return id.hash() & (l.size - 1) }

func (l *Log) at(seq uint64) *logged {
	at := seq & (l.size - 1)
	return &l.chunks[at>>chunkBits][at&(chunkSize-1)]
}

// Trace appends the spans of trace id that are held, in (Start, ID) order, with their tags and positions. Of spans
// that are alike in both the first to arrive is appended; a span that came again with another start is left to the
// Walker. Of a trace with more spans than Trace returns those that arrived first are left out.
func (l *Log) Trace(id ID, spans []Span, tags []uint32, seqs []uint64) ([]Span, []uint32, []uint64) {
	if l.heads == nil {
		return spans, tags, seqs
	}
	l.collect(&id)
	slices.SortFunc(l.found, func(a, b uint64) int {
		s, t := &l.at(a).span, &l.at(b).span
		x, y := s.Start(), t.Start()
		switch {
		case x != y:
			return cmp.Compare(x, y)
		case s.ID != t.ID:
			return cmp.Compare(s.ID, t.ID)
		}
		return cmp.Compare(a, b)
	})
	var last *Span
	for _, seq := range l.found {
		e := l.at(seq)
		if last != nil && last.Start() == e.span.Start() && last.ID == e.span.ID {
			continue
		}
		last = &e.span
		spans, tags, seqs = append(spans, e.span), append(tags, e.tag), append(seqs, seq)
	}
	return spans, tags, seqs
}

// collect finds the positions of a trace's spans, the newest first.
func (l *Log) collect(id *ID) {
	l.found = l.found[:0]
	back := uint64(uint32(l.seq) - l.heads[l.hash(id)])
	if back >= min(l.seq, l.size) {
		return
	}
	for seq, hops := l.seq-back, 0; ; hops++ {
		e := l.at(seq)
		if e.id == *id {
			if len(l.found) == l.most {
				l.cut++
				return
			}
			l.found = append(l.found, seq)
		}
		next := seq - uint64(e.back)
		if e.back == 0 || l.seq-next >= l.size {
			return
		}
		if hops >= hopsPerSpan*l.most {
			l.cut++
			return
		}
		seq = next
	}
}

// Newest shows the spans that are held, the newest first, until see says that it has seen enough.
func (l *Log) Newest(see func(*Span) bool) {
	for seq, n := l.seq, l.Len(); n > 0 && see(&l.at(seq).span); n-- {
		seq--
	}
}

// Len is how many spans are held.
func (l *Log) Len() int { return int(min(l.seq, l.size)) }

// Cut is how often Trace left spans out, or gave up looking for more, because of the most that it returns.
func (l *Log) Cut() uint64 { return l.cut }

// Bytes returns about how much memory the log holds.
func (l *Log) Bytes() int64 {
	return int64(len(l.chunks))*chunkSize*int64(unsafe.Sizeof(logged{})) + 4*int64(cap(l.heads))
}
