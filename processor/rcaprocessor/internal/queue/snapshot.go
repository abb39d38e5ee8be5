// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"math"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// Len returns the number of publishes held.
func (t *Table) Len() int { return int(min(t.seq, t.size)) }

// Snapshot writes the newest publishes to c, at most limit, the oldest of them first; or reads them into t, which must
// be new. Records that wait are no part of it. known says that a topic is one.
func (t *Table) Snapshot(c *snapshot.Codec, limit int, known func(graph.NodeID) bool) {
	n := c.Count(min(t.Len(), limit), int(t.most), "publishes")
	first := t.seq - uint64(n)
	last := int64(0)
	for i := 1; i <= n && c.Err() == nil; i++ {
		var p publish
		if !c.Reading() {
			p = *t.at(first + uint64(i))
		}
		found := p.back&asked != 0
		c.Key(&p.span)
		p.end -= last
		c.Int(&p.end)
		p.end += last
		last = p.end
		snapshot.Uint(c, &p.node, math.MaxUint32)
		c.Bool(&found)
		if !c.Reading() {
			continue
		}
		if p.node != 0 && !known(p.node) || p.end < 0 || p.end > snapshot.MaxTime {
			c.Fail("a publish cannot be")
			return
		}
		t.Publish(p.span, p.end, p.node)
		if found {
			t.at(t.seq).back |= asked
		}
	}
}
