// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// storm is a database that gets slow at lapse: each statement is tried twice, and records of orders are read later and
// later.
func storm(s *shop, order []span) []span {
	at := order[0].Start
	if at < lapse {
		return order
	}
	var more []span
	for i := range order {
		switch o := &order[i]; o.Role {
		case call.RoleConsumer:
			o.Start, o.End = o.Start+growing(&record{at: at}, lapse), o.End+growing(&record{at: at}, lapse)
		case call.RoleClient:
			if o.Peer == database {
				first := *o
				first.SpanID, first.End = s.id(), o.Start+150*ms
				first.Outcome, first.Reason = call.Fail, call.ReasonTimeout
				o.Start = first.End + ms
				more = append(more, first)
			}
		}
	}
	return append(order, more...)
}

func stormy() []span {
	s := newShop(6)
	s.alter = func(o *order) {
		if o.at >= lapse {
			o.database += 400 * ms
		}
	}
	var all []span
	for at := dawn + 30*second; at < lapse+30*second; at += second / 20 {
		s.request(at)
		order := s.spans
		s.spans = nil
		all = append(all, storm(s, order)...)
	}
	s.spans = all
	return s.sorted()
}

// Everything that is said of a slow database whose callers try again, and whose readers fall behind.
func TestVerdictGolden(t *testing.T) {
	p := newProbe(testSettings())
	p.feed(512, stormy())
	p.Idle()
	got := p.of("postgresql/shop")
	require.NotEmpty(t, got)
	var b strings.Builder
	for _, in := range []incident.Incident{got[0], {Verdict: verdictOf(p.Engine, got[0].Onset, p.now)}} {
		v := &in.Verdict
		fmt.Fprintf(&b, "%s\ncause: %s, trigger: %q, hurt: %d\nimpacted: %s\nentries: %s\npropagation: %s\namplifiers: %s\n", v.Summary, v.Cause,
			v.Trigger, v.Hurt, strings.Join(v.Impacted, ", "), strings.Join(v.Entries, ", "), strings.Join(v.Propagation, ", "), strings.Join(v.Amplifiers, ", "))
		fmt.Fprintf(&b, "- %s\n\n", strings.Join(v.Evidence, "\n- "))
	}
	file := filepath.Join("testdata", "verdict.txt")
	if *updateExplain {
		require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test -run TestVerdictGolden -update-explain writes it")
	assert.Equal(t, string(want), b.String())
}

func TestTrigger(t *testing.T) {
	e := New(testSettings(), nil)
	old, next, later := service("orders", "a", "v1"), service("orders", "b", "v2"), service("orders", "c", "v3")
	n := e.graph.Node(old.Key(), call.NodeService, dawn, old.Node)
	e.graph.Instance(n, 1, dawn, &old)
	e.graph.Instance(n, 2, lapse-5*second, &next)
	again := service("orders", "d", "v2")
	e.graph.Instance(n, 3, lapse+50*second, &again)
	e.graph.Instance(n, 4, lapse+61*second, &later)
	w := &world{Engine: e, from: lapse, to: lapse + minute}
	for _, tt := range []struct {
		name, cause string
		signs       cause.Signs
		want        string
	}{
		{"a deployment", cause.BadVersion.String(), cause.Signs{NewVersion: true, Entry: 3},
			"the deployment of shop/orders version v2, first seen at " + clockTime(lapse-5*second)},
		{"traffic", cause.Overload.String(), cause.Signs{Entry: 2.54}, "traffic: requests come 2.5 times as often as usual"},
		{"hardly more traffic", cause.Overload.String(), cause.Signs{Entry: 1.39}, ""},
		{"the past", cause.Metastable.String(), cause.Signs{NewVersion: true, Entry: 3}, "what is over by now: retries keep it up"},
		{"nothing known", cause.DBSlow.String(), cause.Signs{}, ""},
	} {
		v := &incident.Verdict{Root: "shop/orders", Cause: tt.cause}
		assert.Equal(t, tt.want, e.trigger(v, &blame.Candidate{Node: n}, &tt.signs, w), tt.name)
	}
}

func TestLateTopics(t *testing.T) {
	p := told(t, until(stormy(), lapse+29*second))
	w := p.world(lapse, lapse+25*second)
	late := p.lateTopics(&blame.Candidate{Node: p.named("postgresql/shop")}, w)
	require.Len(t, late, 1)
	assert.Equal(t, "kafka/placed", late[0].name)
	assert.Greater(t, late[0].now, second)
	assert.Less(t, late[0].normal, 10*ms)
	of := func(node string) *blame.Candidate { return &blame.Candidate{Nodes: []graph.NodeID{p.named(node)}} }
	assert.Len(t, p.lateTopics(of("postgresql/shop"), w), 1, "of a place too")
	assert.Len(t, p.lateTopics(of("kafka/placed"), w), 1, "itself")
	assert.Empty(t, p.lateTopics(of("shop/gateway"), w), "the topic asks nothing of it")
	assert.Empty(t, p.lateTopics(of("postgresql/shop"), p.world(lapse-30*second, lapse-10*second)), "before")
}

func TestPropagation(t *testing.T) {
	v := &incident.Verdict{Root: "db", Path: []string{"gateway", "orders", "db"}, Impacted: []string{"billing", "gateway", "placed"}}
	assert.Equal(t, []string{"orders", "gateway", "placed", "billing"}, propagation(v, []lateTopic{{name: "placed"}}))
	v.Root, v.Members = "node-1", []string{"db", "orders"}
	assert.Equal(t, []string{"gateway", "billing", "placed"}, propagation(v, nil), "members passed nothing on")
	assert.Empty(t, propagation(&incident.Verdict{Root: "db", Path: []string{"db"}}, nil))
}

func TestAmplifiers(t *testing.T) {
	p := told(t, stormy())
	all := &incident.Verdict{Root: "postgresql/shop", Impacted: []string{"shop/gateway", "shop/orders"}}
	w := p.world(lapse, lapse+29*second)
	got := p.amplifiers(all, w)
	require.Len(t, got, 1, "the gateway asks once")
	assert.Equal(t, "shop/orders -> postgresql/shop", got[0].name)
	assert.InDelta(t, 2, got[0].now, .1)
	assert.InDelta(t, 1, got[0].normal, .01)
	assert.Empty(t, p.amplifiers(&incident.Verdict{Root: "postgresql/shop", Impacted: []string{"shop/gateway"}}, w), "orders are no part of it")
	assert.Empty(t, p.amplifiers(&incident.Verdict{Root: "shop/gateway", Impacted: []string{"shop/orders"}}, w), "nor is the database")
	assert.Empty(t, p.amplifiers(all, p.world(lapse-40*second, lapse-20*second)), "nobody tried again")
}
