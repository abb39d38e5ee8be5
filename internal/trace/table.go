// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"cmp"
	"math"
	"slices"
	"unsafe"
)

const (
	second    = int64(1e9)
	chunkBits = 12
	chunkSize = 1 << chunkBits
	none      = int32(-1)
	forever   = int64(math.MaxInt64)
)

// Limits bound a Table.
type Limits struct {
	// Spans is the most skeletons held; beyond it the oldest traces are given out before they are at rest.
	Spans int
	// TraceSpans is the most skeletons held of one trace; those beyond are not kept.
	TraceSpans int
	// Quiet is how long a trace must have gone without a span ending, in nanoseconds of event time.
	Quiet int64
	// Wait is the furthest that spans may lie ahead of the time Expire is called with, in nanoseconds.
	Wait int64
}

// Table holds the spans of traces that are not at rest yet.
//
// A trace is given out in episodes: runs of spans of which each ends at most Quiet (rounded up to whole
// seconds) after the one before. What an episode holds follows from the spans' end times alone, not
// from the order in which they came.
type Table struct {
	limits Limits
	traces traces
	chunks [][]Span
	free   []int32 // places of spans that were let go; those from fresh on were never held
	fresh  int32
	spans  int

	slots []int32 // first entry whose earliest open second this is, by second modulo len
	from  int64   // earliest second that has not been given out
	told  int64   // earliest second whose end Expire has not told of; behind from after Relieve
	begun bool

	scratch []Span
}

// NewTable makes an empty table. All limits must be positive.
func NewTable(l Limits) *Table {
	return &Table{
		limits: l,
		slots:  filled(int((l.Wait+l.Quiet)/second) + 8),
	}
}

func filled(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = none
	}
	return s
}

// Len returns the number of spans and traces held.
func (t *Table) Len() (spans, traces int) { return t.spans, t.traces.n }

// Bytes returns about how much memory the table holds.
func (t *Table) Bytes() int64 {
	const spanBytes = int64(unsafe.Sizeof(Span{}))
	return int64(len(t.chunks))*chunkSize*spanBytes + 4*int64(cap(t.free)+cap(t.slots)) + int64(cap(t.scratch))*spanBytes + t.traces.bytes()
}

// Add keeps a span of trace id. It returns false when the trace holds its most already.
func (t *Table) Add(id ID, s Span) bool {
	sec := s.End / second
	if !t.begun {
		t.begun, t.from = true, sec-int64(len(t.slots))/2
		t.told = t.from
	}
	i := t.traces.find(&id)
	if i == none {
		i = t.traces.add(id)
		t.file(i, sec)
	}
	e := &t.traces.entries[i]
	if int(e.n) >= t.limits.TraceSpans {
		return false
	}
	if sec < e.slot {
		t.unfile(i)
		t.file(i, sec)
	}
	k := t.newSpan()
	s.next = e.first
	*t.at(k) = s
	e.first = k
	e.n++
	return true
}

// Full says that the table holds as many spans as it may.
func (t *Table) Full() bool { return t.spans >= t.limits.Spans }

// Expire gives out every episode that was at rest before mark, second by second: an episode belongs to the
// second in which its last span ended. The spans handed to visit are in (Start, ID) order and valid during
// the call. Within a second the order of episodes is not defined. After the episodes of a second comes one
// call of tick with that second's end; seconds in which nothing is held may be passed over.
func (t *Table) Expire(mark int64, visit func(id ID, spans []Span), tick func(end int64)) {
	if !t.begun {
		return
	}
	quiet := (t.limits.Quiet + second - 1) / second
	last := mark/second - 1 - quiet
	for ; t.told <= last; t.told++ {
		if t.traces.n == 0 {
			t.told = last
		}
		if t.told >= t.from {
			t.from = t.told
			t.expireSecond(t.from, (t.from+1+quiet)*second, visit)
			t.from++
		}
		tick((t.told + 1) * second)
	}
}

// Relieve gives out the traces of the oldest occupied second, at rest or not. It returns false when the table is empty.
func (t *Table) Relieve(visit func(id ID, spans []Span)) bool {
	if t.traces.n == 0 {
		return false
	}
	for t.slots[t.slot(t.from)] == none {
		t.from++
	}
	t.expireSecond(t.from, forever, visit)
	t.from++
	return true
}

// Clear gives out everything, oldest first.
func (t *Table) Clear(visit func(id ID, spans []Span)) {
	for t.Relieve(visit) {
	}
	t.begun = false
}

func (t *Table) expireSecond(sec, horizon int64, visit func(id ID, spans []Span)) {
	for i := t.slots[t.slot(sec)]; i != none; {
		next := t.traces.entries[i].next
		if t.traces.entries[i].slot == sec {
			t.expire(i, sec, horizon, visit)
		}
		i = next
	}
}

// expire gives out the spans of entry i that end before horizon, if the last of them ended in second sec;
// else it files the entry under the second in which it did.
func (t *Table) expire(i int32, sec, horizon int64, visit func(id ID, spans []Span)) {
	e := &t.traces.entries[i]
	last, rest := -forever, forever
	t.scratch = t.scratch[:0]
	for k := e.first; k != none; {
		s := t.at(k)
		if s.End < horizon {
			last = max(last, s.End)
			t.scratch = append(t.scratch, *s)
		} else {
			rest = min(rest, s.End)
		}
		k = s.next
	}
	t.unfile(i)
	if horizon < forever && last/second > sec {
		t.file(i, last/second)
		return
	}
	id := e.id
	if t.let(e, horizon); e.n == 0 {
		t.traces.drop(i)
	} else {
		t.file(i, rest/second)
	}
	if len(t.scratch) > 0 {
		sortSpans(t.scratch)
		visit(id, t.scratch)
	}
}

// let frees the places of an entry's spans that end before horizon.
func (t *Table) let(e *entry, horizon int64) {
	kept, n := none, int32(0)
	for k := e.first; k != none; {
		s := t.at(k)
		next := s.next
		if s.End < horizon {
			t.free = append(t.free, k)
		} else {
			s.next, kept = kept, k
			n++
		}
		k = next
	}
	t.spans -= int(e.n - n)
	e.first, e.n = kept, n
}

// sortSpans puts spans in (Start, ID) order. Most traces are small and nearly in order, with the spans that ended last
// in front: each span moves to its place at once.
func sortSpans(spans []Span) {
	if len(spans) > 32 {
		slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Start(), b.Start()), cmp.Compare(a.ID, b.ID)) })
		return
	}
	for i := 1; i < len(spans); i++ {
		start, id := spans[i].Start(), spans[i].ID
		k := i
		for k > 0 {
			if before := spans[k-1].Start(); before < start || before == start && spans[k-1].ID <= id {
				break
			}
			k--
		}
		if k < i {
			s := spans[i]
			copy(spans[k+1:i+1], spans[k:i])
			spans[k] = s
		}
	}
}

func (t *Table) slot(sec int64) int64 {
	n := int64(len(t.slots))
	return (sec%n + n) % n
}

// file puts entry i under second sec, or the nearest one that the slots reach.
func (t *Table) file(i int32, sec int64) {
	sec = min(max(sec, t.from), t.from+int64(len(t.slots))-1)
	e := &t.traces.entries[i]
	head := &t.slots[t.slot(sec)]
	e.slot, e.prev, e.next = sec, none, *head
	if *head != none {
		t.traces.entries[*head].prev = i
	}
	*head = i
}

func (t *Table) unfile(i int32) {
	e := &t.traces.entries[i]
	if e.prev != none {
		t.traces.entries[e.prev].next = e.next
	} else {
		t.slots[t.slot(e.slot)] = e.next
	}
	if e.next != none {
		t.traces.entries[e.next].prev = e.prev
	}
}

func (t *Table) at(k int32) *Span { return &t.chunks[k>>chunkBits][k&(chunkSize-1)] }

// newSpan returns a place for a span. It does not look at what was there.
func (t *Table) newSpan() int32 {
	t.spans++
	if n := len(t.free); n > 0 {
		k := t.free[n-1]
		t.free = t.free[:n-1]
		return k
	}
	if int(t.fresh)>>chunkBits == len(t.chunks) {
		t.chunks = append(t.chunks, make([]Span, chunkSize))
	}
	t.fresh++
	return t.fresh - 1
}
