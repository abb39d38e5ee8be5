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
	index  map[ID]int32

	entries   []entry
	freeEntry int32
	chunks    [][]Span
	freeSpan  int32
	spans     int

	slots []int32 // first entry whose earliest open second this is, by second modulo len
	from  int64   // earliest second that has not been given out
	told  int64   // earliest second whose end Expire has not told of; behind from after Relieve
	begun bool

	scratch []Span
}

type entry struct {
	id         ID
	first      int32
	n          int32
	slot       int64 // second under which the entry is filed
	prev, next int32
}

// NewTable makes an empty table. All limits must be positive.
func NewTable(l Limits) *Table {
	return &Table{
		limits:    l,
		index:     make(map[ID]int32),
		freeEntry: none,
		freeSpan:  none,
		slots:     filled(int((l.Wait+l.Quiet)/second) + 8),
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
func (t *Table) Len() (spans, traces int) { return t.spans, len(t.index) }

// Bytes returns about how much memory the table holds.
func (t *Table) Bytes() int64 {
	const spanBytes, entryBytes = int64(unsafe.Sizeof(Span{})), int64(unsafe.Sizeof(entry{}))
	const indexBytes = 32 // a key, a value, and the room that a map leaves
	return int64(len(t.chunks))*chunkSize*spanBytes + int64(cap(t.entries))*entryBytes + int64(len(t.index))*indexBytes
}

// Add keeps a span of trace id. It returns false when the trace holds its most already.
func (t *Table) Add(id ID, s Span) bool {
	sec := s.End / second
	if !t.begun {
		t.begun, t.from = true, sec-int64(len(t.slots))/2
		t.told = t.from
	}
	i, ok := t.index[id]
	if !ok {
		i = t.newEntry(id)
		t.file(i, sec)
	}
	e := &t.entries[i]
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
		if len(t.index) == 0 {
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
	if len(t.index) == 0 {
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
		next := t.entries[i].next
		if t.entries[i].slot == sec {
			t.expire(i, sec, horizon, visit)
		}
		i = next
	}
}

// expire gives out the spans of entry i that end before horizon, if the last of them ended in second sec;
// else it files the entry under the second in which it did.
func (t *Table) expire(i int32, sec, horizon int64, visit func(id ID, spans []Span)) {
	e := &t.entries[i]
	last, rest := -forever, forever
	for k := e.first; k != none; k = t.at(k).next {
		if end := t.at(k).End; end < horizon {
			last = max(last, end)
		} else {
			rest = min(rest, end)
		}
	}
	t.unfile(i)
	if horizon < forever && last/second > sec {
		t.file(i, last/second)
		return
	}
	t.scratch = t.scratch[:0]
	kept, nkept := none, int32(0)
	for k := e.first; k != none; {
		s := t.at(k)
		next := s.next
		if s.End < horizon {
			t.scratch = append(t.scratch, *s)
			t.dropSpan(k)
		} else {
			s.next = kept
			kept = k
			nkept++
		}
		k = next
	}
	id := e.id
	if kept == none {
		t.dropEntry(i)
	} else {
		e.first, e.n = kept, nkept
		t.file(i, rest/second)
	}
	if len(t.scratch) == 0 {
		return
	}
	slices.SortFunc(t.scratch, func(a, b Span) int {
		if x, y := a.Start(), b.Start(); x != y {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	visit(id, t.scratch)
}

func (t *Table) slot(sec int64) int64 {
	n := int64(len(t.slots))
	return (sec%n + n) % n
}

// file puts entry i under second sec, or the nearest one that the slots reach.
func (t *Table) file(i int32, sec int64) {
	sec = min(max(sec, t.from), t.from+int64(len(t.slots))-1)
	e := &t.entries[i]
	head := &t.slots[t.slot(sec)]
	e.slot, e.prev, e.next = sec, none, *head
	if *head != none {
		t.entries[*head].prev = i
	}
	*head = i
}

func (t *Table) unfile(i int32) {
	e := &t.entries[i]
	if e.prev != none {
		t.entries[e.prev].next = e.next
	} else {
		t.slots[t.slot(e.slot)] = e.next
	}
	if e.next != none {
		t.entries[e.next].prev = e.prev
	}
}

func (t *Table) at(k int32) *Span { return &t.chunks[k>>chunkBits][k&(chunkSize-1)] }

func (t *Table) newEntry(id ID) int32 {
	i := t.freeEntry
	if i == none {
		i = int32(len(t.entries))
		t.entries = append(t.entries, entry{})
	} else {
		t.freeEntry = t.entries[i].next
	}
	t.entries[i] = entry{id: id, first: none}
	t.index[id] = i
	return i
}

func (t *Table) dropEntry(i int32) {
	delete(t.index, t.entries[i].id)
	t.entries[i] = entry{next: t.freeEntry}
	t.freeEntry = i
}

func (t *Table) newSpan() int32 {
	t.spans++
	if t.freeSpan == none {
		base := int32(len(t.chunks)) << chunkBits
		chunk := make([]Span, chunkSize)
		for i := range chunk {
			chunk[i].next = base + int32(i) + 1
		}
		chunk[chunkSize-1].next = none
		t.chunks = append(t.chunks, chunk)
		t.freeSpan = base
	}
	k := t.freeSpan
	t.freeSpan = t.at(k).next
	return k
}

func (t *Table) dropSpan(k int32) {
	t.spans--
	t.at(k).next = t.freeSpan
	t.freeSpan = k
}
