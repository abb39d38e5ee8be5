// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// dayWriter makes batches of the day without building a span anew for each call: a span that was written once is
// moved into a batch, sent, and moved back. The processor keeps none.
type dayWriter struct {
	origin    time.Time
	shelves   []ptrace.Traces // by the number of spans
	resources [][dayReplicas]pcommon.Resource
	spares    [][dayCallees][2]spares // by caller; the second of each two failed
	taken     []ptrace.Span
}

type spares []ptrace.Span

func newDayWriter(origin time.Time, callers int) *dayWriter {
	w := &dayWriter{origin: origin, resources: make([][dayReplicas]pcommon.Resource, callers), spares: make([][dayCallees][2]spares, callers)}
	for caller := range w.resources {
		for i := range dayReplicas {
			res := pcommon.NewResource()
			resource(res.Attributes(), fmt.Sprintf("caller%02d", caller), i)
			w.resources[caller][i] = res
		}
	}
	return w
}

// shelf is a batch of n empty spans.
func (w *dayWriter) shelf(n int) ptrace.Traces {
	for len(w.shelves) <= n {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for range len(w.shelves) {
			spans.AppendEmpty()
		}
		w.shelves = append(w.shelves, td)
	}
	return w.shelves[n]
}

func (w *dayWriter) take(from *spares, caller int, c *dayCall) ptrace.Span {
	if n := len(*from); n > 0 {
		span := (*from)[n-1]
		*from = (*from)[:n-1]
		return span
	}
	failure := None
	if c.failed {
		failure = Unavailable
	}
	span := ptrace.NewSpan()
	name := fmt.Sprintf("db%02d-%02d", caller, c.callee)
	sqlClient(span, name, name+".internal", failure)
	return span
}

// send gives the calls of a replica to the processor.
func (w *dayWriter) send(ctx context.Context, to consumer.Traces, caller, replica int, calls []dayCall) error {
	td := w.shelf(len(calls))
	rs := td.ResourceSpans().At(0)
	own := w.resources[caller][replica]
	own.MoveTo(rs.Resource())
	spans := rs.ScopeSpans().At(0).Spans()
	origin := w.origin.UnixNano()
	w.taken = w.taken[:0]
	for i := range calls {
		c := &calls[i]
		span := w.take(w.spare(caller, c), caller, c)
		span.SetTraceID(traceID(c.id))
		span.SetSpanID(spanID(c.id, clientSpan))
		span.SetStartTimestamp(pcommon.Timestamp(origin + int64(c.start)))
		span.SetEndTimestamp(pcommon.Timestamp(origin + int64(c.end)))
		span.MoveTo(spans.At(i))
		w.taken = append(w.taken, span)
	}
	err := to.ConsumeTraces(ctx, td)
	rs.Resource().MoveTo(own)
	for i := range calls {
		span := w.taken[i]
		spans.At(i).MoveTo(span)
		clean(span.Attributes())
		from := w.spare(caller, &calls[i])
		*from = append(*from, span)
	}
	return err
}

func (w *dayWriter) spare(caller int, c *dayCall) *spares {
	if c.failed {
		return &w.spares[caller][c.callee][1]
	}
	return &w.spares[caller][c.callee][0]
}

// sqlAttributes is how many sqlClient writes for a call that succeeds; one that fails has more.
const sqlAttributes = 7

// clean takes off what the processor added.
func clean(attrs pcommon.Map) {
	if attrs.Len() > sqlAttributes {
		attrs.RemoveIf(func(key string, _ pcommon.Value) bool { return strings.HasPrefix(key, "breaker.") })
	}
}
