// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
)

var kafka = call.Peer{Kind: call.NodeMessaging, System: "kafka", Name: "orders"}

// send makes a message, and the span of who takes it after so long.
func (w *world) send(wait int64, link bool) (sent, taken call.Call) {
	sent = w.client(kafka, call.OK)
	sent.Role = call.RoleProducer
	w.spans++
	taken = call.Call{TraceID: [16]byte{1}, SpanID: w.spans, Start: w.now + wait, End: w.now + wait + second/100, Role: call.RoleConsumer}
	if link {
		taken.TraceID, taken.Links = [16]byte{2}, []call.Link{{TraceID: [16]byte{9}, SpanID: 7}, {TraceID: sent.TraceID, SpanID: sent.SpanID}}
	} else {
		taken.ParentID = sent.SpanID
	}
	return sent, taken
}

// flow has messages wait so long for their consumer.
func (w *world) flow(long, wait int64, link bool, queue []call.Call) []call.Call {
	w.run(long, func(i int) {
		sent, taken := w.send(wait, link)
		w.record("shop", sent)
		for queue = append(queue, taken); len(queue) > 0 && queue[0].End <= w.now; queue = queue[1:] {
			_, r := w.record("billing", queue[0])
			if r != NotACall {
				panic(r)
			}
		}
	})
	return queue
}

// H28: a consumer falls behind. It is said, nothing opens, and it is said when that is over.
func TestBacklog(t *testing.T) {
	for _, link := range []bool{false, true} {
		w := warm(testSettings())
		q := w.flow(60*second, second/10, link, nil)
		assert.Empty(t, w.events)
		q = w.flow(60*second, 20*second, link, q)
		require.Equal(t, []string{"shop->kafka/orders backlog 20"}, w.events)
		assert.True(t, w.Backlog(w.order[0]))
		q = w.flow(60*second, second/10, link, q)
		require.Len(t, w.events, 2, "%v", link)
		assert.Equal(t, "shop->kafka/orders backlog 1", w.events[1])
		assert.False(t, w.Backlog(w.order[0]))
		assert.Zero(t, w.total(w.order[0]).Bad)
		_ = q
	}
}

func TestNoBacklog(t *testing.T) {
	for name, tt := range map[string]struct{ usual, wait int64 }{
		"below the floor":   {second / 100, 4 * second},
		"it is always long": {10 * second, 20 * second},
	} {
		w := warm(testSettings())
		q := w.flow(90*second, tt.usual, false, nil)
		w.flow(60*second, tt.wait, false, q)
		assert.Empty(t, w.events, name)
	}
}

// A backlog does not become usual, however long it lasts; and it has a margin.
func TestBacklogLasts(t *testing.T) {
	w := warm(testSettings())
	q := w.flow(60*second, second, false, nil)
	q = w.flow(300*second, 20*second, false, q)
	q = w.flow(100*second, 4*second, false, q)
	assert.Len(t, w.events, 1)
	w.flow(60*second, second, false, q)
	assert.Len(t, w.events, 2)
}

// Whose message it was is not known any more, or the edge is gone: nothing happens.
func TestConsumedFromNowhere(t *testing.T) {
	w := warm(testSettings())
	sent, taken := w.send(0, false)
	w.record("billing", taken)
	assert.Empty(t, w.queues)
	w.record("shop", sent)
	w.spans++
	taken.SpanID = w.spans
	w.record("billing", taken)
	assert.Len(t, w.queues, 1)
	w.at(w.now + 700*second)
	assert.Empty(t, w.names())
	assert.Empty(t, w.queues)
	w.spans++
	taken.SpanID = w.spans
	w.record("billing", taken)
	assert.Empty(t, w.queues)
}

// The clock was wrong by an hour: what waits is measured again at once.
func TestQueueMoves(t *testing.T) {
	w := newWorld(testSettings())
	w.at(3600 * second)
	w.flow(60*second, second/10, false, nil)
	w.move(60 * second)
	q := w.flow(30*second, second/10, false, nil)
	assert.Empty(t, w.events)
	q = w.flow(60*second, 20*second, false, q)
	assert.Len(t, w.events, 1)
	w.flow(60*second, second/10, false, q)
	assert.Len(t, w.events, 2)
}
