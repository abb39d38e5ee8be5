// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// Trouble goes from callees to callers, and through topics both ways.
func TestReaches(t *testing.T) {
	e := New(testSettings(), nil)
	ids := map[string]graph.NodeID{}
	for i, n := range []struct {
		name string
		kind call.NodeKind
	}{
		{"gateway", call.NodeService}, {"orders", call.NodeService}, {"db", call.NodeDatabase}, {"topic", call.NodeMessaging},
		{"fulfilment", call.NodeService}, {"stock", call.NodeService}, {"alone", call.NodeService},
	} {
		ids[n.name] = e.graph.Node(uint64(i+1), n.kind, dawn, func() string { return n.name })
	}
	for _, edge := range [][2]string{
		{"gateway", "orders"}, {"orders", "db"}, {"orders", "topic"}, {"topic", "fulfilment"}, {"fulfilment", "stock"}, {"stock", "fulfilment"},
	} {
		e.graph.Connect(ids[edge[0]], ids[edge[1]], dawn)
	}
	w := e.world(dawn, dawn+minute)
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"gateway", "db", true}, {"db", "gateway", false}, {"db", "orders", false}, {"orders", "gateway", false},
		{"topic", "orders", true}, {"orders", "topic", true}, {"topic", "fulfilment", true}, {"fulfilment", "topic", true},
		{"topic", "db", true}, {"fulfilment", "db", true}, {"gateway", "stock", true}, {"stock", "gateway", false},
		{"gateway", "alone", false}, {"alone", "gateway", false},
	} {
		assert.Equal(t, tt.want, w.Reaches(ids[tt.a], ids[tt.b]), "%s feels %s", tt.a, tt.b)
	}
}

func TestZone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kind  call.NodeKind
		zones []string // of the replicas, which took calls lately
		hurt  []int64
		want  string
	}{
		{"two replicas in one, others elsewhere", call.NodeService, []string{"a", "a", "b"}, []int64{25, 20, 0}, "a"},
		{"so few that it is chance", call.NodeService, []string{"a", "a", "b"}, []int64{5, 4, 0}, ""},
		{"a little elsewhere", call.NodeService, []string{"a", "a", "b"}, []int64{50, 45, 5}, "a"},
		{"too much elsewhere", call.NodeService, []string{"a", "a", "b"}, []int64{50, 35, 15}, ""},
		{"only one replica there", call.NodeService, []string{"a", "b", "b"}, []int64{90, 0, 0}, ""},
		{"only one caller of a database there", call.NodeDatabase, []string{"a", "b", "b"}, []int64{90, 0, 0}, "a"},
		{"none elsewhere", call.NodeService, []string{"a", "a", "a"}, []int64{50, 40, 0}, ""},
		{"elsewhere it is not known", call.NodeService, []string{"a", "a", ""}, []int64{50, 40, 0}, ""},
		{"it is not known", call.NodeService, []string{"", "", "b"}, []int64{50, 40, 0}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := New(testSettings(), nil)
			owner := e.graph.Node(1, call.NodeService, dawn, func() string { return "orders" })
			c := &blame.Candidate{Node: owner, Replicas: map[graph.InstanceID]int64{}}
			if tt.kind != call.NodeService {
				c.Node = e.graph.Node(2, tt.kind, dawn, func() string { return "db" })
			}
			for i, zone := range tt.zones {
				r := service("orders", strconv.Itoa(i), "v1")
				r.Zone = zone
				in := e.graph.Instance(owner, uint64(i+1), dawn, &r)
				e.observeInstance(in, dawn, false)
				c.Replicas[in] = tt.hurt[i]
			}
			assert.Equal(t, tt.want, e.world(dawn, dawn+minute).zone(c))
			assert.Equal(t, len(tt.zones), len(e.world(dawn, dawn+minute).Replicas(owner)))
			assert.Empty(t, e.world(dawn+recentSpan+minute, dawn+recentSpan+2*minute).Replicas(owner), "long ago")
		})
	}
}

func TestBroker(t *testing.T) {
	p := told(t, until(faulty(3, 20, slowDatabase), lapse))
	w := p.world(dawn, lapse)
	assert.Equal(t, "kafka", w.Broker(p.named("kafka/placed")))
	assert.Empty(t, w.Broker(p.named("postgresql/shop")))
	assert.Empty(t, w.Broker(p.named("shop/orders")))
}

func TestSignsOfATopic(t *testing.T) {
	p := told(t, queued(1, 60, true, func(r *record) []span {
		if r.at > lagFrom {
			r.partition = 3
			r.delay(growing(r, lagFrom))
		}
		return nil
	}))
	const from, to = lagFrom, lagFrom + 20*second
	s := cause.Signs{Node: call.NodeMessaging}
	p.queues(&s, p.named("kafka/placed"), from, to)
	assert.InDelta(t, 1, s.Partition, .01)
	assert.InDelta(t, 1./6, s.PartitionNormal, .03)
	assert.Greater(t, s.LagNow, second)
	assert.Less(t, s.LagNormal, 10*ms)
	assert.Zero(t, s.Stuck)

	s = cause.Signs{Node: call.NodeMessaging}
	p.queues(&s, p.named("kafka/placed"), lagFrom-30*second, lagFrom-10*second)
	assert.Zero(t, s.Partition, "no partition stands out")
}

// The partition with most of a reader's failures, where there are some.
func TestSignsOfAStuckPartition(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  func(r *record) bool
		want float64
	}{
		{"one partition", func(r *record) bool { return r.partition == 3 }, 1},
		{"two", func(r *record) bool { return r.partition == 3 || r.partition == 4 }, .5},
		{"all alike", func(*record) bool { return true }, 1. / 6},
		{"hardly any", func(r *record) bool { return r.at < lagFrom+300*ms && r.partition == 3 }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := told(t, queued(1, 60, true, func(r *record) []span {
				if r.at > lagFrom && tt.bad(r) {
					r.taken.Outcome, r.taken.Reason = call.Fail, call.ReasonError
				}
				return nil
			}))
			s := cause.Signs{Node: call.NodeService}
			p.queues(&s, p.named("shop/fulfilment"), lagFrom, lagFrom+30*second)
			assert.InDelta(t, tt.want, s.Stuck, .08)
			s = cause.Signs{Node: call.NodeService}
			p.queues(&s, p.named("shop/orders"), lagFrom, lagFrom+30*second)
			assert.Zero(t, s.Stuck, "it reads nothing")
		})
	}
}

// Repeated calls to a node count with its signs.
func TestSignsOfAttempts(t *testing.T) {
	p := told(t, stormy())
	s := cause.Signs{Node: call.NodeDatabase}
	p.queues(&s, p.named("postgresql/shop"), lapse, lapse+29*second)
	assert.InDelta(t, 2, s.Attempts, .1)
	s = cause.Signs{Node: call.NodeService, Attempts: 3}
	p.queues(&s, p.named("shop/orders"), lapse, lapse+29*second)
	assert.Equal(t, 3.0, s.Attempts, "what is known beside that stands")
}

func TestStarved(t *testing.T) {
	p := told(t, until(faulty(3, 20, slowDatabase), lapse))
	client, server := graph.OpID(0), graph.OpID(0)
	for i := 1; i < len(p.ops); i++ {
		switch o := p.graph.OpAt(graph.OpID(i)); {
		case p.Callee(graph.OpID(i)) == p.named("postgresql/shop"):
			client = graph.OpID(i)
		case o.Role == call.RoleServer && o.Node == p.named("shop/orders"):
			server = graph.OpID(i)
		}
	}
	require.NotZero(t, client)
	require.NotZero(t, server)
	for _, tt := range []struct {
		name   string
		op     graph.OpID
		role   call.Role
		took   int64
		lost   int64 // by the parent itself
		reason call.Reason
		want   bool
	}{
		{"it had less than it takes", client, call.RoleClient, 2 * ms, 0, call.ReasonTimeout, true},
		{"it had more", client, call.RoleClient, 8 * ms, 0, call.ReasonTimeout, false},
		{"it had more, and its parent had lost as much", client, call.RoleClient, 8 * ms, 50 * ms, call.ReasonTimeout, true},
		{"its parent had lost less", client, call.RoleClient, 8 * ms, ms, call.ReasonTimeout, false},
		{"it was slow, whatever its parent lost", client, call.RoleClient, 300 * ms, second, call.ReasonTimeout, false},
		{"it failed for another reason", client, call.RoleClient, 2 * ms, 0, call.ReasonError, false},
		{"it answers", server, call.RoleServer, 2 * ms, 0, call.ReasonTimeout, false},
	} {
		s := trace.NewSpan(trace.Facts{ID: 1, Start: dawn, End: dawn + tt.took, Op: uint32(tt.op), Role: tt.role, Outcome: call.Fail, Reason: tt.reason})
		assert.Equal(t, tt.want, p.Starved(&s, tt.lost), tt.name)
	}
	p.ops[client] = opStats{}
	s := trace.NewSpan(trace.Facts{ID: 1, Start: dawn, End: dawn, Op: uint32(client), Role: call.RoleClient, Outcome: call.Fail, Reason: call.ReasonTimeout})
	assert.False(t, p.Starved(&s, 0), "nobody knows how long it takes")

	for calls, want := range map[int]graph.NodeID{1: 0, 4: 0, 5: p.named("postgresql/shop"), 50: p.named("postgresql/shop")} {
		assert.Equal(t, want, p.Multiplies(server, func(n graph.NodeID) int {
			if n == p.named("postgresql/shop") {
				return calls
			}
			return 1
		}), "%d calls", calls)
	}
	st := &p.ops[server]
	for i := range st.awaits {
		st.awaits[i].calls *= 2
	}
	both := func(graph.NodeID) int { return 5 }
	assert.Zero(t, p.Multiplies(server, both), "five are no more than three times two")
	st.awaits[0].calls /= 2
	assert.Equal(t, st.awaits[0].node, p.Multiplies(server, both), "the one that is called more often than usual")
}

// An operation that asks for far more than usual is to blame, not whom it asks.
func TestFanOut(t *testing.T) {
	p := told(t, habitual(7, 30, func(s *shop, order []span) []span {
		if order[0].Start < lapse {
			return order
		}
		for i := range order {
			if o := order[i]; o.Role == call.RoleClient && o.Peer == database {
				for k := range int64(30) {
					c := o
					c.SpanID, c.Start, c.End = s.id(), o.End+5*k*ms, o.End+(5*k+4)*ms
					order = append(order, c)
				}
				for j := range order {
					if r := order[j].Role; r == call.RoleServer || r == call.RoleClient && order[j].Peer != database {
						order[j].End += 150 * ms
					}
				}
				break
			}
		}
		return order
	}))
	require.NotEmpty(t, p.incidents)
	v := p.incidents[0].Verdict
	assert.Equal(t, []string{"shop/orders", "fan_out", "behaviour_change"}, []string{v.Root, v.Reason, v.Cause}, v.Summary)
}
