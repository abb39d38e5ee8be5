// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// A second way into another part of the same system: portal > accounts > mysql.
var (
	portal          = service("portal", "portal-0", "v1")
	accounts        = []call.Resource{service("accounts", "accounts-0", "v1"), service("accounts", "accounts-1", "v1")}
	accountsAddress = call.Peer{Kind: call.NodeExternal, Address: "accounts", Port: 80}
	accountsDB      = call.Peer{Kind: call.NodeDatabase, System: "mysql", Name: "accounts"}
)

// login lets one login pass, with the database taking so long and failing or not.
func (s *shop) login(at, took int64, o call.Outcome) {
	trace, nobody := s.id(), call.Peer{}
	own := s.about(2 * ms)
	why := because(o, call.ReasonNone)
	from := accounts[s.r.IntN(len(accounts))]
	root := s.add(portal, trace, 0, call.RoleServer, "/login", nobody, at, took+own+2*ms, o, why)
	client := s.add(portal, trace, root, call.RoleClient, "accounts", accountsAddress, at+ms/2, took+own+ms, o, why)
	server := s.add(from, trace, client, call.RoleServer, "/login", nobody, at+ms, took+own, o, why)
	s.add(from, trace, server, call.RoleClient, "SELECT", accountsDB, at+2*ms, took, o, why)
}

// logins lets logins come in between two times.
func (s *shop) logins(from, to int64, perSecond float64, o call.Outcome) {
	for at := from; ; {
		at += int64(s.r.ExpFloat64() / perSecond * float64(second))
		if at >= to {
			return
		}
		s.login(at, s.about(4*ms), o)
	}
}

// failingLogins is a healthy time of both parts up to the second minute, then orders fail until the given second after
// that, and logins in [from, to).
func failingLogins(seed uint64, orders, from, to, end int64) []span {
	const fault = dawn + 2*minute
	s := newShop(seed)
	s.run(dawn+30*second, fault, 20)
	s.alter = func(o *order) { o.ordersOutcome = call.Fail }
	s.run(fault, fault+orders*second, 20)
	s.alter = nil
	s.run(fault+orders*second, fault+end*second, 20)
	s.logins(dawn+30*second, fault+from*second, 20, call.OK)
	s.logins(fault+from*second, fault+to*second, 20, call.Fail)
	s.logins(fault+to*second, fault+end*second, 20, call.OK)
	return s.sorted()
}

const (
	ordersRoot   = "shop/orders"
	accountsRoot = "mysql/accounts"
)

// of returns the incidents of a root.
func (p *probe) of(root string) (out []incident.Incident) {
	for _, in := range p.incidents {
		if in.Verdict.Root == root {
			out = append(out, in)
		}
	}
	return out
}

// Two parts of a system that share nothing fail at once: two incidents, each with its own id, way, entry and end.
func TestTwoCauses(t *testing.T) {
	for _, tt := range []struct {
		name                string
		from, to            int64
		ordersEnd, loginEnd int64 // seconds after the fault
	}{
		{"at once, and both end", 0, 30, 60, 60},
		{"one goes on", 0, 80, 60, 110},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := told(t, failingLogins(1, 30, tt.from, tt.to, 130))
			ids := map[string]bool{}
			for _, in := range p.incidents {
				ids[in.ID] = true
			}
			assert.Len(t, ids, 2)
			for root, want := range map[string]struct {
				onset, end int64
				entry      string
				path       []string
			}{
				ordersRoot:   {0, tt.ordersEnd, "shop/gateway /order", []string{"shop/gateway", "shop/orders"}},
				accountsRoot: {tt.from, tt.loginEnd, "shop/portal /login", []string{"shop/portal", "shop/accounts", accountsRoot}},
			} {
				said := p.of(root)
				require.GreaterOrEqual(t, len(said), 2, root)
				first := said[0]
				assert.Equal(t, incident.Opened, first.State)
				last := said[slices.IndexFunc(said, func(in incident.Incident) bool { return in.State == incident.Resolved })]
				assert.Equal(t, first.ID, last.ID)
				assert.InDelta(t, dawn+2*minute+want.onset*second, first.Onset, float64(2*second), root)
				assert.LessOrEqual(t, first.Detected, dawn+2*minute+(want.onset+20)*second, root)
				assert.InDelta(t, dawn+2*minute+want.end*second, last.Resolved, float64(2*second), root)
				assert.Contains(t, first.Verdict.Entries, want.entry)
				assert.Equal(t, want.path, first.Verdict.Path)
				for _, in := range said {
					assert.Greater(t, in.Verdict.Score, .8, "the other is no rival")
				}
			}
			assert.NotContains(t, p.of(ordersRoot)[0].Verdict.Impacted, "shop/accounts")
			assert.NotContains(t, p.of(accountsRoot)[0].Verdict.Impacted, "shop/gateway")
			assert.Empty(t, p.Open())
			assert.Empty(t, p.Published())
			assert.Nil(t, p.parts)
		})
	}
}

// Spans and logs carry the id of the incident that they are hurt in.
func TestMarksOfTwoIncidents(t *testing.T) {
	p := newProbe(testSettings())
	p.feed(512, failingLogins(2, 40, 0, 40, 40))
	require.Len(t, p.Open(), 2)
	ids := map[string]string{}
	for _, in := range p.Open() {
		ids[in.Verdict.Root] = in.ID
	}
	require.NotEqual(t, ids[ordersRoot], ids[accountsRoot])

	s := newShop(3)
	s.serial = 1 << 40
	at := dawn + 2*minute + 40*second
	s.alter = func(o *order) { o.ordersOutcome = call.Fail }
	s.request(at)
	s.login(at, 5*ms, call.Fail)
	s.alter = nil
	b := batchOf(s.sorted())
	type mark struct {
		role Role
		id   string
	}
	got := map[string]mark{}
	var hurtLogin, hurtOrder [16]byte
	for _, m := range p.Learn(b, nil) {
		c := &b.Calls[m.Call]
		who := b.Resources[c.Resource].Service + " " + c.Operation.Target
		got[who] = mark{m.Role, m.Incident.ID}
		if c.Operation.Target == "/login" {
			hurtLogin = c.TraceID
		} else if c.Operation.Target == "/order" {
			hurtOrder = c.TraceID
		}
	}
	order, login := ids[ordersRoot], ids[accountsRoot]
	assert.Equal(t, map[string]mark{
		"gateway /order": {Symptom, order}, "gateway orders": {Symptom, order}, "orders /order": {RootCause, order},
		"portal /login": {Symptom, login}, "portal accounts": {Symptom, login}, "accounts /login": {Symptom, login},
		"accounts SELECT": {RootCause, login},
	}, got)

	first := p.Published()[0].ID
	for _, tt := range []struct {
		name  string
		from  call.Resource
		trace [16]byte
		grave bool
		want  mark
	}{
		{"of a hurt order", orders[0], hurtOrder, false, mark{RootCause, order}},
		{"of a hurt login", accounts[0], hurtLogin, false, mark{Symptom, login}},
		{"grave, at the entry of one", portal, [16]byte{}, true, mark{Symptom, login}},
		{"grave, at the entry of the other", gateway, [16]byte{}, true, mark{Symptom, order}},
		{"of a hurt trace, by one who is no part of either", service("mailer", "m", "v1"), hurtLogin, false, mark{Symptom, first}},
		{"grave, of one who is no part of either", service("mailer", "m", "v1"), [16]byte{}, true, mark{}},
		{"nothing", portal, [16]byte{}, false, mark{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			role, in := p.MarkLog(&tt.from, tt.trace, tt.grave)
			require.Equal(t, role == 0, in == nil)
			if in == nil {
				in = new(incident.Incident)
			}
			assert.Equal(t, tt.want, mark{role, in.ID})
		})
	}
}

// A node that is part of two incidents belongs to the one that it is the root of, else to the one that opened first.
func TestPartsOfSeveral(t *testing.T) {
	s := newShop(4)
	s.run(dawn, dawn+10*second, 5)
	p := newProbe(testSettings())
	p.feed(512, s.sorted())
	in := func(id, root string, members []string, impacted ...string) *incident.Incident {
		return &incident.Incident{ID: id, Verdict: incident.Verdict{Root: root, Members: members, Impacted: impacted}}
	}
	p.publish([]*incident.Incident{
		in("one", "shop/orders", nil, "shop/gateway", "shop/fulfilment"),
		in("two", "node-1", []string{"shop/fulfilment"}, "shop/gateway", "shop/orders"),
	})
	assert.Equal(t, map[string]string{
		"shop/orders": "root_cause of one", "shop/gateway": "symptom of one", "shop/fulfilment": "root_cause of two",
	}, p.roles())
	published := p.Published()
	p.publish(nil)
	assert.Len(t, published, 2, "what was handed out stays")
	assert.Empty(t, p.Published())
	assert.Empty(t, p.roles())
}

// The state of an engine with two open incidents is whole, and each goes on.
func TestTwoIncidentsOutliveRestart(t *testing.T) {
	p := newProbe(testSettings())
	spans := failingLogins(5, 30, 0, 60, 130)
	k := slices.IndexFunc(spans, func(s span) bool { return s.End > dawn+2*minute+40*second })
	p.feed(512, spans[:k])
	require.Len(t, p.Open(), 2)
	q := restarted(t, p)
	assert.Equal(t, p.shown(), q.shown())
	assert.Equal(t, p.roles(), q.roles())
	ids := []string{p.Open()[0].ID, p.Open()[1].ID}
	q.feed(512, spans[k:])
	q.Idle()
	ended := map[string]bool{}
	for _, in := range q.incidents {
		assert.Contains(t, ids, in.ID)
		ended[in.ID] = in.State == incident.Resolved
	}
	assert.Equal(t, map[string]bool{ids[0]: true, ids[1]: true}, ended)
}

// An incident that ended does not reopen on its old trouble while another is open.
func TestDoesNotReopenOnOldTrouble(t *testing.T) {
	opened := 0
	for _, in := range told(t, failingLogins(1, 30, 0, 80, 130)).of(ordersRoot) {
		if in.State == incident.Opened {
			opened++
		}
	}
	assert.Equal(t, 1, opened)
}

// What is hurt now and then all the time is no entry of an incident: another one there does not keep it open. Until
// that has opened it is taken for a symptom.
func TestEndsByItsOwnEntries(t *testing.T) {
	const fault = dawn + 2*minute
	p := told(t, failingLogins(1, 30, 20, 50, 130))
	orders, logins := p.of(ordersRoot), p.of(accountsRoot)
	assert.Equal(t, []string{"shop/gateway /order"}, orders[0].Verdict.Entries)
	last := orders[len(orders)-1]
	require.Equal(t, incident.Resolved, last.State)
	assert.GreaterOrEqual(t, last.Resolved, fault+60*second)
	assert.LessOrEqual(t, last.Resolved, max(fault+30*second, logins[0].Detected)+32*second)
	assert.Less(t, last.Resolved, fault+70*second, "logins fail until the 50th second")
	assert.InDelta(t, fault+20*second, logins[0].Onset, float64(3*second))
}
