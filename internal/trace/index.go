// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// hash mixes both halves: not every trace id is random in each of its bytes. Its low 32 bits are good.
func (id *ID) hash() uint64 {
	a, b := binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return (hi ^ lo) * 0x9e3779b97f4a7c15 >> 32
}

// traces finds the entry of a trace: chains of entries whose ids hash alike. A Go map of the same takes twice the
// memory, and the time of all else that is done to keep a span.
type traces struct {
	entries []entry
	heads   []int32 // as many as a power of two
	free    int32   // first of the entries that are not in use, chained as well
	n       int
}

type entry struct {
	id         ID
	first      int32 // span
	n          int32
	slot       int64 // second under which the entry is filed
	prev, next int32
	chain      int32
}

func (t *traces) head(id *ID) *int32 { return &t.heads[id.hash()&uint64(len(t.heads)-1)] }

// find returns the entry of a trace, none when there is none.
func (t *traces) find(id *ID) int32 {
	if t.n == 0 {
		return none
	}
	i := *t.head(id)
	for i != none && t.entries[i].id != *id {
		i = t.entries[i].chain
	}
	return i
}

// add makes an entry for a trace that has none.
func (t *traces) add(id ID) int32 {
	if t.n == len(t.heads) {
		t.grow()
	}
	i := t.free
	if t.n == len(t.entries) {
		i = int32(len(t.entries))
		t.entries = append(t.entries, entry{})
	} else {
		t.free = t.entries[i].chain
	}
	t.n++
	head := t.head(&id)
	t.entries[i] = entry{id: id, first: none, chain: *head}
	*head = i
	return i
}

// drop frees an entry.
func (t *traces) drop(i int32) {
	at := t.head(&t.entries[i].id)
	for *at != i {
		at = &t.entries[*at].chain
	}
	*at = t.entries[i].chain
	t.entries[i] = entry{chain: t.free}
	t.free = i
	t.n--
}

// grow doubles the number of chains; all entries are in use.
func (t *traces) grow() {
	t.heads = filled(max(2*len(t.heads), 64))
	for i := range t.entries {
		e := &t.entries[i]
		head := t.head(&e.id)
		e.chain, *head = *head, int32(i)
	}
}

func (t *traces) bytes() int64 {
	return int64(cap(t.entries))*int64(unsafe.Sizeof(entry{})) + 4*int64(cap(t.heads))
}
