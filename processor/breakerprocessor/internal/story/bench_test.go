// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
)

// failing is a failing trace of ten spans.
const failing = `
	gateway serves 0-100 fail
	  gateway calls:orders 1-99 fail
	    orders serves 2-98 fail
	      orders works 3-97 ok
	        orders calls:payments 4-40 fail
	          payments serves 5-39 fail
	            payments calls:db 6-38 timeout
	        orders calls:payments 50-90 fail
	          payments serves 51-89 fail
	            payments calls:db 52-88 timeout`

func TestTellerReusesMemory(t *testing.T) {
	var w trace.Walker
	d := draw(t, failing)
	teller := Teller{Callee: d.callee}
	nodes := w.Walk(d.spans)
	teller.Tell(d.spans, d.tags, nodes)
	assert.Zero(t, testing.AllocsPerRun(100, func() { teller.Tell(d.spans, d.tags, nodes) }))
}

// nested are n spans each within the one before, of one service, calls that gave up or internal spans.
func nested(n int, role call.Role) []trace.Span {
	spans := []trace.Facts{{ID: 1, Role: call.RoleServer, End: 1e9, Outcome: call.Fail, Reason: call.ReasonTimeout}}
	for i := range n {
		s := spans[i]
		s.ID, s.Parent, s.Role, s.Op, s.Start = s.ID+1, s.ID, role, 0, s.Start+1
		if role.Outgoing() {
			s.Op = 1
		}
		spans = append(spans, s)
	}
	leaf := spans[n]
	leaf.ID, leaf.Parent, leaf.Role, leaf.Op = leaf.ID+1, leaf.ID, call.RoleClient, 1
	return packed(append(spans, leaf))
}

func packed(facts []trace.Facts) []trace.Span {
	var spans []trace.Span
	for _, f := range facts {
		spans = append(spans, trace.NewSpan(f))
	}
	return spans
}

// flat are n failed calls, each in a piece of work of its own that is missing, far from any that could have made it.
func flat(n int) []trace.Span {
	var spans []trace.Span
	for i := range n {
		spans = append(spans, trace.NewSpan(trace.Facts{
			ID: uint64(i + 1), Parent: uint64(i + n + 1), Role: call.RoleClient, Op: 1, Start: int64(i), End: 1e9, Outcome: call.Fail, Instance: 1,
		}))
	}
	return spans
}

func BenchmarkTell(b *testing.B) {
	t := new(testing.T)
	for name, spans := range map[string][]trace.Span{
		"failing trace of 10":   draw(t, failing).spans,
		"500 internal spans":    nested(500, call.RoleInternal),
		"5000 internal spans":   nested(5000, call.RoleInternal),
		"500 calls in a chain":  nested(500, call.RoleClient),
		"5000 calls in a chain": nested(5000, call.RoleClient),
		"500 orphans":           flat(500),
		"5000 orphans":          flat(5000),
	} {
		b.Run(name, func(b *testing.B) {
			var w trace.Walker
			nodes := w.Walk(spans)
			tags := make([]uint32, len(spans))
			teller := Teller{Callee: func(uint32) (uint32, bool) { return 1, true }}
			b.ReportAllocs()
			for b.Loop() {
				teller.Tell(spans, tags, nodes)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/span")
		})
	}
}
