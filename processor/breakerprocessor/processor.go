// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

// batch is the scratch memory for one ptrace.Traces.
type batch struct {
	calls call.Batch
	marks []engine.Mark
}

// processTraces reads the spans, learns from them, and annotates the calls on edges whose breaker is not
// closed. The spans come out as they came in otherwise, whatever happens here.
func (e *breakerEngine) processTraces(_ context.Context, td ptrace.Traces) (ptrace.Traces, error) {
	b := e.batches.Get().(*batch)
	if e.contain(func() { e.analyse(td, b) }) { // else b may be half written: it is not used again
		e.batches.Put(b)
	}
	return td, nil
}

func (e *breakerEngine) analyse(td ptrace.Traces, b *batch) {
	e.read(&b.calls, td)
	e.learn(b)
	e.annotate(td, b)
	b.calls.Reset()
}

// annotate writes what is known of the edge of each marked call.
func (e *breakerEngine) annotate(td ptrace.Traces, b *batch) {
	for _, m := range b.marks {
		c := &b.calls.Calls[m.Call]
		span := td.ResourceSpans().At(int(c.ResourceSpans)).ScopeSpans().At(int(c.ScopeSpans)).Spans().At(int(c.Span))
		write(span.Attributes(), &m)
		e.telemetry.annotated[m.State].Add(1)
	}
}

// write writes what is known of a call, or of a caller, into the attributes of its record.
func write(attrs pcommon.Map, m *engine.Mark) {
	insert(attrs, keyName, m.Name)
	insert(attrs, keyState, m.State.String())
	if m.Origin != engine.OriginUnknown {
		insert(attrs, keyOrigin, m.Origin.String())
	}
	if m.State != circuit.Closed {
		insert(attrs, keyAdvice, decision.For(m.State))
		insert(attrs, keyReason, m.Reason)
	}
}

// processLogs annotates the records of services whose calls are advised against. Nothing is parsed while there are none.
func (e *breakerEngine) processLogs(ld plog.Logs) {
	open := *e.open.Load()
	if len(open) == 0 {
		return
	}
	for _, rl := range ld.ResourceLogs().All() {
		resource := call.ReadResource(rl.Resource().Attributes())
		m, ok := open[resource.Key()]
		if !ok {
			continue
		}
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				write(lr.Attributes(), &m)
			}
			e.telemetry.annotatedLogs.Add(int64(sl.LogRecords().Len()))
		}
	}
}
