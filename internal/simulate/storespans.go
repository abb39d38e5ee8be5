// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// storeSpan is a statement as its caller tells of it; the store tells nothing.
func (s *Simulation) storeSpan(q *outgoing, r result) {
	s.counts.Statements++
	if !s.keep(q.from, q.tr) {
		return
	}
	style := s.telemetry.style(q.from)
	if q.step.db.cache {
		s.cacheSpan(q, r, style)
	} else {
		s.sqlSpan(q, r, style)
	}
	s.sent(q.from)
}

func (s *Simulation) cacheSpan(q *outgoing, r result, style style) {
	db := q.step.db
	name := q.verb
	if style == styleJava {
		name = strings.ToUpper(name)
	}
	span := s.span(q.from, q.tr, q.id, q.parent, false, q.start, ptrace.SpanKindClient, scopeName(style, "redis"), name, 6)
	a := span.Attributes()
	if style == styleJava {
		a.PutStr("db.system.name", db.system)
		a.PutStr("db.operation.name", name)
		a.PutStr("db.query.text", name+" ?")
	} else { // the Go client still sends the older names
		a.PutStr("db.system", db.system)
		a.PutStr("db.statement", q.verb+" "+or0(q.step.Table, "item")+":17")
	}
	if style == styleOld {
		a.PutStr(oldPeerName, db.address)
		a.PutInt(oldPeerPort, int64(db.port))
	} else {
		a.PutStr(attrAddress, db.address)
		a.PutInt(attrPort, int64(db.port))
	}
	s.storeError(span, q, r, style)
}

func (s *Simulation) sqlSpan(q *outgoing, r result, style style) {
	db, table := q.step.db, q.step.Table
	verb := or0(q.verb, "SELECT")
	name := verb + " " + db.namespace + "." + table
	if style == styleGo {
		if name = "sql.conn.query"; verb != "SELECT" {
			name = "sql.conn.exec"
		}
	}
	span := s.span(q.from, q.tr, q.id, q.parent, false, q.start, ptrace.SpanKindClient, scopeName(style, "sql"), name, 9)
	a := span.Attributes()
	if style == styleOld {
		a.PutStr("db.system", db.system)
		a.PutStr("db.name", db.namespace)
		a.PutStr("db.statement", statement(verb, table))
		a.PutStr("db.operation", verb)
		a.PutStr("db.sql.table", table)
		a.PutStr(oldPeerName, db.address)
		a.PutInt(oldPeerPort, int64(db.port))
	} else {
		a.PutStr("db.system.name", db.system)
		a.PutStr("db.namespace", db.namespace)
		a.PutStr(attrAddress, db.address)
		a.PutInt(attrPort, int64(db.port))
		a.PutStr("db.query.text", statement(verb, table))
		if style == styleJava {
			a.PutStr("db.operation.name", verb)
			a.PutStr("db.collection.name", table)
		}
	}
	s.storeError(span, q, r, style)
}

func statement(verb, table string) string {
	switch verb {
	case "INSERT":
		return "INSERT INTO " + table + " (id, account, amount) VALUES ($1, $2, $3)"
	case "UPDATE":
		return "UPDATE " + table + " SET n = n - 1 WHERE id = $1"
	case "DELETE":
		return "DELETE FROM " + table + " WHERE id = $1"
	}
	return verb + " * FROM " + table + " WHERE id = $1"
}

func (s *Simulation) storeError(span ptrace.Span, q *outgoing, r result, style style) {
	if r.ok() {
		return
	}
	span.Status().SetCode(ptrace.StatusCodeError)
	span.Status().SetMessage(r.message)
	if style != styleOld && r.code != "" && !strings.Contains(r.code, ".") {
		span.Attributes().PutStr("db.response.status_code", r.code)
	}
	s.exceptionEvent(span, q.from, r, style)
}

// producerSpan is a record as its sender tells of it.
func (s *Simulation) producerSpan(p *outgoing, r result) {
	s.counts.Publishes++
	if !s.keep(p.from, p.tr) {
		return
	}
	t := p.step.topic
	style := s.telemetry.style(p.from)
	span := s.span(p.from, p.tr, p.id, p.parent, false, p.start, ptrace.SpanKindProducer, scopeName(style, "kafka"), t.destination+" publish", 8)
	a := span.Attributes()
	a.PutStr("messaging.system", t.system)
	if style == styleGo {
		a.PutStr("messaging.destination.kind", "topic")
		a.PutStr("messaging.kafka.destination.partition", itoa(p.partition))
		a.PutStr("messaging.kafka.message.key", itoa(int(p.key)))
		a.PutStr("messaging.kafka.client_id", p.from.id)
		if r.ok() {
			a.PutInt("messaging.kafka.message.offset", p.offset)
		}
	} else {
		a.PutStr("messaging.destination.partition.id", itoa(p.partition))
		a.PutStr("messaging.client_id", p.from.id)
	}
	if style == styleOld {
		a.PutStr("messaging.destination", t.destination)
	} else {
		a.PutStr("messaging.destination.name", t.destination)
	}
	a.PutStr("messaging.operation", "publish")
	if !r.ok() {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(r.message)
		s.exceptionEvent(span, p.from, r, style)
	}
	s.sent(p.from)
}

// consumerSpan is a record as its reader tells of it: kotel sends a span for the receipt, too.
func (s *Simulation) consumerSpan(c *consumed, r result) {
	s.counts.Takes++
	in := c.in
	style := s.telemetry.style(in)
	t := c.group.topic
	m := &c.message
	linkTrace, linkSpan := m.tr.id, m.span
	if style == styleGo && c.parent == 0 && c.tries == 0 {
		got := s.newTrace()
		s.counts.Receipts++
		if s.keep(in, got) {
			id := s.newID()
			now := s.now
			s.now = c.start
			span := s.span(in, got, id, 0, false, c.start-30_000, ptrace.SpanKindConsumer, scopeName(style, "kafka"), t.destination+" receive", 9)
			s.now = now
			s.recordAttributes(span.Attributes(), c, style, "receive")
			link(span, linkTrace, linkSpan)
			linkTrace, linkSpan = got.id, id
		}
	}
	if !s.keep(in, c.tr) {
		return
	}
	span := s.span(in, c.tr, c.id, c.parent, true, c.start, ptrace.SpanKindConsumer, scopeName(style, "kafka"), t.destination+" process", 10)
	s.recordAttributes(span.Attributes(), c, style, "process")
	if c.parent == 0 {
		link(span, linkTrace, linkSpan)
	}
	if !r.ok() {
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage(r.message)
		s.exceptionEvent(span, in, r, style)
	}
	s.sent(in)
}

func link(span ptrace.Span, tr [16]byte, id uint64) {
	l := span.Links().AppendEmpty()
	l.SetTraceID(tr)
	l.SetSpanID(spanID(id))
	l.SetFlags(flagSampled | flagKnown | flagRemote)
}

func (s *Simulation) recordAttributes(a pcommon.Map, c *consumed, style style, operation string) {
	t := c.group.topic
	a.PutStr("messaging.system", t.system)
	switch style {
	case styleGo:
		a.PutStr("messaging.source.kind", "topic")
		a.PutStr("messaging.source.name", t.destination)
		a.PutStr("messaging.operation", operation)
		a.PutStr("messaging.kafka.source.partition", itoa(c.lane.number))
		a.PutInt("messaging.kafka.message.offset", c.message.offset)
		a.PutStr("messaging.kafka.message.key", itoa(int(c.message.key)))
		a.PutStr("messaging.kafka.client_id", c.in.id)
		a.PutStr("messaging.kafka.consumer.group", c.in.svc.name)
		return
	case styleOld:
		a.PutStr("messaging.destination", t.destination)
		a.PutStr("messaging.operation", operation)
		a.PutStr("messaging.kafka.consumer_group", c.in.svc.name)
	case styleJava:
		a.PutStr("messaging.destination.name", t.destination)
		a.PutStr("messaging.operation.type", operation)
		a.PutStr("messaging.consumer.group.name", c.in.svc.name)
	}
	a.PutStr("messaging.destination.partition.id", itoa(c.lane.number))
	a.PutInt("messaging.kafka.offset", c.message.offset)
}
