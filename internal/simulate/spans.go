// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"encoding/binary"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// style is what an instrumentation sends: the Go libraries' attributes, the Java agent's, or names of before 2023.
type style uint8

const (
	styleGo style = iota
	styleJava
	styleOld
)

func (t *telemetry) style(in *instance) style {
	st := styleGo
	switch in.svc.def.Style {
	case "java":
		st = styleJava
	case "old":
		st = styleOld
	}
	if in.svc.renamed { // rolled out to the other names
		if st == styleOld {
			return styleJava
		}
		return styleOld
	}
	return st
}

// outgoing is a call on its way.
type outgoing struct {
	step       *step
	from, to   *instance
	op         string
	tr         *trace
	parent, id uint64
	start      int64
	resend     int
	verb       string
	key        uint64
	partition  int
	offset     int64
}

// incoming is a call as its server sees it.
type incoming struct {
	in, from   *instance
	op         string
	tr         *trace
	parent, id uint64
	start      int64
	shed       bool
}

// consumed is a record while it is processed.
type consumed struct {
	in         *instance
	group      *group
	lane       *lane
	message    message
	tr         *trace
	parent, id uint64
	start      int64
	tries      int
}

const (
	flagSampled = 1
	flagKnown   = 0x100
	flagRemote  = 0x200
)

// span begins a span's record; it ends now.
func (s *Simulation) span(in *instance, tr *trace, id, parent uint64, remote bool, start int64, kind ptrace.SpanKind, scope, name string, room int) ptrace.Span {
	span := s.telemetry.spansOf(in, scope).AppendEmpty()
	span.SetTraceID(tr.id)
	span.SetSpanID(spanID(id))
	flags := uint32(flagSampled | flagKnown)
	if parent != 0 {
		span.SetParentSpanID(spanID(parent))
		if remote {
			flags |= flagRemote
		}
	}
	span.SetFlags(flags)
	span.SetKind(kind)
	span.SetName(name)
	span.SetStartTimestamp(pcommon.Timestamp(start + in.host.skew))
	span.SetEndTimestamp(pcommon.Timestamp(max(s.now, start) + in.host.skew))
	if s.telemetry.state != "" {
		span.TraceState().FromRaw(s.telemetry.state)
	}
	span.Attributes().EnsureCapacity(room)
	return span
}

func spanID(id uint64) (b pcommon.SpanID) {
	binary.BigEndian.PutUint64(b[:], id)
	return b
}

// sent closes a span: a full batch goes at once.
func (s *Simulation) sent(in *instance) {
	if in.spans.n >= s.telemetry.batch && s.now >= in.paused {
		s.telemetry.flushSpans(in)
	}
}

// serverSpan is what the callee tells of a call.
func (s *Simulation) serverSpan(v *incoming, r result) {
	s.counts.Served++
	if !s.keep(v.in, v.tr) {
		return
	}
	if v.in.svc.def.Transport == "grpc" {
		s.grpcServer(v, r)
	} else {
		s.httpServer(v, r)
	}
	s.sent(v.in)
}

// clientSpan is what the caller tells of an attempt.
func (s *Simulation) clientSpan(c *outgoing, r result) {
	s.counts.Calls++
	if !s.keep(c.from, c.tr) {
		return
	}
	if c.to != nil && c.to.svc.def.Transport == "grpc" {
		s.grpcClient(c, r)
	} else {
		s.httpClient(c, r)
	}
	s.sent(c.from)
}

// address is the name that callers know a service, or a third party, by.
func (s *Simulation) address(target string) string {
	if s.services[target] != nil {
		return target + "." + s.scenario.System.Namespace + ".internal"
	}
	return target
}

// route splits "POST /orders" into method and route.
func route(op string) (method, path string) {
	method, path, ok := strings.Cut(op, " ")
	if !ok {
		return "POST", "/" + op
	}
	return method, path
}

func (s *Simulation) httpServer(v *incoming, r result) {
	method, path := route(v.op)
	status := r.httpStatus()
	style := s.telemetry.style(v.in)
	span := s.span(v.in, v.tr, v.id, v.parent, true, v.start, ptrace.SpanKindServer, scopeName(style, "http"), method+" "+path, 12)
	a := span.Attributes()
	caller := "203.0.113.7"
	if v.from != nil {
		caller = v.from.ip
	}
	if style == styleOld {
		a.PutStr(oldMethod, method)
		a.PutStr("http.scheme", "http")
		a.PutStr("http.target", path)
		a.PutStr(attrRoute, path)
		a.PutStr("net.host.name", s.address(v.in.svc.name))
		a.PutStr(oldSockPeer, caller)
		a.PutInt(oldStatus, int64(status))
	} else {
		a.PutStr(attrMethod, method)
		a.PutStr("url.scheme", "http")
		a.PutStr("url.path", path)
		a.PutStr(attrRoute, path)
		a.PutStr(attrAddress, s.address(v.in.svc.name))
		a.PutInt(attrPort, 8080)
		a.PutStr(attrPeerAddress, caller)
		a.PutStr("client.address", caller)
		a.PutInt(attrStatus, int64(status))
		if v.shed {
			a.PutStr("http.response.header.x-overloaded", "shed")
		}
	}
	if status >= 500 {
		span.Status().SetCode(ptrace.StatusCodeError)
		if style == styleJava {
			a.PutStr(attrErrorType, strconv.Itoa(status))
		}
		s.exceptionEvent(span, v.in, r, style)
	}
}

func (s *Simulation) httpClient(c *outgoing, r result) {
	method, path := route(c.step.Op)
	style := s.telemetry.style(c.from)
	name := "HTTP " + method
	if style != styleGo {
		name = method
	}
	host, port, scheme := s.address(c.step.Call), 8080, "http"
	if e := c.step.ext; e != nil {
		port, scheme = orInt(e.port, 443), "https"
	}
	span := s.span(c.from, c.tr, c.id, c.parent, false, c.start, ptrace.SpanKindClient, scopeName(style, "httpclient"), name, 10)
	a := span.Attributes()
	url := scheme + "://" + host + ":" + strconv.Itoa(port) + path
	if style == styleOld {
		a.PutStr(oldMethod, method)
		a.PutStr(oldURL, url)
		a.PutStr(oldPeerName, host)
		a.PutInt(oldPeerPort, int64(port))
	} else {
		a.PutStr(attrMethod, method)
		a.PutStr(attrURL, url)
		a.PutStr(attrAddress, host)
		a.PutInt(attrPort, int64(port))
		if c.resend > 0 {
			a.PutInt(attrResend, int64(c.resend))
		}
	}
	if c.step.svc != nil && r.kind == failNone || r.answer {
		if c.to != nil && style != styleOld && style != styleGo {
			a.PutStr(attrPeerAddress, c.to.ip)
		}
	}
	if r.ok() || r.answer && r.kind != failRefused {
		status := r.httpStatus()
		key := attrStatus
		if style == styleOld {
			key = oldStatus
		}
		a.PutInt(key, int64(status))
		if status >= 400 {
			span.Status().SetCode(ptrace.StatusCodeError)
			if style != styleOld {
				a.PutStr(attrErrorType, strconv.Itoa(status))
			}
		}
		return
	}
	span.Status().SetCode(ptrace.StatusCodeError)
	kind, message := transportError(r, style)
	span.Status().SetMessage(message)
	if style != styleOld {
		a.PutStr(attrErrorType, kind)
	}
	if style != styleGo {
		s.exceptionEvent(span, c.from, r, style)
	}
}

func (s *Simulation) grpcServer(v *incoming, r result) {
	style := s.telemetry.style(v.in)
	full := s.method(v.in.svc.name, v.op)
	span := s.span(v.in, v.tr, v.id, v.parent, true, v.start, ptrace.SpanKindServer, scopeName(style, "grpc"), full, 8)
	code := r.grpcCode()
	s.grpcAttributes(span.Attributes(), style, full, s.address(v.in.svc.name), code)
	switch code {
	case 2, 4, 13, 14, 15: // those that the conventions count as the server's
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(r.message)
		s.exceptionEvent(span, v.in, r, style)
	}
}

func (s *Simulation) grpcClient(c *outgoing, r result) {
	style := s.telemetry.style(c.from)
	full := s.method(c.step.Call, c.step.Op)
	span := s.span(c.from, c.tr, c.id, c.parent, false, c.start, ptrace.SpanKindClient, scopeName(style, "grpc"), full, 8)
	code := r.grpcCode()
	if !r.ok() && !r.answer {
		switch r.kind {
		case failTimeout:
			code = 4
		case failCancelled:
			code = 1
		default:
			code = 14
		}
	}
	s.grpcAttributes(span.Attributes(), style, full, s.address(c.step.Call), code)
	if code != 0 {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(r.message)
	}
}

func (s *Simulation) grpcAttributes(a pcommon.Map, style style, full, address string, code int) {
	if style == styleOld {
		service, method, _ := strings.Cut(full, "/")
		a.PutStr("rpc.system", "grpc")
		a.PutStr("rpc.service", service)
		a.PutStr("rpc.method", method)
		a.PutStr(oldPeerName, address)
		a.PutInt(oldPeerPort, 9090)
		a.PutInt("rpc.grpc.status_code", int64(code))
		return
	}
	a.PutStr("rpc.system.name", "grpc")
	a.PutStr("rpc.method", full)
	a.PutStr(attrAddress, address)
	a.PutInt(attrPort, 9090)
	a.PutStr("rpc.response.status_code", grpcNames[code])
}

// method is the full name of a gRPC method: shop.payment.v1.Payment/Charge.
func (s *Simulation) method(service, op string) string {
	return s.scenario.System.Namespace + "." + service + ".v1." + strings.ToUpper(service[:1]) + service[1:] + "/" + op
}

var grpcNames = [...]string{
	0: "OK", 1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 7: "PERMISSION_DENIED",
	8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS", 16: "UNAUTHENTICATED",
}
