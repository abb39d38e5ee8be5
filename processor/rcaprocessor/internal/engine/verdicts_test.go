// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fault    func(*order)
		root     string
		kind     string
		reason   string
		instance string
		version  string
		impacted []string
	}{
		{
			name: "a slow database", fault: slowDatabase,
			root: "postgresql/shop", kind: "database", reason: "latency", impacted: []string{"shop/gateway", "shop/orders"},
		},
		{
			name: "a failing database", fault: func(o *order) { o.databaseOutcome = call.Fail },
			root: "postgresql/shop", kind: "database", reason: "errors", impacted: []string{"shop/gateway", "shop/orders"},
		},
		{
			name:  "a database that nobody reaches",
			fault: func(o *order) { o.databaseOutcome, o.databaseReason = call.Fail, call.ReasonUnreachable },
			root:  "postgresql/shop", kind: "database", reason: "unavailable", impacted: []string{"shop/gateway", "shop/orders"},
		},
		{
			name: "a failing service", fault: func(o *order) { o.ordersOutcome = call.Fail },
			root: "shop/orders", kind: "service", reason: "errors", impacted: []string{"shop/gateway"},
		},
		{
			name: "a slow service", fault: func(o *order) { o.ordersOwn += 300 * ms },
			root: "shop/orders", kind: "service", reason: "latency", impacted: []string{"shop/gateway"},
		},
		{
			name: "the entry itself", fault: func(o *order) { o.gatewayOutcome = call.Fail },
			root: "shop/gateway", kind: "service", reason: "errors",
		},
		{
			name: "a service that is gone, known by its address", fault: func(o *order) { o.unreachable = true },
			root: "shop/orders", kind: "service", reason: "unavailable", impacted: []string{"shop/gateway"},
		},
		{
			name: "a slow link", fault: func(o *order) { o.link += 300 * ms },
			root: "shop/orders", kind: "service", reason: "latency", impacted: []string{"shop/gateway"},
		},
		{
			name: "one bad instance", fault: func(o *order) {
				if o.replica == 1 {
					o.ordersOutcome = call.Fail
				}
			},
			root: "shop/orders", kind: "service", reason: "errors", instance: "orders-1", impacted: []string{"shop/gateway"},
		},
		{
			name: "one slow instance", fault: func(o *order) {
				if o.replica == 0 {
					o.ordersOwn += 300 * ms
				}
			},
			root: "shop/orders", kind: "service", reason: "latency", instance: "orders-0", impacted: []string{"shop/gateway"},
		},
		{
			name: "a bad version", fault: func(o *order) {
				if o.replica == 2 && o.at/ms%3 == 0 {
					o.ordersOutcome = call.Fail
				}
			},
			root: "shop/orders", kind: "service", reason: "errors", version: "v2", impacted: []string{"shop/gateway"},
		},
		{
			name: "a consumer that slows down", fault: func(o *order) { o.fulfilment += 300 * ms },
			root: "shop/fulfilment", kind: "service", reason: "latency",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := told(t, faulty(1, 20, tt.fault))
			require.NotEmpty(t, p.incidents)
			for _, in := range p.incidents {
				v := in.Verdict
				assert.Equal(t, tt.root, v.Root, v.Summary)
				assert.Equal(t, tt.kind, v.Kind)
				assert.Equal(t, tt.reason, v.Reason)
				assert.Equal(t, tt.instance, v.Instance)
				assert.Equal(t, tt.version, v.Version)
				assert.Subset(t, v.Impacted, tt.impacted)
				assert.Contains(t, v.Summary, tt.root)
				assert.NotEmpty(t, v.Evidence)
			}
			first, last := p.incidents[0], p.incidents[len(p.incidents)-1]
			fault := dawn + 2*minute
			assert.InDelta(t, fault, first.Onset, float64(3*second), "onset")
			assert.LessOrEqual(t, first.Detected, fault+10*second)
			assert.Equal(t, incident.Resolved, last.State)
			assert.InDelta(t, fault+60*second, last.Resolved, float64(5*second), "half a minute after the fault ended")
			assert.Empty(t, p.Open())
			assert.Positive(t, p.marks)
		})
	}
}

// What a verdict says in words, with its numbers.
func TestVerdictInWords(t *testing.T) {
	p := told(t, faulty(1, 20, slowDatabase))
	require.NotEmpty(t, p.incidents)
	v := p.incidents[0].Verdict
	assert.Regexp(t, `^postgresql/shop is the root cause \(latency\): the trouble of 100 % of \d+ hurt requests since \d\d:\d\d:\d\d began there`, v.Summary)
	assert.Equal(t, []string{"shop/gateway", "shop/orders", "postgresql/shop"}, v.Path)
	assert.Equal(t, incident.Ranked{Node: v.Root, Score: v.Score}, v.Ranked[0])
	assert.NotZero(t, v.TraceID)
	assert.NotZero(t, v.SpanID)
	assert.Regexp(t, `calls from shop/orders to postgresql/shop \(INSERT\): typically [3-6](\.\d+)?ms -> [23]\d\dms \(z \d+\.\d\)`,
		strings.Join(v.Evidence, "\n"))
}

// A name may stand for a service and for the address that it is called by.
func TestMarks(t *testing.T) {
	s := newShop(1)
	s.run(dawn, dawn+2*minute, 30)
	s.alter = func(o *order) { o.ordersOutcome = call.Fail }
	s.run(dawn+2*minute, dawn+3*minute, 30)
	p := newProbe(testSettings())
	spans := s.sorted()
	for i := range spans { // no namespace: the service is called what its address is called
		spans[i].from.Namespace = ""
	}
	p.feed(512, spans)
	require.Len(t, p.Open(), 1)
	require.Equal(t, "orders", p.Open()[0].Verdict.Root)

	s.request(dawn + 3*minute)
	s.alter = nil
	s.request(dawn + 3*minute)
	last := s.sorted()
	for i := range last {
		last[i].from.Namespace = ""
	}
	b := batchOf(last)
	got := map[string]Role{}
	for _, m := range p.Learn(b, nil) {
		c := &b.Calls[m.Call]
		assert.True(t, c.Outcome.Bad(), "only what is hurt is marked")
		got[b.Resources[c.Resource].Service+" "+c.Operation.Target] = m.Role
	}
	assert.Equal(t, map[string]Role{"gateway /order": Symptom, "gateway orders": Symptom, "orders /order": RootCause}, got)

	hurt, other := b.Calls[0].TraceID, [16]byte{1}
	for _, c := range b.Calls {
		if c.Outcome.Bad() {
			hurt = c.TraceID
		}
	}
	resource := func(name string) *call.Resource { r := call.Resource{Service: name}; return &r }
	for _, tt := range []struct {
		name, service string
		trace         [16]byte
		grave         bool
		want          Role
	}{
		{"of a hurt trace", "orders", hurt, false, RootCause},
		{"of a hurt trace, by one who is no part of it", "mailer", hurt, false, Symptom},
		{"grave, of another trace", "gateway", other, true, Symptom},
		{"grave, without a trace", "orders", [16]byte{}, true, RootCause},
		{"grave, of one who is no part of it", "mailer", other, true, 0},
		{"of another trace", "orders", other, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			role, in := p.MarkLog(resource(tt.service), tt.trace, tt.grave)
			assert.Equal(t, tt.want, role)
			if assert.Equal(t, role == 0, in == nil); in != nil {
				assert.Equal(t, p.Open()[0].ID, in.ID)
			}
		})
	}
}

func TestNothingIsMarkedWithoutAnIncident(t *testing.T) {
	s := newShop(1)
	s.alter = func(o *order) { o.ordersOutcome = call.Fail }
	s.run(dawn, dawn+20*second, 30)
	p := told(t, s.sorted())
	assert.Zero(t, p.marks)
	r := orders[0]
	role, in := p.MarkLog(&r, [16]byte{1}, true)
	assert.Zero(t, role)
	assert.Nil(t, in)
}
