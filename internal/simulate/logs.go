// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func itoa(n int) string { return strconv.Itoa(n) }

// exceptionEvent is what Java's and SQL instrumentations put on failed spans.
func (s *Simulation) exceptionEvent(span ptrace.Span, in *instance, r result, style style) {
	kind := r.code
	if kind == "" || !r.answer && r.kind != failError {
		kind, _ = transportError(r, style)
	}
	if style == styleGo && span.Kind() != ptrace.SpanKindClient && r.code == "" {
		return // otelhttp and otelgrpc record none
	}
	if kind == "*net.OpError" && r.kind == failError {
		kind = "*errors.errorString"
	}
	e := span.Events().AppendEmpty()
	e.SetName("exception")
	e.SetTimestamp(pcommon.Timestamp(s.now + in.host.skew))
	e.Attributes().PutStr("exception.type", kind)
	e.Attributes().PutStr("exception.message", r.message)
}

// outcome is the line that an operation writes at its end.
func (s *Simulation) outcome(a *act, r result) {
	switch {
	case r.ok() && !r.done:
		s.log(a, "INFO", a.op.name+" done")
	case r.ok():
	case r.kind == failRejected:
		s.log(a, "WARN", a.op.name+" refused: "+r.message)
	default:
		s.log(a, "ERROR", a.op.name+" failed: "+or0(r.message, "internal error"))
	}
}

// warn is the line about a failure that is not passed on.
func (s *Simulation) warn(a *act, r result) {
	s.log(a, "WARN", a.op.name+" goes on without: "+r.message)
}

// exception is the line about what was caught and forgotten.
func (s *Simulation) exception(a *act, f *Fault) {
	s.log(a, "ERROR", or0(f.Message, "unexpected exception in "+a.op.name+", ignored"))
}

// log writes a line in the context of an operation.
func (s *Simulation) log(a *act, level, text string) {
	if !s.axes.Logs || s.uncovered(a.in) {
		return
	}
	lr := s.record(a.in, level, text)
	lr.SetTraceID(a.tr.id)
	if a.span != 0 {
		lr.SetSpanID(spanID(a.span))
	}
	if a.tr.sampled {
		lr.SetFlags(plog.DefaultLogRecordFlags.WithIsSampled(true))
	}
	s.written(a.in)
}

// log2 writes a line of the process itself.
func (s *Simulation) log2(in *instance, level, text string) {
	if s.axes.Logs {
		s.record(in, level, text)
		s.written(in)
	}
}

func (s *Simulation) record(in *instance, level, text string) plog.LogRecord {
	s.counts.Logs++
	lr := s.telemetry.recordsOf(in).AppendEmpty()
	lr.SetTimestamp(pcommon.Timestamp(s.now + in.host.skew))
	lr.SetObservedTimestamp(pcommon.Timestamp(s.now + in.host.skew))
	lr.SetSeverityText(level)
	lr.SetSeverityNumber(severities[level])
	lr.Body().SetStr(text)
	return lr
}

func (s *Simulation) written(in *instance) {
	if in.records.n >= s.telemetry.batch && s.now >= in.paused {
		s.telemetry.flushLogs(in)
	}
}

var severities = map[string]plog.SeverityNumber{
	"DEBUG": plog.SeverityNumberDebug, "INFO": plog.SeverityNumberInfo, "WARN": plog.SeverityNumberWarn,
	"ERROR": plog.SeverityNumberError, "FATAL": plog.SeverityNumberFatal,
}
