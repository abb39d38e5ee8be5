// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"encoding/binary"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// exporter is what an instance has not sent yet of one signal, by instrumentation scope.
type exporter struct {
	n      int
	traces ptrace.Traces
	logs   plog.Logs
	scopes map[string]int
}

// telemetry sends what instances have to tell.
type telemetry struct {
	s         *Simulation
	threshold uint64 // of trace randomness, 56 bits: below it a trace is not sampled
	state     string // tracestate of what is
	spanDelay int64
	logDelay  int64
	batch     int
}

func (t *telemetry) start(s *Simulation) {
	cfg := &s.scenario.Telemetry
	t.s, t.spanDelay, t.logDelay, t.batch = s, int64(cfg.SpanDelay), int64(cfg.LogDelay), cfg.Batch
	if p := s.axes.Sampling; p < 1 {
		t.threshold = uint64((1 - p) * (1 << 56))
		t.state = "ot=th:" + strings.TrimRight(hex56(t.threshold), "0")
	}
	for _, in := range s.instances {
		t.every(in, t.spanDelay, t.flushSpans)
		t.every(in, t.logDelay, t.flushLogs)
	}
}

func hex56(v uint64) string {
	h := strconv.FormatUint(v, 16)
	return strings.Repeat("0", 14-len(h)) + h
}

// every has an instance send what it has at its own beat. A paused process sends nothing; a crashed one has nothing.
func (t *telemetry) every(in *instance, delay int64, flush func(*instance)) {
	var beat func()
	beat = func() {
		if t.s.now < in.paused {
			t.s.at(in.paused, beat)
			return
		}
		flush(in)
		t.s.after(delay, beat)
	}
	t.s.after(int64(t.s.marks.Float64()*float64(delay)), beat)
}

func (t *telemetry) flush(in *instance) {
	t.flushSpans(in)
	t.flushLogs(in)
}

func (t *telemetry) flushSpans(in *instance) {
	if in.spans.n == 0 {
		return
	}
	td := in.spans.traces
	in.spans = exporter{}
	t.send(func(at int64) replay.Batch {
		return replay.Batch{Signal: pipeline.SignalTraces, Arrival: pcommon.Timestamp(at), Traces: td}
	})
}

func (t *telemetry) flushLogs(in *instance) {
	if in.records.n == 0 {
		return
	}
	ld := in.records.logs
	in.records = exporter{}
	t.send(func(at int64) replay.Batch {
		return replay.Batch{Signal: pipeline.SignalLogs, Arrival: pcommon.Timestamp(at), Logs: ld}
	})
}

// send delivers a batch after its way, and after the disorder of this run.
func (t *telemetry) send(batch func(at int64) replay.Batch) {
	d := 2e6 + 20e6*t.s.marks.Float64() + t.s.marks.Float64()*float64(t.s.axes.Disorder)
	at := t.s.now + int64(d)
	t.s.at(at, func() { t.s.out = append(t.s.out, batch(at)) })
}

// spansOf is where an instance's spans of a scope go.
func (t *telemetry) spansOf(in *instance, scope string) ptrace.SpanSlice {
	e := &in.spans
	if e.n == 0 {
		e.traces, e.scopes = ptrace.NewTraces(), map[string]int{}
		rs := e.traces.ResourceSpans().AppendEmpty()
		t.resource(in, rs.Resource())
		rs.SetSchemaUrl(schemaURL)
	}
	e.n++
	all := e.traces.ResourceSpans().At(0).ScopeSpans()
	i, ok := e.scopes[scope]
	if !ok {
		i = all.Len()
		e.scopes[scope] = i
		all.AppendEmpty().Scope().SetName(scope)
	}
	return all.At(i).Spans()
}

func (t *telemetry) recordsOf(in *instance) plog.LogRecordSlice {
	e := &in.records
	if e.n == 0 {
		e.logs = plog.NewLogs()
		rl := e.logs.ResourceLogs().AppendEmpty()
		t.resource(in, rl.Resource())
		rl.SetSchemaUrl(schemaURL)
		rl.ScopeLogs().AppendEmpty().Scope().SetName(t.s.scenario.System.Namespace + "/" + in.svc.name)
	}
	e.n++
	return e.logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
}

const schemaURL = "https://opentelemetry.io/schemas/1.43.0"

func (t *telemetry) resource(in *instance, r pcommon.Resource) {
	a := r.Attributes()
	a.EnsureCapacity(10)
	a.PutStr("service.namespace", t.s.scenario.System.Namespace)
	a.PutStr("service.name", in.svc.name)
	a.PutStr("service.instance.id", in.id)
	a.PutStr("service.version", in.version)
	a.PutStr("host.name", in.host.name)
	a.PutStr("k8s.node.name", in.host.name)
	a.PutStr("k8s.pod.name", in.id)
	a.PutStr("cloud.availability_zone", in.host.zone)
	a.PutStr("telemetry.sdk.name", "opentelemetry")
	language := "go"
	if t.style(in) != styleGo {
		language = "java"
	}
	a.PutStr("telemetry.sdk.language", language)
}

// keep says whether a span of a trace is written at all.
func (s *Simulation) keep(in *instance, tr *trace) bool {
	switch {
	case !in.svc.instrumented:
		s.counts.Uncovered++
		return false
	case !tr.sampled:
		s.counts.Unsampled++
		return false
	case s.uncovered(in):
		s.counts.Uncovered++
		return false
	case s.axes.Loss > 0 && s.marks.Float64() < s.axes.Loss, s.loses(in):
		s.counts.Lost++
		return false
	}
	s.counts.Spans++
	return true
}

func (s *Simulation) uncovered(in *instance) bool {
	for _, f := range s.active["uncover"] {
		if f.on(in, "") {
			return true
		}
	}
	return false
}

func (s *Simulation) loses(in *instance) bool {
	for _, f := range s.active["lose"] {
		if f.on(in, "") && s.marks.Float64() < f.Ratio {
			return true
		}
	}
	return false
}

// newTrace begins a trace and decides at once whether it is sampled.
func (s *Simulation) newTrace() *trace {
	tr := &trace{sampled: true}
	binary.BigEndian.PutUint64(tr.id[:], s.marks.Uint64()|1)
	binary.BigEndian.PutUint64(tr.id[8:], s.marks.Uint64())
	if t := s.telemetry.threshold; t > 0 {
		tr.sampled = binary.BigEndian.Uint64(tr.id[8:])&(1<<56-1) >= t
	}
	return tr
}

// newID is a span's id.
func (s *Simulation) newID() uint64 { return s.marks.Uint64() | 1 }
