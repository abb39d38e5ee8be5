// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// mergeCalls adds what other has learned of attempts and of what an operation reads.
func (e *Engine) mergeCalls(op graph.OpID, other *opStats) {
	st := &e.ops[op]
	if other.retries != nil {
		e.countRetries(st)
		st.retries.Merge(other.retries, e.tainted)
	}
	if other.reader == nil {
		return
	}
	if st.reader == nil {
		st.reader = new(readerStats)
		e.sideBytes += st.reader.bytes()
	}
	if other.reader.listed && !st.reader.listed {
		e.lagging = append(e.lagging, op)
	}
	e.mergeReader(st.reader, other.reader)
}

func (e *Engine) mergeReader(r, other *readerStats) {
	r.lag.Merge(&other.lag, e.tainted)
	r.gate.Merge(&other.gate)
	r.units, r.late = r.units+other.units, r.late+other.late
	r.allUnits, r.allLag = r.allUnits+other.allUnits, r.allLag+other.allLag
	r.listed = r.listed || other.listed
	for i := range other.lanes {
		from := &other.lanes[i]
		if into := e.readerLane(r, from.lane); into != nil {
			into.counts.Merge(&from.counts, e.tainted)
			into.gate.Merge(&from.gate)
			into.units, into.bad = into.units+from.units, into.bad+from.bad
		}
	}
}

// mergeTopic adds what other has learned of what is published to a topic.
func (e *Engine) mergeTopic(n graph.NodeID, other *topicStats) {
	t := e.topic(n)
	t.all.Merge(&other.all, e.tainted)
	for i := range other.lanes {
		from := &other.lanes[i]
		if into := e.topicLane(t, from.lane); into != nil {
			into.counts.Merge(&from.counts, e.tainted)
		}
	}
}
