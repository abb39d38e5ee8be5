// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/window"
)

const (
	// backlogFloor is how long messages may wait, in milliseconds, before it is worth a word.
	backlogFloor = 5000
	// backlogFactor is how many times the usual wait is a backlog, backlogOver how many times it is none any more.
	backlogFactor, backlogOver = 5.0, 2.0
	// backlogEnough messages must have come in a window.
	backlogEnough = 5
)

// waits are how long messages waited for a consumer.
type waits struct {
	messages uint32
	ms       uint64
}

// Add adds other to w.
func (w *waits) Add(other *waits) {
	w.messages = window.Plus(w.messages, other.messages)
	w.ms += other.ms
}

func (w *waits) mean() float64 { return float64(w.ms) / math.Max(float64(w.messages), 1) }

// queue is what is known of the messages that one producer sends to one destination. A consumer who falls behind is no
// failure of the producer's call: it opens nothing.
type queue struct {
	edge    *Edge
	recent  window.Ring[waits, *waits]
	usual   waits
	folded  int64
	backlog bool
}

// Consumed takes a consumer's span: its message was sent by a call that was seen, if either its parent or its links
// say so.
func (t *Table) Consumed(c *call.Call, at int64) {
	if t.waited(c.TraceID, c.ParentID, c.Start, at) {
		return
	}
	for _, l := range c.Links {
		t.waited(l.TraceID, l.SpanID, c.Start, at)
	}
}

func (q *queue) move(d int64) {
	if q != nil {
		q.recent.Reset()
		q.folded += d
	}
}

func (t *Table) waited(trace [16]byte, span uint64, until, at int64) bool {
	sent := t.recent.sent(trace, span)
	if sent == nil || sent.edge == nil || sent.edge.place < 0 {
		return false
	}
	q := t.queues[sent.edge.handle]
	if q == nil || q.edge != sent.edge {
		if q == nil && len(t.queues) >= t.set.MaxEdges {
			return true
		}
		q = &queue{edge: sent.edge, recent: window.NewRing[waits](t.set.Buckets+1, t.set.Bucket), folded: t.head}
		t.queues[sent.edge.handle] = q
	}
	if b := q.recent.At(min(at, t.head)); b != nil {
		b.Add(&waits{1, uint64(max(until-sent.end, 0) / 1e6)})
	}
	return true
}

// lookForBacklog finds that the messages of an edge wait much longer than usual.
func (t *Table) lookForBacklog(e *Edge, now int64, tell func(Event)) {
	q := t.queues[e.handle]
	if q == nil || q.edge != e {
		return
	}
	w := q.recent.Sum(now-t.span, now)
	usual := math.Max(q.usual.mean(), backlogFloor/backlogFactor)
	if w.messages >= backlogEnough && q.usual.messages >= usualEnough {
		if backlog := w.mean() >= backlogFactor*usual || q.backlog && w.mean() >= backlogOver*usual; backlog != q.backlog {
			q.backlog = backlog
			tell(Event{Kind: Backlog, Edge: e, At: now, Wait: int64(w.mean() * 1e6)})
		}
	}
	if now-q.folded >= t.span && !q.backlog {
		q.folded = now
		if q.usual.messages > math.MaxUint32/2 {
			q.usual.messages, q.usual.ms = q.usual.messages/2, q.usual.ms/2
		}
		q.usual.Add(&w)
	}
}

// Backlog says that messages sent on the edge wait much longer than usual for who consumes them.
func (t *Table) Backlog(e *Edge) bool {
	q := t.queues[e.handle]
	return q != nil && q.edge == e && q.backlog
}
