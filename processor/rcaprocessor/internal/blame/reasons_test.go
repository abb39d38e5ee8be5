// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// What a trace says of the way in which somebody is guilty, and of whom that has to do with.
func TestOriginReasons(t *testing.T) {
	const (
		ok, none        = call.OK, call.ReasonNone
		rejected, asked = call.ReasonRejected, call.ReasonClient
		plain           = call.DetailNone
	)
	root := func(end int64, o call.Outcome, why call.Reason) detailed {
		return s{"a", "", server, "orders", 0, end, o, why}.of(plain)
	}
	db := func(id string, start, end int64, o call.Outcome, why call.Reason, d call.Detail) detailed {
		return s{id, "a", client, "orders db", start, end, o, why}.of(d)
	}
	calls := func(n int, each int64) (out []detailed) {
		for i := range int64(n) {
			out = append(out, db(string(rune('b'+i)), 1+i*each, 1+(i+1)*each, ok, none, plain))
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		spans  []detailed
		node   string
		why    Reason
		waits  string
		many   int
		awaits bool
	}{
		{name: "its name is not found", node: "db", why: DNS,
			spans: []detailed{root(9, fail, broken), db("b", 1, 3, fail, unreachable, call.DetailDNS)}},
		{name: "its certificate is refused", node: "db", why: TLS,
			spans: []detailed{root(9, fail, broken), db("b", 1, 3, fail, unreachable, call.DetailTLS)}},
		{name: "it is known by its credentials that it refuses", node: "db", why: Auth,
			spans: []detailed{root(9, fail, broken), db("b", 1, 3, fail, broken, call.DetailAuth)}},
		{name: "a detail of a call that was well says nothing", node: "orders", why: Errors,
			spans: []detailed{root(9, fail, broken), db("b", 1, 3, ok, none, call.DetailDNS)}},

		{name: "nor does one of a call that was slow", node: "db", why: Latency,
			spans: []detailed{root(300, ok, none), db("b", 1, 299, ok, none, call.DetailDNS)}},

		{name: "the caller is refused for want of credentials", node: "orders", why: Auth, waits: "db",
			spans: []detailed{root(4, fail, broken), db("b", 1, 3, ignored, asked, call.DetailAuth)}},
		{name: "what it asked is refused as wrong", node: "orders", why: ClientRejected, waits: "db",
			spans: []detailed{root(4, fail, broken), db("b", 1, 3, ignored, asked, plain)}},
		{name: "refused, and then answered: that was not it", node: "orders", why: Errors,
			spans: []detailed{root(6, fail, broken), db("b", 1, 3, ignored, asked, plain), db("c", 3, 5, ok, none, plain)}},
		{name: "what came back with a reason, and was well", node: "orders", why: Errors,
			spans: []detailed{root(4, fail, broken), db("b", 1, 3, ok, asked, plain)}},
		{name: "what goes on after the answer does not count", node: "orders", why: ClientRejected, waits: "db", spans: []detailed{
			root(4, fail, broken), db("b", 1, 3, ignored, asked, plain), s{"f", "a", client, "orders cache", 4, 90, ok, none}.of(plain),
		}},
		{name: "cancelled is not refused", node: "orders", why: Errors,
			spans: []detailed{root(4, fail, broken), db("b", 1, 3, ignored, cancelled, plain)}},
		{name: "refused, and well all the same", node: "orders", why: Latency,
			spans: []detailed{root(300, ok, none), db("b", 1, 3, ignored, asked, plain)}},

		{name: "a breaker is open", node: "orders", why: Shed, waits: "db", awaits: true,
			spans: []detailed{root(1, fail, rejected)}},
		{name: "its own queue is full", node: "orders", why: Shed,
			spans: []detailed{root(1, fail, rejected)}},
		{name: "it stood in line in vain, then shed the request", node: "orders", why: Shed, waits: "db", awaits: true,
			spans: []detailed{root(500, fail, rejected)}},
		{name: "it stood in line", node: "orders", why: Saturation, waits: "db", awaits: true,
			spans: []detailed{root(500, ok, none)}},
		{name: "it failed without asking", node: "orders", why: Errors, waits: "db", awaits: true,
			spans: []detailed{root(1, fail, broken)}},
		{name: "own time, and then a failure", node: "orders", why: Errors,
			spans: []detailed{root(500, fail, broken)}},

		{name: "many calls that were well", node: "orders", why: FanOut, waits: "db", many: 8,
			spans: append([]detailed{root(100, ok, none)}, calls(10, 9)...)},
		{name: "as many as usual, each a little slow", node: "db", why: Latency, many: 11,
			spans: append([]detailed{root(142, ok, none)}, calls(10, 14)...)},
		{name: "many calls that did not take the time", node: "orders", why: Latency, many: 8,
			spans: append([]detailed{root(100, ok, none)}, calls(10, 4)...)},
		{name: "many calls, and nothing took long", node: "orders", why: Errors, many: 8,
			spans: append([]detailed{root(11, fail, broken)}, calls(10, 1)...)},
		{name: "many calls, the last of which failed", node: "db", why: Unavailable, many: 8,
			spans: append(append([]detailed{root(100, fail, broken)}, calls(10, 9)...), db("z", 91, 95, fail, unreachable, plain))},
		{name: "many calls, one of them in vain", node: "db", why: Unavailable, many: 8,
			spans: append(append([]detailed{root(100, ok, none)}, calls(10, 9)...), db("z", 91, 95, fail, unreachable, plain))},
		{name: "many calls below an internal span", node: "orders", why: FanOut, waits: "db", many: 3, spans: []detailed{
			root(40, ok, none), s{"i", "a", internal, "orders", 1, 39, ok, none}.of(plain),
			s{"b", "i", client, "orders db", 2, 11, ok, none}.of(plain), s{"c", "i", client, "orders db", 11, 20, ok, none}.of(plain),
			s{"d", "i", client, "orders db", 20, 29, ok, none}.of(plain),
		}},

		{name: "a call that had hardly any time left is nobody's failure", node: "orders", waits: "db", why: Latency,
			spans: []detailed{root(300, fail, timeout), db("b", 295, 299, fail, timeout, plain)}},
		{name: "one whose caller had stood in line for it", node: "orders", waits: "db", why: Saturation,
			spans: []detailed{root(300, fail, broken), db("b", 295, 299, fail, timeout, plain)}},
		{name: "a call that timed out in its own right is", node: "db", why: Latency,
			spans: []detailed{root(300, fail, timeout), db("b", 100, 299, fail, timeout, plain)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := &shop{many: tt.many}
			if db := facts.node("db"); tt.awaits {
				facts.awaits = map[graph.OpID]graph.NodeID{opOf("orders"): db}
			}
			w := walkOfAll(facts, tt.spans)
			o := w.Origin(0)
			assert.Equal(t, tt.node, facts.name(o.Node))
			assert.Equal(t, tt.why, o.Reason, o.Reason.String())
			assert.Equal(t, tt.waits, facts.name(o.Waits))
			if tt.node == "orders" {
				assert.Equal(t, graph.InstanceID('a'), o.Instance)
			}
		})
	}
}

// A callee that failed for want of time alone, after the way to it had taken most: the way is to blame.
func TestOriginStarved(t *testing.T) {
	const ok, none = call.OK, call.ReasonNone
	for _, tt := range []struct {
		name  string
		spans []s
		node  string
		span  string
		why   Reason
	}{
		{"the way took the time", []s{
			{"a", "", server, "gateway", 0, 500, fail, broken},
			{"b", "a", client, "gateway orders", 1, 499, fail, broken},
			{"c", "b", server, "orders", 490, 498, fail, timeout},
		}, "orders", "b", Errors},
		{"it did, and starved the callee's own call", []s{
			{"a", "", server, "gateway", 0, 500, fail, broken},
			{"b", "a", client, "gateway orders", 1, 499, fail, broken},
			{"c", "b", server, "orders", 490, 498, fail, broken},
			{"d", "c", client, "orders db", 491, 497, fail, timeout},
		}, "orders", "b", Errors},
		{"it did, but the callee failed by itself", []s{
			{"a", "", server, "gateway", 0, 500, fail, broken},
			{"b", "a", client, "gateway orders", 1, 499, fail, broken},
			{"c", "b", server, "orders", 490, 498, fail, broken},
		}, "orders", "c", Errors},
		{"it did not: the callee starved all the same", []s{
			{"a", "", server, "gateway", 0, 13, fail, broken},
			{"b", "a", client, "gateway orders", 1, 12, fail, broken},
			{"c", "b", server, "orders", 2, 11, fail, timeout},
		}, "orders", "c", Latency},
		{"one that starved does not hide one that failed", []s{
			{"c", "", server, "orders", 0, 300, fail, broken},
			{"d", "c", client, "orders db", 1, 290, fail, timeout},
			{"e", "c", client, "orders cache", 291, 299, fail, timeout},
		}, "db", "d", Latency},
		{"nothing failed but what starved: the one that took the time", []s{
			{"c", "", server, "orders", 0, 300, fail, timeout},
			{"d", "c", client, "orders db", 1, 290, ok, none},
			{"e", "c", client, "orders cache", 291, 299, fail, timeout},
		}, "db", "d", Latency},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := &shop{}
			w := walkOf(facts, tt.spans)
			o := w.Origin(0)
			assert.Equal(t, tt.node, facts.name(o.Node))
			assert.Equal(t, tt.span, string(rune(w.Spans[o.Span].ID)))
			assert.Equal(t, tt.why, o.Reason, o.Reason.String())
		})
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(NumReasons) {
		assert.NotEmpty(t, r.String())
		assert.False(t, seen[r.String()])
		seen[r.String()] = true
	}
}

func TestPathParts(t *testing.T) {
	p := Path{1, 2, 3, 2}
	for n, want := range map[graph.NodeID]graph.NodeID{1: 0, 2: 1, 3: 2, 4: 0} {
		assert.Equal(t, want, p.Before(n), "before %d", n)
	}
	for n, want := range map[graph.NodeID]Path{1: {}, 2: {1}, 3: {1, 2}, 4: p} {
		q := p
		q.Cut(n)
		assert.Equal(t, want, q, "cut at %d", n)
	}
}
