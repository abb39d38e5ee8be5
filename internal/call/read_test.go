// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestReadPlace(t *testing.T) {
	td := ptrace.NewTraces()
	for i := range 2 {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", []string{"a", "b"}[i])
		for range 2 {
			ss := rs.ScopeSpans().AppendEmpty()
			for k := range 2 {
				_, span := shape{kind: server, name: "s"}.traces(t)
				span.SetSpanID(pcommon.SpanID{1, byte(k)})
				if k == 0 {
					span.SetEndTimestamp(0) // left out: places of those after it stay true
				}
				span.CopyTo(ss.Spans().AppendEmpty())
			}
		}
	}
	var b Batch
	for range 2 { // a batch is read anew each time
		b.Read(td)
		require.Len(t, b.Calls, 4)
		require.Equal(t, 4, b.Skipped[SkipNoTime])
		require.Equal(t, []Resource{{Service: "a"}, {Service: "b"}}, b.Resources)
		for n, c := range b.Calls {
			require.Equal(t, [4]int32{int32(n / 2), int32(n / 2), int32(n % 2), 1}, [4]int32{c.Resource, c.ResourceSpans, c.ScopeSpans, c.Span})
			require.Equal(t, uint64(0x0101_0000_0000_0000), c.SpanID)
			require.Equal(t, uint64(1), c.ParentID)
			require.Equal(t, int64(2_000), c.Duration())
			require.Equal(t, int64(1_000), c.Start)
			require.Equal(t, byte(1), c.TraceID[0])
		}
	}
	room := b.Calls[:1]
	b.Reset()
	require.Empty(t, b.Calls)
	require.Empty(t, b.Resources)
	require.Equal(t, Call{}, room[0], "nothing of the telemetry is held")
	b.Read(ptrace.NewTraces())
	require.Empty(t, b.Calls)
}

// TestSpansAreReadApart: nothing of one span is found on the next.
func TestSpansAreReadApart(t *testing.T) {
	td := mixedTraces(5, 1)
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	for i := range 5 {
		_, span := shape{kind: client, name: "bare"}.traces(t)
		span.MoveTo(spans.AppendEmpty())
		spans.At(i).CopyTo(spans.AppendEmpty())
	}
	var b Batch
	b.Read(td)
	require.Len(t, b.Calls, 15)
	for i := range b.Calls[5:] {
		if c := b.Calls[5+i]; i%2 == 0 {
			require.Equal(t, Call{
				TraceID: c.TraceID, SpanID: 2, ParentID: 1, HasParent: true, Start: 1_000, End: 3_000, Span: int32(5 + i), Role: RoleClient, Weight: 1,
				Operation: Operation{Target: "bare"},
			}, c)
		}
	}
}

func TestSkips(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(ptrace.Span)
		want   Skip
	}{
		"no trace id":    {func(s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) }, SkipNoIDs},
		"no span id":     {func(s ptrace.Span) { s.SetSpanID(pcommon.SpanID{}) }, SkipNoIDs},
		"no start":       {func(s ptrace.Span) { s.SetStartTimestamp(0) }, SkipNoTime},
		"no end":         {func(s ptrace.Span) { s.SetEndTimestamp(0) }, SkipNoTime},
		"start too late": {func(s ptrace.Span) { s.SetStartTimestamp(math.MaxUint64) }, SkipNoTime},
		"end too late":   {func(s ptrace.Span) { s.SetEndTimestamp(math.MaxInt64 + 1) }, SkipNoTime},
		"negative":       {func(s ptrace.Span) { s.SetEndTimestamp(s.StartTimestamp() - 1) }, SkipNegative},
		"own parent":     {func(s ptrace.Span) { s.SetParentSpanID(s.SpanID()) }, SkipSelfParent},
	} {
		t.Run(name, func(t *testing.T) {
			td, span := shape{kind: client}.traces(t)
			tc.change(span)
			var b Batch
			b.Read(td)
			require.Empty(t, b.Calls)
			var skipped [NumSkips]int
			skipped[tc.want] = 1
			require.Equal(t, skipped, b.Skipped)
			require.True(t, tc.want.Drops())
			require.NotEmpty(t, tc.want.String())
		})
	}
	for _, name := range []string{"", "unknown_service", "unknown_service:go"} {
		td, _ := shape{kind: client}.traces(t)
		td.ResourceSpans().At(0).Resource().Attributes().PutStr("service.name", name)
		var b Batch
		b.Read(td)
		require.Empty(t, b.Calls)
		require.Equal(t, 1, b.Skipped[SkipNoService], name)
	}
}

func TestZeroDurationAndLimits(t *testing.T) {
	td, span := shape{kind: client}.traces(t)
	span.SetStartTimestamp(math.MaxInt64)
	span.SetEndTimestamp(math.MaxInt64)
	c, _ := readOne(t, td)
	require.Zero(t, c.Duration())
}

func TestLinks(t *testing.T) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "a")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	const n = 50
	for i := range n {
		_, span := shape{kind: consumer}.traces(t)
		for j := range i {
			link := span.Links().AppendEmpty()
			link.SetTraceID(pcommon.TraceID{15: 1})
			link.SetSpanID(pcommon.SpanID{6: byte(i), 7: byte(j)})
			if j == 1 {
				link.SetSpanID(pcommon.SpanID{}) // points nowhere
			}
		}
		span.CopyTo(spans.AppendEmpty())
	}
	var b Batch
	b.Read(td)
	beyond := 0
	for i, c := range b.Calls { // the arena has grown many times meanwhile
		want := []Link{}
		for j := range min(i, MaxLinks) {
			if j != 1 {
				want = append(want, Link{TraceID: [16]byte{15: 1}, SpanID: uint64(i)<<8 | uint64(j)})
			}
		}
		require.ElementsMatch(t, want, c.Links)
		beyond += max(i-MaxLinks, 0)
	}
	require.Equal(t, beyond, b.Skipped[SkipLinks])
	_ = append(b.Calls[5].Links, Link{}) // must not reach into the next call's
	require.NotZero(t, b.Calls[6].Links[0].SpanID)
}

func TestRemoteAndRole(t *testing.T) {
	for flags, want := range map[uint32]bool{0: false, 1: false, 0x100: false, 0x200: false, 0x300: true, 0x301: true} {
		td, span := shape{kind: server}.traces(t)
		span.SetFlags(flags)
		c, _ := readOne(t, td)
		require.Equal(t, want, c.Remote, "%#x", flags)
		require.True(t, c.HasParent)
		span.SetParentSpanID(pcommon.SpanID{})
		c, _ = readOne(t, td)
		require.False(t, c.Remote || c.HasParent, "a root has no parent")
	}
	for kind, want := range map[ptrace.SpanKind]Role{
		client: RoleClient, server: RoleServer, producer: RoleProducer, consumer: RoleConsumer, internal: RoleInternal,
		ptrace.SpanKindUnspecified: RoleInternal, 77: RoleInternal, -1: RoleInternal,
	} {
		require.Equal(t, want, shape{kind: kind}.read(t).Role)
	}
}

func TestWeight(t *testing.T) {
	for state, want := range map[string]float64{
		"": 1, "ot=th:0": 1, "ot=th:8": 2, "ot=th:c": 4, "ot=rv:1;th:c": 4, "a=b, ot=th:c ,c=d": 4,
		"ot=p:3": 8, "ot=r:2;p:0": 1, "ot=p:62": 1 << 62, "ot=p:63": 1, "ot=p:3;th:8": 2,
		"ot=": 1, "ot": 1, "ot=th:": 1, "ot=th:xyz": 1, "ot=th:C": 1, "ot=p:-1": 1, "ot=p:99": 1, "ot=p:": 1,
		"ot=th:123456789abcdef": 1, "not=th:8": 1, "ot=th:ffffffffffffff": 1 << 56,
	} {
		require.InEpsilon(t, want, weight(state), 1e-12, state)
	}
}

func TestWrongTypes(t *testing.T) {
	for name, tc := range map[string]struct {
		attrs attrs
		wrong int
		check func(*testing.T, *Call)
	}{
		"an address that is a number": {attrs{"server.address": 5}, 1, func(t *testing.T, c *Call) { require.Equal(t, NodeUnknown, c.Peer.Kind) }},
		"the next name is used instead": {attrs{"server.address": []any{"a"}, "net.peer.name": "b"}, 1, func(t *testing.T, c *Call) {
			require.Equal(t, "b", c.Peer.String())
		}},
		"a port as text": {attrs{"server.address": "a", "server.port": "81"}, 0, func(t *testing.T, c *Call) { require.Equal(t, "a:81", c.Peer.String()) }},
		"a port as words": {attrs{"server.address": "a", "server.port": "http"}, 1, func(t *testing.T, c *Call) {
			require.Equal(t, "a", c.Peer.String())
		}},
		"a port out of range":  {attrs{"server.address": "a", "server.port": 70000}, 0, func(t *testing.T, c *Call) { require.Zero(t, c.Peer.Port) }},
		"a status as a double": {attrs{"http.response.status_code": 503.0}, 0, func(t *testing.T, c *Call) { require.Equal(t, Fail, c.Outcome) }},
		"a status as a broken double": {attrs{"http.response.status_code": 503.5}, 1, func(t *testing.T, c *Call) {
			require.Equal(t, OK, c.Outcome)
		}},
		"a status as text":           {attrs{"http.response.status_code": "503"}, 0, func(t *testing.T, c *Call) { require.Equal(t, Fail, c.Outcome) }},
		"a status as words":          {attrs{"http.response.status_code": "bad"}, 0, func(t *testing.T, c *Call) { require.Equal(t, OK, c.Outcome) }},
		"a status as bytes":          {attrs{"http.response.status_code": []byte{5}}, 1, func(t *testing.T, c *Call) { require.Equal(t, OK, c.Outcome) }},
		"a resend count as text":     {attrs{"http.request.resend_count": "3"}, 0, func(t *testing.T, c *Call) { require.Equal(t, uint8(3), c.Attempt) }},
		"a resend count too large":   {attrs{"http.request.resend_count": 1000}, 0, func(t *testing.T, c *Call) { require.Equal(t, uint8(255), c.Attempt) }},
		"a negative resend count":    {attrs{"http.request.resend_count": -5}, 0, func(t *testing.T, c *Call) { require.Zero(t, c.Attempt) }},
		"temporary as text":          {attrs{"messaging.system": "m", "messaging.destination.name": "x", "messaging.destination.temporary": "true"}, 0, func(t *testing.T, c *Call) { require.Equal(t, "m", c.Peer.String()) }},
		"temporary as a number":      {attrs{"messaging.system": "m", "messaging.destination.name": "x", "messaging.destination.temporary": 1}, 1, func(t *testing.T, c *Call) { require.Equal(t, "m/x", c.Peer.String()) }},
		"maps and empty values":      {attrs{"db.system": map[string]any{"a": 1}, "db.name": nil}, 1, func(t *testing.T, c *Call) { require.Equal(t, ProtocolNone, c.Protocol) }},
		"unread attributes are free": {attrs{"my.thing": map[string]any{"a": 1}, "thread.id": 1}, 0, func(*testing.T, *Call) {}},
	} {
		t.Run(name, func(t *testing.T) {
			td, _ := shape{kind: client, attrs: tc.attrs}.traces(t)
			c, b := readOne(t, td)
			require.Equal(t, tc.wrong, b.Skipped[SkipWrongType])
			tc.check(t, &c)
		})
	}
}

func TestLongStringsAreCut(t *testing.T) {
	c := shape{kind: client, name: long + "1", attrs: attrs{
		"server.address": long, "service.peer.name": long, "service.peer.namespace": long, "error.type": long, "http.request.method": long, "http.route": long,
	}}.read(t)
	for _, s := range []string{c.Peer.Address, c.Peer.Name, c.Peer.Namespace, c.ErrorType, c.Operation.Verb, c.Operation.Target} {
		require.Len(t, s, MaxName)
	}
	require.Equal(t, "ä", clip("ä"))
	require.Len(t, clip(long[:MaxName-1]+"äää"), MaxName-1, "no rune is cut in two")
}

func TestReadAllocatesNothing(t *testing.T) {
	for name, td := range map[string]ptrace.Traces{"healthy": mixedTraces(500, 0), "all failed": mixedTraces(500, 1)} {
		t.Run(name, func(t *testing.T) {
			spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
			for i, span := range spans.All() {
				switch i % 3 {
				case 0: // a name that differs from span to span, and one that must be composed
					span.SetName("task 12" + string(rune('0'+i%10)) + " of 4711")
				case 1:
					span.Attributes().PutStr("rpc.service", "s")
					span.Attributes().PutStr("rpc.method", "m")
					span.Attributes().PutInt("db.response.status_code", 57014)
				}
			}
			var b Batch
			b.Read(td)
			require.Zero(t, testing.AllocsPerRun(20, func() { b.Read(td) }))
			var sum uint64
			require.Zero(t, testing.AllocsPerRun(5, func() {
				for i := range b.Calls {
					sum += b.Calls[i].Peer.Key() + b.Calls[i].Operation.Key() + b.Resources[b.Calls[i].Resource].Key()
				}
			}))
		})
	}
}
