// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// queues fills in what is known of the records that a topic holds, or that a consumer reads, and of repeated calls.
func (e *Engine) queues(s *cause.Signs, n graph.NodeID, from, to int64) {
	var attempts, usual float64
	e.graph.Edges(func(edge graph.Edge) {
		if e.graph.Resolve(edge.To) == n {
			now, normal := e.amplification(graph.Edge{From: edge.From, To: n}, from, to)
			attempts, usual = max(attempts, now), max(usual, normal)
		}
	})
	s.Attempts = max(s.Attempts, quotient(attempts, usual))
	if s.Node == call.NodeMessaging {
		e.topicSigns(s, n, from, to)
		return
	}
	for i := 1; i < len(e.ops); i++ {
		if r := e.ops[i].reader; r != nil && e.graph.OpAt(graph.OpID(i)).Node == n {
			s.Stuck = max(s.Stuck, r.worstLane(from, to))
		}
	}
}

// topicSigns fills in the share of the partition that gets most, and how late records are read.
func (e *Engine) topicSigns(s *cause.Signs, topic graph.NodeID, from, to int64) {
	for i := 1; i < len(e.ops); i++ {
		r, o := e.ops[i].reader, e.graph.OpAt(graph.OpID(i))
		if r == nil || o.Peer != topic {
			continue
		}
		c := r.lag.Window(from, to)
		if now := c.Typical(); now > s.LagNow {
			s.LagNow, s.LagNormal = now, normal(&r.lag)
		}
	}
	lane, hot := e.hotPartition(topic, from, to)
	if !hot {
		return
	}
	var now, before baseline.Tally
	t := e.topic(topic)
	for i := range t.lanes {
		l := &t.lanes[i]
		is, _ := l.counts.Window(from, to)
		was, _ := l.counts.Normal()
		now[0], before[0] = now[0]+is[0], before[0]+was[0]
		if l.lane == lane {
			now[1], before[1] = is[0], was[0]
		}
	}
	s.Partition, s.PartitionNormal = ratio(now[1], now[0]), ratio(before[1], before[0])
}

// worstLane returns the share of a reader's failures that lie on the partition with most of them; 0 when there are few.
func (r *readerStats) worstLane(from, to int64) float64 {
	var most, all int64
	for i := range r.lanes {
		n, _ := r.lanes[i].counts.Window(from, to)
		all += n[1]
		most = max(most, n[1])
	}
	if all < minBad || len(r.lanes) < 2 {
		return 0
	}
	return ratio(most, all)
}
