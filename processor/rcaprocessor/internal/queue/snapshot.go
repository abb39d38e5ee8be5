// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package queue

import (
	"math"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// PublishBytes is the most that a publish takes in a state.
const PublishBytes = 8 + 10 + 10 + 5 + 1

// Snapshot writes the newest publishes to c, at most limit, the oldest of them first; or reads them into t, which must
// be new. known says that a topic is one.
func (t *Table) Snapshot(c *snapshot.Codec, limit int, known func(graph.NodeID) bool) {
	n := c.Count(min(t.Len(), limit), int(t.most), "publishes")
	first := t.seq - uint64(n)
	last := int64(0)
	for i := 1; i <= n && c.Err() == nil; i++ {
		var p Entry
		if !c.Reading() {
			p = *t.at(first + uint64(i))
		}
		served := p.back&asked != 0
		c.Key(&p.Span)
		end := int64(p.Value) - last
		c.Int(&end)
		end += last
		last = end
		snapshot.Uint(c, &p.Lane, math.MaxUint64)
		snapshot.Uint(c, &p.Node, math.MaxUint32)
		c.Bool(&served)
		if !c.Reading() {
			continue
		}
		if p.Node != 0 && !known(p.Node) || end < 0 || end > snapshot.MaxTime {
			c.Fail("a publish cannot be")
			return
		}
		t.Put(p.Span, uint64(end), p.Node, p.Lane)
		if served {
			t.at(t.seq).Served()
		}
	}
}
