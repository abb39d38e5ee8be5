// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
)

// holds says that something may be held back.
func (c *Config) holds() bool { return c.TraceWait > 0 || c.LogWait > 0 }

// heldBytes is what each signal's share of limits::held_bytes is: none can take the room of the other.
func (c *Config) heldBytes() int64 {
	if c.TraceWait > 0 && c.LogWait > 0 {
		return int64(c.Limits.HeldBytes) / 2
	}
	return int64(c.Limits.HeldBytes)
}

func (e *rcaEngine) heldBytes() int64 { return e.heldSpans.Load() + e.heldLogs.Load() }

// note has the watch follow the traces of a batch that look bad. Where their spans are held they are not annotated now.
// The lock must be held.
func (e *rcaEngine) note(b *batch) {
	if !e.traces.Of(e.core) {
		e.traces = engine.NewWatch(e.core, e.cfg.Limits.HurtTraces)
	}
	if !e.traces.Suspecting() {
		return
	}
	e.traces.Note(&b.calls)
	if e.cfg.TraceWait > 0 {
		b.marks = slices.DeleteFunc(b.marks, func(m engine.Mark) bool { return e.traces.Has(trace.ID(b.calls.Calls[m.Call].TraceID)) })
	}
}

// heldTraces stands between a traces pipeline's rca and what comes next: spans of traces that look bad wait here.
type heldTraces struct {
	*hold[ptrace.Traces]
	next  consumer.Traces
	sizer ptrace.ProtoMarshaler
}

func newHeldTraces(e *rcaEngine, next consumer.Traces) *heldTraces {
	h := &heldTraces{next: next}
	h.hold = newHold(e, "traces", &e.heldSpans, e.cfg.TraceWait, telemetryKind[ptrace.Traces]{
		annotate: func(td ptrace.Traces) { e.markAgain(td, nil) },
		send:     next.ConsumeTraces,
		mutates:  next.Capabilities().MutatesData,
		clone: func(td ptrace.Traces) ptrace.Traces {
			c := ptrace.NewTraces()
			td.CopyTo(c)
			return c
		},
		count: ptrace.Traces.SpanCount,
		rest: func(err error) (ptrace.Traces, bool) {
			var part consumererror.Traces
			if errors.As(err, &part) {
				return part.Data(), true
			}
			return ptrace.Traces{}, false
		},
	})
	return h
}

func (h *heldTraces) Capabilities() consumer.Capabilities { return h.next.Capabilities() }

// ConsumeTraces hands on what need not wait, and holds the rest once that was taken: when it is refused, its sender
// has all of it still.
func (h *heldTraces) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	if !h.engine.suspecting.Load() {
		return h.next.ConsumeTraces(ctx, td)
	}
	bad := h.engine.badTraces(td)
	if len(bad) == 0 {
		return h.next.ConsumeTraces(ctx, td)
	}
	reserved := inMemory(h.sizer.TracesSize(td))
	if !h.reserve(reserved) {
		h.engine.telemetry.unheld(h.engine.markAgain(td, bad))
		return h.next.ConsumeTraces(ctx, td)
	}
	waits := takeSpans(td, bad)
	bytes := inMemory(h.sizer.TracesSize(waits))
	if td.ResourceSpans().Len() > 0 {
		if err := h.next.ConsumeTraces(ctx, td); err != nil {
			h.held.Add(-reserved)
			if rest, ok := h.kind.rest(err); ok { // its sender may send that only
				all := h.kind.clone(rest)
				waits.ResourceSpans().MoveAndAppendTo(all.ResourceSpans())
				return consumererror.NewTraces(err, all)
			}
			return err
		}
	}
	h.add(ctx, waits, reserved, bytes)
	return nil
}

// inMemory is what telemetry takes in memory that takes so many bytes on the wire: 2.7 to 3.2 times that, measured on the
// simulator's spans and log records, and rather too much than too little.
func inMemory(wire int) int64 { return 4 * int64(wire) }

// badTraces returns the traces that look bad.
func (e *rcaEngine) badTraces(td ptrace.Traces) (bad map[trace.ID]bool) {
	e.guarded(func() {
		if !e.traces.Of(e.core) {
			return
		}
		eachSpan(td, func(s ptrace.Span) {
			if id := trace.ID(s.TraceID()); e.traces.Has(id) {
				if bad == nil {
					bad = map[trace.ID]bool{}
				}
				bad[id] = true
			}
		})
	})
	return bad
}

// markAgain annotates spans that were learned before by what is known now: those of the given traces, all where that
// is nil. It returns how many there are.
func (e *rcaEngine) markAgain(td ptrace.Traces, of map[trace.ID]bool) (n int) {
	e.read(td, func(b *batch) {
		e.guarded(func() {
			if e.traces.Of(e.core) {
				b.marks = e.traces.Mark(&b.calls, b.marks)
			}
		})
		if of != nil {
			b.marks = slices.DeleteFunc(b.marks, func(m engine.Mark) bool { return !of[trace.ID(b.calls.Calls[m.Call].TraceID)] })
		}
	})
	eachSpan(td, func(s ptrace.Span) {
		if of == nil || of[trace.ID(s.TraceID())] {
			n++
		}
	})
	return n
}

func eachSpan(td ptrace.Traces, do func(ptrace.Span)) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				do(s)
			}
		}
	}
}

// takeSpans moves the spans of the given traces out of td, in order, and with them what they leave empty.
func takeSpans(td ptrace.Traces, of map[trace.ID]bool) ptrace.Traces {
	out := ptrace.NewTraces()
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		var toResource ptrace.ResourceSpans
		taken := false
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			var to ptrace.SpanSlice
			some := false
			ss.Spans().RemoveIf(func(s ptrace.Span) bool {
				if !of[trace.ID(s.TraceID())] {
					return false
				}
				if !taken {
					taken, toResource = true, out.ResourceSpans().AppendEmpty()
					rs.Resource().CopyTo(toResource.Resource())
					toResource.SetSchemaUrl(rs.SchemaUrl())
				}
				if !some {
					scope := toResource.ScopeSpans().AppendEmpty()
					ss.Scope().CopyTo(scope.Scope())
					scope.SetSchemaUrl(ss.SchemaUrl())
					some, to = true, scope.Spans()
				}
				s.MoveTo(to.AppendEmpty())
				return true
			})
			return some && ss.Spans().Len() == 0
		})
		return taken && rs.ScopeSpans().Len() == 0
	})
	return out
}
