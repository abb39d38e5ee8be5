// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/queue"
)

const lagFrom = dawn + 2*minute // when the trouble of these tests begins

// record is a message of the shop, published by one span and taken by another.
type record struct {
	at        int64
	sent      *span
	taken     *span
	partition int
}

// queued is the shop's traffic with six partitions, until half a minute after lagFrom; alter says what becomes of a
// record and returns spans that come on top. Where linked, a consumer's span begins a trace and links to the producer's.
func queued(seed uint64, perSecond float64, linked bool, alter func(*record) []span) []span {
	s := newShop(seed)
	s.run(dawn, lagFrom+30*second, perSecond)
	all := s.sorted()
	sent := map[uint64]*span{}
	for i := range all {
		if all[i].Role == call.RoleProducer {
			sent[all[i].SpanID] = &all[i]
		}
	}
	var extra []span
	for i := range all {
		c := &all[i]
		if c.Role != call.RoleConsumer {
			continue
		}
		p := sent[c.ParentID]
		r := record{at: p.Start, sent: p, taken: c, partition: int(p.SpanID*0x9e3779b97f4a7c15>>32) % 6}
		if linked {
			c.Links = []call.Link{{TraceID: p.TraceID, SpanID: p.SpanID}}
			c.ParentID, c.HasParent = 0, false
			binary.BigEndian.PutUint64(c.TraceID[:], c.SpanID*0x9e3779b97f4a7c15+1)
		}
		if alter != nil {
			extra = append(extra, alter(&r)...)
		}
		p.Partition, c.Partition = strconv.Itoa(r.partition), strconv.Itoa(r.partition)
	}
	s.spans = append(all, extra...)
	return s.sorted()
}

// delay has a record taken later.
func (r *record) delay(by int64) { r.taken.Start, r.taken.End = r.taken.Start+by, r.taken.End+by }

// again is a span like one, with other ids, by milliseconds later.
func again(s *span, serial uint64, by int64) span {
	c := *s
	c.SpanID, c.Start, c.End = 1<<40+serial, c.Start+by, c.End+by
	return c
}

func growing(r *record, from int64) int64 { return min(max(0, r.at-from), 8*second) }

func TestLag(t *testing.T) {
	t.Parallel()
	serial := uint64(0)
	stuck := int64(0)
	tests := []struct {
		name, root, reason string
		alter              func(*record) []span
	}{
		{"all is well", "", "", nil},
		{"a clock is wrong all the time", "", "", func(r *record) []span { r.delay(5 * second); return nil }},
		{"half a second more is no harm", "", "", func(r *record) []span {
			if r.at > lagFrom {
				r.delay(second / 2)
			}
			return nil
		}},
		{"a broker is slow", "kafka/placed", "lag", func(r *record) []span { r.delay(growing(r, lagFrom)); return nil }},
		{"a consumer is slow", "shop/fulfilment", "latency", func(r *record) []span {
			if r.at > lagFrom {
				r.delay(growing(r, lagFrom))
				r.taken.End += 2 * second
			}
			return nil
		}},
		{"one partition gets nearly all", "kafka/placed", "lag", func(r *record) []span {
			if r.at > lagFrom && r.sent.SpanID%8 > 0 {
				r.partition = 3
				r.delay(growing(r, lagFrom))
			}
			return nil
		}},
		{"a producer floods the topic", "shop/orders", "lag", func(r *record) []span {
			var more []span
			for i := int64(1); r.at > lagFrom && i < 12; i++ {
				serial++
				more = append(more, again(r.sent, serial, i*1000))
			}
			r.delay(growing(r, lagFrom))
			return more
		}},
		{"a record cannot be read", "shop/fulfilment", "errors", func(r *record) []span {
			if r.at < lagFrom || r.partition != 3 {
				return nil
			}
			// Nothing of the partition is taken but one record, twice a second.
			if stuck++; stuck%5 != 1 {
				r.taken.Role = call.RoleInternal
				return nil
			}
			r.taken.Outcome, r.taken.Reason = call.Fail, call.ReasonError
			late := again(r.taken, 1<<20+uint64(stuck), 10*ms) // it is read twice, and late
			r.delay(5 * second)
			late.Start, late.End = late.Start+5*second, late.End+5*second
			late.Outcome, late.Reason = call.OK, call.ReasonNone
			return []span{late}
		}},
	}
	for _, tt := range tests {
		for _, linked := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{false: " (child)", true: " (link)"}[linked], func(t *testing.T) {
				stuck = 0
				spans := queued(1, 60, linked, tt.alter)
				p := newProbe(testSettings())
				p.feed(512, spans)
				p.Idle()
				if tt.root == "" {
					assert.Empty(t, p.identities())
					return
				}
				require.NotEmpty(t, p.incidents)
				v := p.incidents[0].Verdict
				assert.Equal(t, tt.root, v.Root, v.Summary)
				assert.Equal(t, tt.reason, v.Reason, v.Summary)
				assert.GreaterOrEqual(t, p.incidents[0].Onset, lagFrom-second)
				q := told(t, shuffled(spans, 5*second, 1))
				require.NotEmpty(t, q.incidents)
				assert.Equal(t, p.identities()[0], q.identities()[0], "in any order")
			})
		}
	}
}

// More comes in, each order publishes as ever, and the consumer cannot keep up.
func TestLagOfTraffic(t *testing.T) {
	spans := queued(1, 20, false, nil)
	s := newShop(2)
	s.serial = 1 << 30
	s.run(lagFrom, lagFrom+30*second, 40)
	s.spans = append(spans, s.spans...)
	all := s.sorted()
	for i := range all {
		if c := &all[i]; c.Role == call.RoleConsumer && c.Start > lagFrom {
			by := min(c.Start-lagFrom, 8*second)
			c.Start, c.End = c.Start+by, c.End+by
		}
	}
	s.spans = all
	p := told(t, s.sorted())
	require.NotEmpty(t, p.incidents)
	assert.Equal(t, "shop/fulfilment", p.incidents[0].Verdict.Root)
	assert.Equal(t, "saturation", p.incidents[0].Verdict.Reason)
}

func TestShareOfPartitions(t *testing.T) {
	p := told(t, queued(1, 60, true, func(r *record) []span {
		if r.at > lagFrom {
			r.partition = 3
		}
		return nil
	}))
	topic := p.named("kafka/placed")
	lane, hot := p.hotPartition(topic, lagFrom, lagFrom+30*second)
	assert.True(t, hot)
	assert.Equal(t, lagVerdict{topic, blame.Lag, lagPartition}, p.lagOwner(topic, 0, nil, lagFrom, lagFrom+30*second))
	assert.Equal(t, lagVerdict{topic, blame.Lag, lagBroker}, p.lagOwner(topic, 0, nil, lagFrom-30*second, lagFrom-10*second))
	assert.Equal(t, queue.LaneOf("3"), lane)
	_, hot = p.hotPartition(topic, lagFrom-30*second, lagFrom-10*second)
	assert.False(t, hot)
	now, normal := p.publishRate(topic, lagFrom, lagFrom+30*second)
	assert.InDelta(t, 60, now, 10)
	assert.InDelta(t, 60, normal, 10)

	p = told(t, queued(1, 60, true, func(r *record) []span { r.partition = int(r.sent.SpanID % 1000); return nil }))
	assert.Positive(t, p.Counts().Lanes)
	assert.Len(t, p.node(p.named("kafka/placed")).topic.lanes, maxLanes)
}

func (e *Engine) named(name string) (found graph.NodeID) {
	e.graph.Named(name, func(n graph.NodeID) { found = n })
	return found
}

// A callee that fails is asked again, and then a third time as often as usual.
func TestAttempts(t *testing.T) {
	s := newShop(1)
	for at := dawn; at < dawn+3*minute; at += second / 4 {
		id, start := s.id(), at
		failures, answer := 0, call.OK
		if at >= lagFrom {
			failures, answer = 2, call.Fail // a symptom, so that it does not become normal
		} else if at/(second/4)%10 == 0 {
			failures = 1
		}
		root := s.add(gateway, id, 0, call.RoleServer, "/order", call.Peer{}, at, 100*ms, answer, because(answer, call.ReasonNone))
		for k := range failures + 1 {
			outcome := call.OK
			if k < failures {
				outcome = call.Fail
			}
			s.add(gateway, id, root, call.RoleClient, "INSERT", database, start, 4*ms, outcome, because(outcome, call.ReasonNone))
			start += 5 * ms
		}
		s.add(gateway, id, root, call.RoleClient, "SELECT", database, start, 4*ms, call.OK, call.ReasonNone)
	}
	p := told(t, s.sorted())
	edge := graph.Edge{From: p.named("shop/gateway"), To: p.named("postgresql/shop")}
	now, normal := p.amplification(edge, lagFrom+20*second, lagFrom+50*second)
	assert.InDelta(t, 2, now, .01, "four attempts for two calls")
	assert.InDelta(t, 2.1/2, normal, .02)
	none, _ := p.amplification(graph.Edge{From: edge.To, To: edge.From}, lagFrom, lagFrom+minute)
	assert.Equal(t, 1.0, none)

	for i := 1; i < len(p.ops); i++ {
		if o := p.graph.OpAt(graph.OpID(i)); o.Role == call.RoleServer {
			now, normal := p.fanOut(graph.OpID(i), edge.To, lagFrom+20*second, lagFrom+50*second)
			assert.InDelta(t, 4, now, .01)
			assert.InDelta(t, 2.1, normal, .1, "until the symptom is seen, it counts")
			now, _ = p.fanOut(graph.OpID(i), edge.From, lagFrom, lagFrom+minute)
			assert.Zero(t, now)
		}
	}
}
