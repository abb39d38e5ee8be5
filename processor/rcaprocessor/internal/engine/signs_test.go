// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

func TestCauses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(*order)
		want  cause.Kind
	}{
		{"a slow database", slowDatabase, cause.DBSlow},
		{"a failing database", func(o *order) { o.databaseOutcome = call.Fail }, cause.CodeError},
		{"a database that nobody reaches", func(o *order) { o.databaseOutcome, o.databaseReason = call.Fail, call.ReasonUnreachable }, cause.Unreachable},
		{"a database that throttles", func(o *order) { o.databaseOutcome = call.Throttled }, cause.Throttled},
		{"a failing service", func(o *order) { o.ordersOutcome = call.Fail }, cause.CodeError},
		{"a slow service", func(o *order) { o.ordersOwn += 300 * ms }, cause.CodeSlow},
		{"a service that is gone", func(o *order) { o.unreachable = true }, cause.Unreachable},
		{"a slow link", func(o *order) { o.link += 300 * ms }, cause.Network},
		{"one bad replica", func(o *order) {
			if o.replica == 1 {
				o.ordersOutcome = call.Fail
			}
		}, cause.BadInstance},
		{"one bad version", func(o *order) {
			if o.replica == 2 {
				o.ordersOutcome = call.Fail
			}
		}, cause.BadVersion},
		{"a slow consumer", func(o *order) { o.fulfilment += 900 * ms }, cause.ConsumerSlow},
		{"a process that stops now and then", func(o *order) {
			if o.at%(5*second) < second {
				o.ordersOwn += second - o.at%(5*second)
			}
		}, cause.Pause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := told(t, faulty(3, 20, tt.fault))
			require.NotEmpty(t, p.incidents)
			v := &p.incidents[len(p.incidents)-1].Verdict
			assert.Equal(t, tt.want.String(), v.Cause, "of %s, %s", v.Root, v.Reason)
		})
	}
}

// signsOf plays a fault until it ends and returns the signs of a node in its time.
func signsOf(t *testing.T, name string, fault func(*order)) cause.Signs {
	t.Helper()
	spans := faulty(3, 20, fault)
	p := told(t, spans[:slices.IndexFunc(spans, func(s span) bool { return s.End > dawn+2*minute+30*second })])
	var node graph.NodeID
	p.graph.Named(name, func(n graph.NodeID) { node = n })
	const from, to = dawn + 2*minute, dawn + 2*minute + 30*second
	return p.signs(&blame.Candidate{Node: node}, p.ledger.Window(from, to), from, to)
}

func TestSignsOfADatabase(t *testing.T) {
	s := signsOf(t, "postgresql/shop", slowDatabase)
	assert.Equal(t, call.NodeDatabase, s.Node)
	assert.InDelta(t, 1, s.Latency, 0.05)
	assert.InDelta(t, 304e6, s.OwnNow, 20e6)
	assert.InDelta(t, 4e6, s.OwnNormal, 1e6)
	assert.Greater(t, s.OwnZ, deviates)
	assert.InDelta(t, 1, s.OwnSlow, 0.05)
	assert.Equal(t, []int{1, 1, 1, 1}, []int{s.Ops, s.OpsOff, s.EdgesIn, s.EdgesInOff})
	assert.InDelta(t, 1, s.PerRun, 0.1)
	assert.InDelta(t, 1, s.Rate, 0.3)
	assert.Zero(t, s.InFlight, "nobody knows how many replicas it has")
}

func TestSignsOfAService(t *testing.T) {
	s := signsOf(t, "shop/orders", func(o *order) { o.link += 300 * ms })
	assert.Equal(t, call.NodeService, s.Node)
	assert.Less(t, s.OwnZ, deviates)
	assert.Greater(t, s.GapZ, deviates)
	assert.InDelta(t, 300e6, s.GapNow, 20e6)
	assert.InDelta(t, 1, s.GapSlow, 0.05)
	assert.Less(t, s.GapSpread, 0.3)
	assert.Equal(t, []int{1, 1}, []int{s.EdgesIn, s.EdgesInOff})
	assert.Equal(t, 0, s.EdgesOutOff)
	assert.Positive(t, s.EdgesOut)
	assert.InDelta(t, 20./3*0.006, s.InFlight, 0.02, "a third of 20 requests of 6 ms a second")
	assert.InDelta(t, 1, s.Fan, 0.1)
	assert.InDelta(t, 1, s.Attempts, 0.1)
	assert.InDelta(t, 1, s.Publish, 0.3)
	assert.False(t, s.NewVersion, "all are of the first minute")
}

func TestSignsOfBunches(t *testing.T) {
	even := signsOf(t, "shop/orders", func(o *order) {
		if o.database%4 == 0 {
			o.ordersOwn += 400 * ms
		}
	})
	bunched := signsOf(t, "shop/orders", func(o *order) {
		if o.at%(4*second) < second {
			o.ordersOwn += 400 * ms
		}
	})
	assert.InDelta(t, 1, even.Burst, 0.4)
	assert.Greater(t, bunched.Burst, 5.0)
	assert.Greater(t, bunched.Calm, 0.3)
	assert.Less(t, even.Calm, 0.1)
}

func TestANewVersionIsOneBesideAnOlder(t *testing.T) {
	const onset = dawn + 20*minute
	for _, c := range []struct {
		name  string
		first int64
		want  bool
	}{
		{"long before", onset - 11*minute, false},
		{"a little before", onset - 9*minute, true},
		{"just after", onset + 50*second, true},
		{"later", onset + 70*second, false},
		{"with the first", dawn + 30*second, false},
	} {
		e := New(testSettings(), nil)
		old, next := service("orders", "a", "v1"), service("orders", "b", "v2")
		n := e.graph.Node(old.Key(), call.NodeService, dawn, old.Node)
		e.graph.Instance(n, 1, dawn, &old)
		e.graph.Instance(n, 2, c.first, &next)
		assert.Equal(t, c.want, e.newVersion(n, onset), c.name)
	}
}
