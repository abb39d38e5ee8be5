// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import "encoding/binary"

const (
	// seenSlots and waitSlots are how many spans are remembered, at most; powers of two. A newer span takes
	// the slot of an older one: at high rates many pairs and late duplicates are missed. Of pairs a few an edge are
	// enough; a duplicate that is missed counts twice whatever its outcome, and shifts no ratio.
	seenSlots = 1 << 14
	waitSlots = 1 << 13
)

// recent remembers the last spans by id: to know one that comes twice, and to bring the two sides of a call
// together, whichever comes first.
type recent struct {
	seen []seen
	wait []waiting
}

// seen is a span that was counted; edge is nil for the callee's side.
type seen struct {
	id      uint64
	edge    *Edge
	address uint64 // the key of the address that was called, 0 when it has a better name
	head    int64  // event time had come so far
	end     int64  // of the call
	named   bool   // it is known which of the callee's instances answered
	bad     bool
}

// waiting is who answered a call whose own span has not been seen yet.
type waiting struct {
	id       uint64
	service  *Service
	instance *Instance
}

func newRecent() recent {
	return recent{seen: make([]seen, seenSlots), wait: make([]waiting, waitSlots)}
}

// client notes a caller's span on its edge, and returns who answered it, if that is known.
func (r *recent) client(trace [16]byte, span uint64, e *Edge, address uint64) (slot *seen, server *waiting, dup bool) {
	id := hash(trace, span)
	slot = &r.seen[id%seenSlots]
	if slot.id == id {
		return slot, nil, true
	}
	*slot = seen{id: id, edge: e, address: address}
	if w := &r.wait[id%waitSlots]; w.id == id {
		w.id = 0
		return slot, w, false
	}
	return slot, nil, false
}

// sent finds a caller's span, nil: not seen lately.
func (r *recent) sent(trace [16]byte, span uint64) *seen {
	id := hash(trace, span)
	if s := &r.seen[id%seenSlots]; s.id == id {
		return s
	}
	return nil
}

// server notes a callee's span, and returns the caller's if that was seen.
func (r *recent) server(trace [16]byte, span, parent uint64, by waiting) (client *seen, dup bool) {
	// Some tracers give both sides of a call the same span id.
	id := ^hash(trace, span)
	s := &r.seen[id%seenSlots]
	if s.id == id {
		return nil, true
	}
	*s = seen{id: id}
	if parent == 0 {
		return nil, false
	}
	up := hash(trace, parent)
	if c := &r.seen[up%seenSlots]; c.id == up && c.edge != nil {
		return c, false
	}
	by.id = up
	r.wait[up%waitSlots] = by
	return nil, false
}

func hash(trace [16]byte, span uint64) uint64 {
	h := binary.LittleEndian.Uint64(trace[:8]) ^ span*0x9e3779b97f4a7c15
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	h ^= binary.LittleEndian.Uint64(trace[8:]) * 0x94d049bb133111eb
	h = (h ^ h>>32) * 0x9e3779b97f4a7c15
	// Neither it nor its complement is 0, which is an empty slot.
	return (h^h>>29)&^2 | 1
}
