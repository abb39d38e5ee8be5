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

// FuzzRead reads whatever decodes as traces, and the same with its attributes' names and types
// changed as the input's bytes say.
func FuzzRead(f *testing.F) {
	var marshal ptrace.ProtoMarshaler
	seed, err := marshal.MarshalTraces(mixedTraces(5, 2))
	require.NoError(f, err)
	f.Add(seed, []byte{})
	f.Add(seed, []byte("\x00\x10\x21\x32\x43\x54\x65\x76"))
	for i := range 40 {
		f.Add(seed, []byte{byte(7 * i), byte(i), byte(3 * i), byte(11 * i), byte(i)})
	}
	f.Fuzz(func(t *testing.T, data, changes []byte) {
		td, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(data)
		if err != nil {
			return
		}
		mutate(td, changes)
		before, err := marshal.MarshalTraces(td)
		require.NoError(t, err)
		var b Batch
		b.Read(td)
		check(t, &b, td)
		first := len(b.Calls)
		b.Read(td) // a used batch reads the same
		check(t, &b, td)
		require.Len(t, b.Calls, first)
		after, err := marshal.MarshalTraces(td)
		require.NoError(t, err)
		require.Equal(t, before, after, "Read changed the telemetry")
	})
}

// check asserts what holds of any batch.
func check(t *testing.T, b *Batch, td ptrace.Traces) {
	dropped := 0
	for s, n := range b.Skipped {
		require.GreaterOrEqual(t, n, 0)
		if Skip(s).Drops() {
			dropped += n
		}
	}
	require.Equal(t, td.SpanCount(), len(b.Calls)+dropped)
	require.Len(t, b.Resources, td.ResourceSpans().Len())
	for i := range b.Calls {
		c := &b.Calls[i]
		span := td.ResourceSpans().At(int(c.ResourceSpans)).ScopeSpans().At(int(c.ScopeSpans)).Spans().At(int(c.Span))
		require.Equal(t, [16]byte(span.TraceID()), c.TraceID)
		require.NotZero(t, c.TraceID)
		require.NotZero(t, c.SpanID)
		require.NotEqual(t, c.SpanID, c.ParentID)
		require.Equal(t, c.HasParent, c.ParentID != 0)
		require.Positive(t, c.Start)
		require.GreaterOrEqual(t, c.End, c.Start)
		require.GreaterOrEqual(t, c.Weight, 1.0)
		require.False(t, math.IsInf(c.Weight, 0) || math.IsNaN(c.Weight))
		require.LessOrEqual(t, len(c.Links), MaxLinks)
		require.NotEmpty(t, b.Resources[c.Resource].Service)
		require.Equal(t, c.Outcome == OK, c.Reason == ReasonNone)
		require.LessOrEqual(t, c.Outcome, Ignored)
		require.LessOrEqual(t, c.Reason, ReasonClient)
		require.LessOrEqual(t, c.Detail, DetailAuth)
		require.False(t, c.Outcome == OK && c.Detail != DetailNone)
		require.Equal(t, c.Peer.Kind == NodeUnknown, c.Peer.Key() == 0)
		require.Equal(t, c.Peer.Kind == NodeUnknown, c.Peer == Peer{})
		require.Zero(t, c.Role == RoleServer && c.Peer.Kind != NodeUnknown)
		r := &b.Resources[c.Resource]
		for _, s := range []string{
			c.Peer.Namespace, c.Peer.System, c.Peer.Name, c.Peer.Address, c.Peer.Instance, c.Operation.Verb, c.Operation.Target, c.ErrorType, c.Group, c.Partition,
			r.Namespace, r.Service, r.Instance, r.Version, r.Environment, r.Host, r.Zone,
		} {
			require.LessOrEqual(t, len(s), MaxName)
		}
		_, _ = c.Peer.String(), c.Operation.String()
	}
}

// knownKeys are attributes that Read looks at.
var knownKeys = []string{
	"service.peer.namespace", "service.peer.name", "peer.service", "server.address", "net.peer.name", "network.peer.address", "net.sock.peer.name", "net.sock.peer.addr",
	"net.peer.ip", "url.full", "http.url", "http.host", "server.port", "net.peer.port", "network.peer.port", "net.sock.peer.port", "db.system.name", "db.system", "db.namespace",
	"db.name", "db.redis.database_index", "db.collection.name", "db.operation.name", "db.query.summary", "db.query.text", "db.statement", "db.response.status_code", "pgx.sql_state",
	"http.request.method", "http.route", "url.template", "http.response.status_code", "http.status_code", "http.request.resend_count", "rpc.system.name", "rpc.system",
	"rpc.service", "rpc.method", "rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code", "rpc.connect_rpc.error_code", "messaging.system",
	"messaging.destination.name", "messaging.source.name", "messaging.url", "messaging.destination.template", "messaging.operation.type", "messaging.operation",
	"messaging.consumer.group.name", "messaging.destination.temporary", "messaging.destination.partition.id", "messaging.kafka.partition", "faas.invoked_name", "gen_ai.provider.name", "error.type", "breaker.rejected",
}

// values are texts near the edges of what is parsed.
var values = []string{
	"", "0", "500", "-1", "99999", "08006", "57014", "53300", "redis", "postgresql", "mysql", "mssql", "mongodb", "elasticsearch", "grpc", "aws-api", "UNAVAILABLE", "deadline_exceeded",
	"circuit_open", "timeout", "http://a:1/b", "://", "[::1]:5", "[", "a:b:c", "dns:///x", "///", "SELECT a FROM ", "/* ", "--", "(temporary)", "amq.gen-1", "\xff\xfe", "a/b", "/", "true",
	long, "{}", "6f1c2d3e-aaaa-4bbb-8ccc-0123456789ab", "42000/1071", "//", "receive", "publish",
}

// mutate lets each three bytes of changes set one attribute of one span to one value, and every
// fourth byte touch the span itself.
func mutate(td ptrace.Traces, changes []byte) {
	var spans []ptrace.Span
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				spans = append(spans, span)
			}
		}
	}
	if len(spans) == 0 {
		return
	}
	for i := 0; i+3 < len(changes); i += 4 {
		span := spans[int(changes[i])%len(spans)]
		setValue(span.Attributes().PutEmpty(knownKeys[int(changes[i+1])%len(knownKeys)]), int(changes[i+2]), int(changes[i+2]/8))
		switch x := changes[i+3]; x % 8 {
		case 0:
			span.SetKind(ptrace.SpanKind(x / 8 % 8))
		case 1:
			span.Status().SetCode(ptrace.StatusCode(x / 8 % 4))
			span.Status().SetMessage(values[int(x)%len(values)])
		case 2:
			span.SetName(values[int(x)%len(values)])
		case 3:
			span.TraceState().FromRaw("ot=th:" + values[int(x)%len(values)])
		case 4:
			span.SetEndTimestamp(pcommon.Timestamp(math.MaxUint64 >> (x / 8)))
		case 5:
			span.SetParentSpanID(span.SpanID())
		case 6:
			for range x {
				link := span.Links().AppendEmpty()
				link.SetTraceID(span.TraceID())
				link.SetSpanID(pcommon.SpanID{x})
			}
		}
	}
}

func setValue(v pcommon.Value, kind, pick int) {
	switch kind % 8 {
	case 0, 1:
		v.SetStr(values[pick%len(values)])
	case 2:
		v.SetInt([]int64{0, 14, 500, 429, 57014, -2, math.MinInt64, math.MaxInt64}[pick%8])
	case 3:
		v.SetDouble([]float64{0, 503, math.NaN(), math.Inf(1), -1e300, 0.5}[pick%6])
	case 4:
		v.SetBool(pick%2 == 0)
	case 5:
		v.SetEmptySlice().AppendEmpty().SetStr("x")
	case 6:
		v.SetEmptyMap().PutStr("x", "y")
	case 7:
		v.SetEmptyBytes().Append(byte(pick))
	}
}
