// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// mixedTraces is a batch as four services send it: an HTTP server and client, a database query, a
// Kafka message sent and processed; eight to ten attributes a span. One in bad spans fails.
func mixedTraces(n, bad int) ptrace.Traces {
	shapes := []struct {
		kind  ptrace.SpanKind
		name  string
		attrs map[string]any
	}{
		{ptrace.SpanKindServer, "GET /orders/{id}", map[string]any{
			"http.request.method": "GET", "http.route": "/orders/{id}", "url.scheme": "http", "url.path": "/orders/17",
			"server.address": "gateway", "server.port": 8080, "network.peer.address": "10.0.0.9", "network.peer.port": 41234,
			"http.response.status_code": 200, "user_agent.original": "curl/8",
		}},
		{ptrace.SpanKindClient, "GET", map[string]any{
			"http.request.method": "GET", "url.full": "http://orders:8081/orders/17", "server.address": "orders",
			"server.port": 8081, "network.protocol.version": "1.1", "http.response.status_code": 200,
			"network.peer.address": "10.0.0.7", "network.peer.port": 8081,
		}},
		{ptrace.SpanKindClient, "sql.conn.query", map[string]any{
			"db.system.name": "postgresql", "db.namespace": "shop", "db.query.text": "SELECT id, n FROM stock WHERE id = $1",
			"server.address": "pg", "server.port": 5432, "db.operation.name": "SELECT", "db.collection.name": "stock",
			"network.peer.address": "10.0.0.5",
		}},
		{ptrace.SpanKindProducer, "orders publish", map[string]any{
			"messaging.system": "kafka", "messaging.destination.kind": "topic", "messaging.destination.name": "orders",
			"messaging.operation": "publish", "messaging.kafka.destination.partition": 3, "messaging.kafka.message.offset": 12,
			"messaging.kafka.client_id": "a", "messaging.kafka.message.key": "17",
		}},
		{ptrace.SpanKindConsumer, "orders process", map[string]any{
			"messaging.system": "kafka", "messaging.source.kind": "topic", "messaging.source.name": "orders",
			"messaging.operation": "process", "messaging.kafka.source.partition": 3, "messaging.kafka.message.offset": 12,
			"messaging.kafka.consumer.group": "fulfilment", "messaging.kafka.message.key": "17",
		}},
	}
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "gateway")
	rs.Resource().Attributes().PutStr("service.instance.id", "gateway-1")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range n {
		shape := shapes[i%len(shapes)]
		span := spans.AppendEmpty()
		span.SetTraceID(pcommon.TraceID{15: byte(i), 14: byte(i >> 8), 0: 1})
		span.SetSpanID(pcommon.SpanID{7: byte(i), 6: byte(i >> 8), 0: 1})
		span.SetParentSpanID(pcommon.SpanID{7: byte(i), 0: 2})
		span.SetStartTimestamp(1_700_000_000_000_000_000)
		span.SetEndTimestamp(1_700_000_000_005_000_000)
		span.SetKind(shape.kind)
		span.SetName(shape.name)
		if err := span.Attributes().FromRaw(shape.attrs); err != nil {
			panic(err)
		}
		if shape.kind == ptrace.SpanKindConsumer {
			link := span.Links().AppendEmpty()
			link.SetTraceID(pcommon.TraceID{1: 1})
			link.SetSpanID(pcommon.SpanID{1: 1})
		}
		if bad > 0 && i%bad == 0 {
			span.Status().SetCode(ptrace.StatusCodeError)
			event := span.Events().AppendEmpty()
			event.SetName("exception")
			event.Attributes().PutStr("exception.type", "*errors.errorString")
			event.Attributes().PutStr("exception.message", "dial tcp 10.0.0.5:5432: connect: connection refused")
		}
	}
	return td
}

func BenchmarkRead(b *testing.B) {
	for _, bad := range []int{0, 1} {
		b.Run(fmt.Sprintf("bad=%d", bad), func(b *testing.B) {
			const n = 1000
			td := mixedTraces(n, bad)
			var batch Batch
			b.ReportAllocs()
			for b.Loop() {
				batch.Read(td)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/span")
		})
	}
}
