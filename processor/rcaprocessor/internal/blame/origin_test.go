// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package blame

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

const ms = int64(1e6)

// shop knows operations by the names in operations, with a normal duration of 10 ms and own time of 1 ms each.
type shop struct {
	nodes  []string
	awaits map[graph.OpID]graph.NodeID
	many   int  // so many calls of a callee are more than usual; 0 says that nothing is
	new    bool // nothing is known to be normal yet
}

// operations: service, and whom it calls.
var operations = []string{
	"", "gateway", "gateway orders", "orders", "orders db", "orders cache", "orders notifier", "notifier",
	"orders topic", "fulfilment", "fulfilment db", "gateway nobody",
}

func opOf(name string) graph.OpID { return graph.OpID(slices.Index(operations, name)) }

func (s *shop) node(name string) graph.NodeID {
	if name == "" || name == "nobody" {
		return 0
	}
	i := slices.Index(s.nodes, name)
	if i < 0 {
		i = len(s.nodes)
		s.nodes = append(s.nodes, name)
	}
	return graph.NodeID(i + 1)
}

func (s *shop) name(n graph.NodeID) string {
	if n == 0 {
		return ""
	}
	return s.nodes[n-1]
}

func (s *shop) Service(op graph.OpID) graph.NodeID {
	service, _, _ := strings.Cut(operations[op], " ")
	return s.node(service)
}

func (s *shop) Callee(op graph.OpID) graph.NodeID {
	_, callee, _ := strings.Cut(operations[op], " ")
	return s.node(callee)
}

func (s *shop) beyond(d, normal int64) int64 {
	if s.new || d-normal <= ms {
		return 0
	}
	return d - normal
}

func (s *shop) Excess(_ graph.OpID, total int64) int64  { return s.beyond(total, 10*ms) }
func (s *shop) OwnExcess(_ graph.OpID, own int64) int64 { return s.beyond(own, ms) }

func (s *shop) Awaits(op graph.OpID, called func(graph.NodeID) int) graph.NodeID {
	if n := s.awaits[op]; n != 0 && called(n) == 0 {
		return n
	}
	return 0
}

func (s *shop) Starved(c *trace.Span, _ int64) bool {
	return !s.new && c.Reason() == call.ReasonTimeout && c.Role().Outgoing() && c.Duration() <= 10*ms
}

func (s *shop) Multiplies(op graph.OpID, called func(graph.NodeID) int) graph.NodeID {
	for i := range s.nodes {
		if n := graph.NodeID(i + 1); s.many > 0 && called(n) >= s.many {
			return n
		}
	}
	return 0
}

// s is a span of a test trace: times in ms, id and parent by letter.
type s struct {
	id, parent string
	role       call.Role
	op         string
	start, end int64
	outcome    call.Outcome
	reason     call.Reason
}

// of says more of the span's reason.
func (x s) of(d call.Detail) detailed { return detailed{x, d} }

type detailed struct {
	s
	detail call.Detail
}

func walkOf(facts Facts, spans []s) *Walk {
	var all []detailed
	for _, s := range spans {
		all = append(all, s.of(call.DetailNone))
	}
	return walkOfAll(facts, all)
}

func walkOfAll(facts Facts, spans []detailed) *Walk {
	id := func(s string) (n uint64) {
		if s != "" {
			n = uint64(s[0])
		}
		return n
	}
	w := &Walk{Facts: facts}
	for _, s := range spans {
		w.Spans = append(w.Spans, trace.NewSpan(trace.Facts{
			ID: id(s.id), Parent: id(s.parent), Role: s.role, Op: uint32(opOf(s.op)), Instance: uint32(id(s.id)),
			Start: s.start * ms, End: s.end * ms, Outcome: s.outcome, Reason: s.reason, Detail: s.detail,
		}))
	}
	slices.SortFunc(w.Spans, func(a, b trace.Span) int {
		return cmp.Or(cmp.Compare(a.Start(), b.Start()), cmp.Compare(a.ID, b.ID))
	})
	var walker trace.Walker
	w.Nodes = walker.Walk(w.Spans)
	return w
}

const (
	server, client, producer, consumer, internal = call.RoleServer, call.RoleClient, call.RoleProducer, call.RoleConsumer, call.RoleInternal

	fail, throttled, ignored = call.Fail, call.Throttled, call.Ignored

	broken, timeout, unreachable, cancelled = call.ReasonError, call.ReasonTimeout, call.ReasonUnreachable, call.ReasonCancelled
)

func TestOrigin(t *testing.T) {
	const ok, none = call.OK, call.ReasonNone
	for _, tt := range []struct {
		name  string
		spans []s
		node  string
		span  string
		why   Reason
		path  string
		new   bool
	}{
		{
			name: "own failure",
			spans: []s{
				{"a", "", server, "gateway", 0, 5, fail, broken},
				{"b", "a", client, "gateway orders", 1, 4, ok, none},
				{"c", "b", server, "orders", 2, 3, ok, none},
			},
			node: "gateway", span: "a", why: Errors, path: "gateway",
		},
		{
			name: "a failing database below two services",
			spans: []s{
				{"a", "", server, "gateway", 0, 9, fail, broken},
				{"b", "a", client, "gateway orders", 1, 8, fail, broken},
				{"c", "b", server, "orders", 2, 7, fail, broken},
				{"d", "c", client, "orders db", 3, 6, fail, broken},
			},
			node: "db", span: "d", why: Errors, path: "gateway orders db",
		},
		{
			name: "a database that refuses for want of capacity",
			spans: []s{
				{"c", "", server, "orders", 2, 7, fail, broken},
				{"d", "c", client, "orders db", 3, 6, throttled, call.ReasonThrottled},
			},
			node: "db", span: "d", why: Throttled, path: "orders db",
		},
		{
			name: "a database that does not answer in time",
			spans: []s{
				{"c", "", server, "orders", 0, 1000, fail, broken},
				{"d", "c", client, "orders db", 1, 999, fail, timeout},
			},
			node: "db", span: "d", why: Latency, path: "orders db",
		},
		{
			name: "a timeout leads into the callee that was slow",
			spans: []s{
				{"a", "", server, "gateway", 0, 500, fail, timeout},
				{"b", "a", client, "gateway orders", 1, 499, fail, timeout},
				{"c", "b", server, "orders", 2, 900, ok, none},
				{"d", "c", client, "orders db", 3, 890, ok, none},
			},
			node: "db", span: "d", why: Latency, path: "gateway orders db",
		},
		{
			name: "nobody is there",
			spans: []s{
				{"a", "", server, "gateway", 0, 5, fail, broken},
				{"b", "a", client, "gateway orders", 1, 3, fail, unreachable},
			},
			node: "orders", span: "b", why: Unavailable, path: "gateway orders",
		},
		{
			name: "a callee that is not named is the caller's",
			spans: []s{
				{"a", "", server, "gateway", 0, 5, fail, broken},
				{"b", "a", client, "gateway nobody", 1, 3, fail, unreachable},
			},
			node: "gateway", span: "b", why: Unavailable, path: "gateway",
		},
		{
			name: "own time",
			spans: []s{
				{"a", "", server, "gateway", 0, 300, ok, none},
				{"b", "a", client, "gateway orders", 1, 290, ok, none},
				{"c", "b", server, "orders", 2, 289, ok, none},
				{"d", "c", client, "orders db", 3, 6, ok, none},
			},
			node: "orders", span: "c", why: Latency, path: "gateway orders",
		},
		{
			name: "the way to the callee: a gap",
			spans: []s{
				{"a", "", server, "gateway", 0, 300, ok, none},
				{"b", "a", client, "gateway orders", 1, 299, ok, none},
				{"c", "b", server, "orders", 150, 155, ok, none},
			},
			node: "orders", span: "b", why: Latency, path: "gateway orders",
		},
		{
			name: "the answer was lost on its way",
			spans: []s{
				{"a", "", server, "gateway", 0, 7, fail, broken},
				{"b", "a", client, "gateway orders", 1, 6, fail, unreachable},
				{"c", "b", server, "orders", 2, 5, ok, none},
			},
			node: "orders", span: "b", why: Unavailable, path: "gateway orders",
		},
		{
			name: "of two slow callees the slower one",
			spans: []s{
				{"c", "", server, "orders", 0, 400, ok, none},
				{"d", "c", client, "orders db", 1, 300, ok, none},
				{"e", "c", client, "orders cache", 300, 399, ok, none},
			},
			node: "db", span: "d", why: Latency, path: "orders db",
		},
		{
			name: "of several attempts the last",
			spans: []s{
				{"c", "", server, "orders", 0, 90, fail, broken},
				{"d", "c", client, "orders db", 1, 30, fail, timeout},
				{"e", "c", client, "orders db", 31, 60, fail, timeout},
				{"f", "c", client, "orders db", 61, 80, fail, unreachable},
			},
			node: "db", span: "f", why: Unavailable, path: "orders db",
		},
		{
			name: "an attempt in vain that cost time, made good by the next",
			spans: []s{
				{"c", "", server, "orders", 0, 200, ok, none},
				{"d", "c", client, "orders db", 1, 190, fail, timeout},
				{"e", "c", client, "orders db", 191, 199, ok, none},
			},
			node: "db", span: "d", why: Latency, path: "orders db",
		},
		{
			name: "an attempt in vain that cost the pause after it",
			spans: []s{
				{"c", "", server, "orders", 0, 200, ok, none},
				{"d", "c", client, "orders db", 1, 2, fail, unreachable},
				{"e", "c", client, "orders db", 190, 199, ok, none},
			},
			node: "db", span: "d", why: Unavailable, path: "orders db",
		},
		{
			name: "a failure that was absorbed does not explain what was slow elsewhere",
			spans: []s{
				{"c", "", server, "orders", 0, 200, ok, none},
				{"d", "c", client, "orders cache", 1, 2, fail, broken},
				{"e", "c", client, "orders db", 3, 199, ok, none},
			},
			node: "db", span: "e", why: Latency, path: "orders db",
		},
		{
			name: "siblings cancelled when one failed are no cause",
			spans: []s{
				{"c", "", server, "orders", 0, 9, fail, broken},
				{"d", "c", client, "orders db", 1, 5, fail, broken},
				{"e", "c", client, "orders cache", 1, 8, ignored, cancelled},
			},
			node: "db", span: "d", why: Errors, path: "orders db",
		},
		{
			name: "a message that failed later is no cause",
			spans: []s{
				{"c", "", server, "orders", 0, 9, fail, broken},
				{"d", "c", producer, "orders topic", 1, 2, ok, none},
				{"e", "d", consumer, "fulfilment", 3, 900, fail, broken},
				{"f", "c", internal, "orders", 9, 90, fail, broken},
			},
			node: "orders", span: "c", why: Errors, path: "orders",
		},
		{
			name: "the spans of a driver below its own call",
			spans: []s{
				{"c", "", server, "orders", 0, 9, fail, broken},
				{"d", "c", client, "orders db", 1, 8, fail, broken},
				{"e", "d", client, "orders db", 2, 7, fail, unreachable},
			},
			node: "db", span: "e", why: Unavailable, path: "orders db",
		},
		{
			name: "a failure at once has nothing to do with a callee that took a little longer",
			spans: []s{
				{"c", "", server, "orders", 0, 17, fail, broken},
				{"d", "c", client, "orders db", 1, 16, ok, none},
			},
			node: "orders", span: "c", why: Errors, path: "orders",
		},
		{
			name: "a failure after a long time has",
			spans: []s{
				{"c", "", server, "orders", 0, 300, fail, broken},
				{"d", "c", client, "orders db", 1, 299, ok, none},
			},
			node: "db", span: "d", why: Latency, path: "orders db",
		},
		{
			name: "internal spans are their service's",
			spans: []s{
				{"c", "", server, "orders", 0, 9, fail, broken},
				{"d", "c", internal, "orders", 1, 8, fail, broken},
				{"e", "d", internal, "orders", 2, 7, fail, broken},
			},
			node: "orders", span: "e", why: Errors, path: "orders",
		},
		{
			name: "back where it came from: a path names a node once",
			spans: []s{
				{"a", "", server, "orders", 0, 9, fail, broken},
				{"b", "a", client, "gateway orders", 1, 8, fail, broken},
				{"c", "b", server, "orders", 2, 7, fail, broken},
			},
			node: "orders", span: "c", why: Errors, path: "orders gateway",
		},
		{
			name: "nothing is known to be normal: the one that is slow all the same",
			spans: []s{
				{"c", "", server, "orders", 0, 900, fail, timeout},
				{"d", "c", client, "orders db", 1, 899, ok, none},
			},
			node: "orders", span: "c", why: Latency, path: "orders", new: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := &shop{new: tt.new}
			w := walkOf(facts, tt.spans)
			i := slices.IndexFunc(w.Nodes, func(n trace.Node) bool { return n.Parent < 0 })
			o := w.Origin(int32(i))
			var path []string
			for _, n := range o.Path {
				if n != 0 {
					path = append(path, facts.name(n))
				}
			}
			assert.Equal(t, tt.node, facts.name(o.Node))
			assert.Equal(t, tt.span, string(rune(w.Spans[o.Span].ID)))
			assert.Equal(t, tt.why, o.Reason, o.Reason.String())
			assert.Equal(t, tt.path, strings.Join(path, " "))
			assert.Zero(t, o.Waits)
		})
	}
}

// The instance is that of the span which began it, or which answered too late.
func TestOriginInstance(t *testing.T) {
	const ok, none = call.OK, call.ReasonNone
	gap := walkOf(&shop{}, []s{
		{"b", "", client, "gateway orders", 1, 299, ok, none},
		{"c", "b", server, "orders", 150, 155, ok, none},
	}).Origin(0)
	assert.Equal(t, graph.InstanceID('c'), gap.Instance)
	own := walkOf(&shop{}, []s{{"c", "", server, "orders", 150, 155, fail, broken}}).Origin(0)
	assert.Equal(t, graph.InstanceID('c'), own.Instance)
	database := walkOf(&shop{}, []s{{"d", "", client, "orders db", 1, 2, fail, broken}}).Origin(0)
	assert.Equal(t, graph.InstanceID('d'), database.Instance, "nobody answered: the one that called in vain")
}

// A service that did not get to whom it always calls stood in line for it when its own time grew, else did not ask it.
func TestOriginWaits(t *testing.T) {
	const ok, none = call.OK, call.ReasonNone
	facts := &shop{}
	db := facts.node("db")
	facts.awaits = map[graph.OpID]graph.NodeID{opOf("orders"): db}
	for _, tt := range []struct {
		name  string
		spans []s
		want  graph.NodeID
		why   Reason
	}{
		{"until the deadline", []s{{"c", "", server, "orders", 0, 500, fail, broken}}, db, Saturation},
		{"for long", []s{{"c", "", server, "orders", 0, 500, ok, none}}, db, Saturation},
		{"got to it in the end", []s{
			{"c", "", server, "orders", 0, 500, ok, none}, {"d", "c", client, "orders db", 495, 499, ok, none},
		}, 0, Latency},
		{"got to it below an internal span", []s{
			{"c", "", server, "orders", 0, 500, ok, none}, {"d", "c", internal, "gateway", 490, 499, ok, none},
			{"e", "d", client, "orders db", 495, 499, ok, none},
		}, 0, Latency},
		{"failed at once: it did not ask it, and did not stand in line", []s{{"c", "", server, "orders", 0, 1, fail, broken}}, db, Errors},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := walkOf(facts, tt.spans).Origin(0)
			assert.Equal(t, "orders", facts.name(o.Node))
			assert.Equal(t, tt.want, o.Waits)
			assert.Equal(t, tt.why, o.Reason)
		})
	}
}

func TestPath(t *testing.T) {
	var p Path
	p.push(1)
	p.push(1)
	for n := range graph.NodeID(20) {
		p.push(n + 2)
	}
	assert.Equal(t, Path{1, 2, 3, 4, 5, 6, 7, 8}, p)
}

// Any heap of spans, cycles among them, has an origin, and the same in every order.
func TestOriginTerminates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "spans")
		letters := "abcdefghijklm"
		var spans []s
		for i := range n {
			from := rapid.Int64Range(0, 50).Draw(t, "start")
			spans = append(spans, s{
				id:      letters[i : i+1],
				parent:  string(letters[rapid.IntRange(0, n-1).Draw(t, "parent")]),
				role:    call.Role(rapid.IntRange(0, 4).Draw(t, "role")),
				op:      operations[rapid.IntRange(1, len(operations)-1).Draw(t, "op")],
				start:   from,
				end:     from + rapid.Int64Range(0, 500).Draw(t, "duration"),
				outcome: call.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")),
				reason:  call.Reason(rapid.IntRange(0, 6).Draw(t, "reason")),
			})
		}
		facts := &shop{}
		w := walkOf(facts, spans)
		for i := range w.Spans {
			o := w.Origin(int32(i))
			require.GreaterOrEqual(t, o.Span, int32(0))
			require.Less(t, int(o.Span), n)
			require.NotZero(t, o.Node)
			require.Equal(t, w.Facts.Service(graph.OpID(w.Spans[i].Op)), o.Path[0])
		}
		shuffled := slices.Clone(spans)
		slices.Reverse(shuffled)
		again := walkOf(facts, shuffled)
		for i := range w.Spans {
			require.Equal(t, w.Origin(int32(i)), again.Origin(int32(i)))
		}
	})
}
