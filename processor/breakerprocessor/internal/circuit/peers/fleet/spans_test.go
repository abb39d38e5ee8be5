// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// A call's spans have ids made of the trace's: the caller's own entry, its call, and the callee's side.
const (
	entrySpan = iota + 1
	clientSpan
	serverSpan
)

// around is how much longer than its call a caller's own request takes, on either side.
const around = time.Millisecond

func ids(span ptrace.Span, trace uint64, self, parent byte) {
	span.SetTraceID(traceID(trace))
	span.SetSpanID(spanID(trace, self))
	if parent != 0 {
		span.SetParentSpanID(spanID(trace, parent))
	}
}

// traceID spreads n over all bits, as random ids are.
func traceID(n uint64) (id pcommon.TraceID) {
	binary.BigEndian.PutUint64(id[:8], spread(n))
	binary.BigEndian.PutUint64(id[8:], spread(^n))
	return id
}

func spanID(trace uint64, which byte) (id pcommon.SpanID) {
	binary.BigEndian.PutUint64(id[:], spread(trace<<2|uint64(which)))
	return id
}

func spread(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func times(span ptrace.Span, origin time.Time, start, end time.Duration) {
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(origin.Add(start)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(origin.Add(end)))
}

// resource is what the SDK of a replica says of it.
func resource(attrs pcommon.Map, service string, replica int) {
	attrs.PutStr("service.name", service)
	attrs.PutStr("service.namespace", "shop")
	attrs.PutStr("service.instance.id", service+"-"+strconv.Itoa(replica))
	attrs.PutStr("service.version", "1.4.2")
	attrs.PutStr("host.name", "node-"+strconv.Itoa(replica%7))
	attrs.PutStr("cloud.availability_zone", "zone-"+string(rune('a'+replica%zones)))
	attrs.PutStr("telemetry.sdk.language", "java")
}

// entry is the caller's own request, in which it makes the call; it fails when that does.
func entry(span ptrace.Span, origin time.Time, c *Call) {
	ids(span, c.ID, entrySpan, 0)
	span.SetKind(ptrace.SpanKindServer)
	span.SetName("POST /checkout")
	times(span, origin, c.Start-around, c.End+around)
	attrs := span.Attributes()
	attrs.PutStr("http.request.method", "POST")
	attrs.PutStr("http.route", "/checkout")
	attrs.PutStr("url.path", "/checkout")
	attrs.PutStr("url.scheme", "http")
	attrs.PutStr("server.address", "orders")
	status(span, c.Failure != None, 500)
}

func status(span ptrace.Span, failed bool, code int64) {
	if !failed {
		span.Attributes().PutInt("http.response.status_code", 200)
		return
	}
	span.Attributes().PutInt("http.response.status_code", code)
	span.Attributes().PutStr("error.type", strconv.FormatInt(code, 10))
	span.Status().SetCode(ptrace.StatusCodeError)
}

// client is the caller's side of the call.
func (s *Scenario) client(span ptrace.Span, origin time.Time, c *Call) {
	ids(span, c.ID, clientSpan, entrySpan)
	times(span, origin, c.Start, c.End)
	switch {
	case c.Bystander:
		httpClient(span, "catalog", c)
	case s.Database:
		sqlClient(span, "ledger", "ledger-db", c.Failure)
	default:
		httpClient(span, "payments", c)
	}
}

func httpClient(span ptrace.Span, callee string, c *Call) {
	span.SetKind(ptrace.SpanKindClient)
	span.SetName("GET")
	attrs := span.Attributes()
	attrs.PutStr("http.request.method", "GET")
	attrs.PutStr("url.full", "http://"+callee+":8080/v1/items/17")
	attrs.PutStr("server.address", callee)
	attrs.PutInt("server.port", 8080)
	attrs.PutStr("network.protocol.version", "1.1")
	// Who was never reached has no address; the caller that waits in vain knows it.
	if c.Failure != Refused && c.Failure != NoSuchHost {
		attrs.PutStr("network.peer.address", fmt.Sprintf("10.0.2.%d", c.Instance+1))
		attrs.PutInt("network.peer.port", 8080)
	}
	switch c.Failure {
	case Refused:
		broken(span, "java.net.ConnectException")
	case NoSuchHost:
		broken(span, "java.net.UnknownHostException")
	case Hangs:
		broken(span, "timeout")
	default:
		status(span, c.Failure != None, 503)
	}
}

func sqlClient(span ptrace.Span, database, host string, f Failure) {
	span.SetKind(ptrace.SpanKindClient)
	span.SetName("SELECT " + database)
	attrs := span.Attributes()
	attrs.PutStr("db.system.name", "postgresql")
	attrs.PutStr("db.namespace", database)
	attrs.PutStr("db.operation.name", "SELECT")
	attrs.PutStr("db.query.text", "SELECT balance FROM accounts WHERE id = ?")
	attrs.PutStr("server.address", host)
	attrs.PutInt("server.port", 5432)
	attrs.PutStr("network.peer.address", "10.0.3.1")
	switch f {
	case None:
	case Unavailable:
		attrs.PutStr("db.response.status_code", "57P03") // cannot_connect_now
		broken(span, "57P03")
	default:
		broken(span, "timeout")
	}
}

func broken(span ptrace.Span, errorType string) {
	span.Attributes().PutStr("error.type", errorType)
	span.Status().SetCode(ptrace.StatusCodeError)
}

// server is the callee's side of the call.
func server(span ptrace.Span, origin time.Time, c *Call) {
	ids(span, c.ID, serverSpan, clientSpan)
	span.SetKind(ptrace.SpanKindServer)
	span.SetName("GET /v1/items/{id}")
	times(span, origin, c.Start+(c.End-c.Start)/8, c.ServerEnd)
	attrs := span.Attributes()
	attrs.PutStr("http.request.method", "GET")
	attrs.PutStr("http.route", "/v1/items/{id}")
	attrs.PutStr("url.path", "/v1/items/17")
	attrs.PutStr("url.scheme", "http")
	attrs.PutStr("client.address", fmt.Sprintf("10.0.1.%d", c.Replica+1))
	status(span, c.Failure == Unavailable, 503)
}
