// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	tracesPerSecond = 2000
	batchSpans      = 1000
	exportSpans     = 512 // an SDK's batch processor exports so many at once
	seed            = 7
)

// begin is when the first trace begins: event time has nothing to do with the day of the run.
var begin = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// pool is one second of the shop's spans, cut into the batches that a collector would get. It is made
// once; move turns it into any other second, so that the clock goes on while nothing is made anew.
type pool struct {
	batches []ptrace.Traces
	spans   int
	traces  int

	second, edition int
	attributes      []int // how many each span has of its own, in order
}

// record is a span before it is put into a batch.
type record struct {
	trace               int
	step                *step
	instance            int // of all services
	id, parent          uint64
	start, end          time.Duration
	fails               bool
	exported            time.Duration
	order               int
	traceHigh, traceLow uint64
}

// newPool makes the pool of the given number of traces.
func newPool(traces int) *pool {
	r := rand.New(rand.NewPCG(seed, seed))
	var records []record
	for t := range traces {
		records = appendTrace(records, r, t)
	}
	export(records)

	p := &pool{spans: len(records), traces: traces}
	for batch := range slices.Chunk(records, batchSpans) {
		p.batches = append(p.batches, p.batch(batch))
	}
	return p
}

// appendTrace adds the spans of one checkout, which begins some time within the second.
func appendTrace(records []record, r *rand.Rand, trace int) []record {
	var (
		at         = time.Duration(r.Int64N(int64(time.Second)))
		fails      = r.IntN(100) < failPercent
		high, low  = r.Uint64(), r.Uint64()
		order      = r.IntN(1_000_000)
		instanceOf = make([]int, len(services))
		ids        = make([]uint64, len(checkout)) // 0: did not happen
	)
	for i := range services {
		instanceOf[i] = i*instances + r.IntN(instances)
	}
	for i := range checkout {
		s := &checkout[i]
		happens := r.IntN(100) < s.percent && !(fails && s.skipped) && (s.parent < 0 || ids[s.parent] != 0)
		slack := time.Duration(r.Int64N(int64(s.took / 2)))
		id := r.Uint64() | 1
		if !happens {
			continue
		}
		ids[i] = id
		rec := record{trace: trace, step: s, instance: instanceOf[s.service], id: id, order: order,
			start: at + s.from, end: at + s.from + s.took + slack, fails: fails && s.failed != nil, traceHigh: high, traceLow: low}
		if s.parent >= 0 {
			rec.parent = ids[s.parent]
		}
		if rec.fails {
			rec.end += failDelay
		}
		records = append(records, rec)
	}
	return records
}

// export brings the spans into the order in which they reach a collector: every process sends its own,
// exportSpans at a time, when the last of them has ended.
func export(records []record) {
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(a.end, b.end) })
	byInstance := make([][]int, len(services)*instances)
	for i := range records {
		byInstance[records[i].instance] = append(byInstance[records[i].instance], i)
	}
	for _, own := range byInstance {
		for sent := range slices.Chunk(own, exportSpans) {
			for _, i := range sent {
				records[i].exported = records[sent[len(sent)-1]].end
			}
		}
	}
	slices.SortStableFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.exported, b.exported), cmp.Compare(a.instance, b.instance))
	})
}

// batch groups records by resource and scope, and notes how many attributes each span has.
func (p *pool) batch(records []record) ptrace.Traces {
	slices.SortStableFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.instance, b.instance), cmp.Compare(a.step.scope, b.step.scope))
	})
	td := ptrace.NewTraces()
	var rs ptrace.ResourceSpans
	var ss ptrace.ScopeSpans
	for i := range records {
		rec := &records[i]
		fresh := i == 0 || rec.instance != records[i-1].instance
		if fresh {
			rs = td.ResourceSpans().AppendEmpty()
			putResource(rs.Resource().Attributes(), rec.step.service, rec.instance)
		}
		if fresh || rec.step.scope != records[i-1].step.scope {
			ss = rs.ScopeSpans().AppendEmpty()
			ss.Scope().SetName(rec.step.scope)
			ss.Scope().SetVersion("0.72.0")
		}
		span := ss.Spans().AppendEmpty()
		rec.put(span)
		p.attributes = append(p.attributes, span.Attributes().Len())
	}
	return td
}

func (rec *record) put(span ptrace.Span) {
	var trace [16]byte
	binary.BigEndian.PutUint64(trace[:8], rec.traceHigh)
	binary.BigEndian.PutUint64(trace[8:], rec.traceLow)
	span.SetTraceID(trace)
	span.SetSpanID(spanID(rec.id))
	span.SetParentSpanID(spanID(rec.parent))
	span.SetFlags(0x101)
	if k := rec.step.kind; rec.parent != 0 && (k == server || k == consumer) {
		span.SetFlags(0x301) // the parent is known to be remote
	}
	span.SetName(rec.step.name)
	span.SetKind(rec.step.kind)
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(begin.Add(rec.start)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(begin.Add(rec.end)))
	put(span.Attributes(), rec.step.attrs, rec.order)
	if rec.fails {
		put(span.Attributes(), rec.step.failed, rec.order)
		span.Status().SetCode(ptrace.StatusCodeError)
		if rec.step.kind == client && rec.step.scope == otelsql {
			span.Status().SetMessage("canceling statement due to statement timeout")
		}
	}
}

func salted(id pcommon.SpanID, salt uint64) pcommon.SpanID {
	return spanID(binary.BigEndian.Uint64(id[:]) ^ salt)
}

func spanID(id uint64) (b pcommon.SpanID) {
	binary.BigEndian.PutUint64(b[:], id)
	return b
}

func put(m pcommon.Map, attrs []attribute, order int) {
	for _, a := range attrs {
		switch v := a.value.(type) {
		case int:
			m.PutInt(a.key, int64(v))
		case string:
			m.PutStr(a.key, strings.ReplaceAll(v, "%d", fmt.Sprint(order)))
		}
	}
}

func putResource(m pcommon.Map, service, instance int) {
	name := services[service]
	put(m, []attribute{
		{"service.namespace", "shop"}, {"service.name", name}, {"service.version", "1.14.2"},
		{"service.instance.id", "6f1c7a52-94d1-4c0b-9f27-0000000000%d"},
		{"deployment.environment.name", "production"}, {"host.name", "node-%d"}, {"cloud.availability_zone", "eu-central-1a"},
		{"k8s.cluster.name", "shop"}, {"k8s.namespace.name", "shop"}, {"k8s.node.name", "node-%d"},
		{"k8s.pod.name", name + "-7d9f6c5b8-x2x4%d"}, {"k8s.deployment.name", name},
		{"telemetry.sdk.language", "go"}, {"telemetry.sdk.name", "opentelemetry"}, {"telemetry.sdk.version", "1.47.0"},
	}, instance)
}

// move turns the pool into the given second since begin. Another edition has other trace and span ids. Attributes
// that a component added are taken off.
func (p *pool) move(second, edition int) {
	shift := pcommon.Timestamp(int64(second-p.second) * int64(time.Second))
	salt := spread(edition) ^ spread(p.edition)
	i := 0
	for span := range p.all {
		id := span.TraceID()
		binary.BigEndian.PutUint64(id[:8], binary.BigEndian.Uint64(id[:8])^salt)
		span.SetTraceID(id)
		own, parent := span.SpanID(), span.ParentSpanID()
		span.SetSpanID(salted(own, salt))
		if !parent.IsEmpty() {
			span.SetParentSpanID(salted(parent, salt))
		}
		span.SetStartTimestamp(span.StartTimestamp() + shift)
		span.SetEndTimestamp(span.EndTimestamp() + shift)
		if span.Attributes().Len() != p.attributes[i] {
			restore(span.Attributes())
		}
		i++
	}
	p.second, p.edition = second, edition
}

// all yields the spans in their order.
func (p *pool) all(yield func(ptrace.Span) bool) {
	for _, td := range p.batches {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					if !yield(span) {
						return
					}
				}
			}
		}
	}
}

// restore takes off what our processors added, and the room that was made for it.
func restore(m pcommon.Map) {
	m.RemoveIf(func(key string, _ pcommon.Value) bool {
		return strings.HasPrefix(key, "rca.") || strings.HasPrefix(key, "breaker.")
	})
	tight := pcommon.NewMap()
	m.CopyTo(tight)
	tight.MoveTo(m)
}

// spread turns a small number into 64 bits that look random; 0 stays 0.
func spread(n int) uint64 {
	x := uint64(n) * 0x9E3779B97F4A7C15
	x = (x ^ x>>32) * 0xD6E8FEB86659FD93
	return x ^ x>>32
}
