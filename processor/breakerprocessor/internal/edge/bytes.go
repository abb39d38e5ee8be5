// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import "unsafe"

const (
	entryBytes = 24  // of a map from a key to a pointer, with its share of free room
	nodeBytes  = 120 // with its name
	fixedBytes = int64(unsafe.Sizeof(Table{})) + seenSlots*int64(unsafe.Sizeof(seen{})) + waitSlots*int64(unsafe.Sizeof(waiting{}))
)

// Bytes returns about how much memory the table holds. It walks the edges.
func (t *Table) Bytes() int64 {
	buckets := int64(t.set.Buckets + 1)
	each := int64(unsafe.Sizeof(Edge{})) + buckets*int64(unsafe.Sizeof(pulse{})) + 2*entryBytes
	hot := int64(unsafe.Sizeof(Hot{})) + buckets*int64(unsafe.Sizeof(trouble{})+unsafe.Sizeof(Effects{}))
	n := fixedBytes + int64(len(t.order))*each + int64(len(t.nodes))*(nodeBytes+entryBytes) +
		buckets*int64(unsafe.Sizeof(entries{})) + int64(len(t.edges)-len(t.order))*entryBytes
	for _, e := range t.order {
		if h := e.Hot; h != nil {
			n += hot + int64(h.callers.Bytes()+h.callees.Bytes()) - 2*int64(unsafe.Sizeof(h.callers))
		}
	}
	for _, s := range t.services {
		if s != nil {
			n += int64(unsafe.Sizeof(*s)) + buckets*int64(unsafe.Sizeof(count(0)))
		}
	}
	return n
}
