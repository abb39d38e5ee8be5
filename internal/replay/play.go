// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay // import "github.com/firebreak-otel/firebreak/internal/replay"

import (
	"context"
	"iter"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
)

// defaultCut is the batch size of shuffled input when none is asked for: the SDKs' default.
const defaultCut = 512

// Options says how an incident is played. The zero value plays it as it was recorded.
type Options struct {
	// Cut is the number of spans or log records in a batch; 0 keeps the recorded requests.
	Cut int
	// Shuffle displaces the arrival of each item from its end by up to this much, at random.
	Shuffle time.Duration
	// Seed picks the shuffle; one seed gives one order.
	Seed uint64
	// Shift moves all timestamps by this much.
	Shift time.Duration
}

// Batch is one request of one signal.
type Batch struct {
	Signal  pipeline.Signal   // traces or logs
	Arrival pcommon.Timestamp // when it would have arrived; never before the batch before it
	Traces  ptrace.Traces     // set for traces
	Logs    plog.Logs         // set for logs
}

// Len is the number of spans or log records in the batch.
func (b *Batch) Len() int {
	if b.Signal == pipeline.SignalLogs {
		return b.Logs.LogRecordCount()
	}
	return b.Traces.SpanCount()
}

// Batches yields copies, traces and logs merged by arrival: the incident can be played again.
// Every item comes with the resource and scope it was recorded with, in the order of its signal.
func (i *Incident) Batches(o Options) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		traces, logs := spans(i.Traces), records(i.Logs)
		if o.Shuffle > 0 {
			traces.shuffle(o.Shuffle, o.Seed)
			logs.shuffle(o.Shuffle, o.Seed)
			if o.Cut == 0 {
				o.Cut = defaultCut
			}
		}
		if o.Cut > 0 {
			traces.cut(o.Cut)
			logs.cut(o.Cut)
		}
		next := pcommon.Timestamp(0)
		for !traces.done() || !logs.done() {
			b := Batch{Signal: pipeline.SignalTraces}
			if traces.done() || !logs.done() && logs.arrival() < traces.arrival() {
				b.Signal = pipeline.SignalLogs
				b.Arrival = logs.arrival()
				b.Logs = copyRecords(logs.take())
				shiftLogs(b.Logs, o.Shift)
			} else {
				b.Arrival = traces.arrival()
				b.Traces = copySpans(traces.take())
				shiftTraces(b.Traces, o.Shift)
			}
			next = max(next, b.Arrival)
			b.Arrival = shift(next, o.Shift)
			if !yield(b) {
				return
			}
		}
	}
}

// Play hands the batches to the consumers of both signals, one at a time, and stops at the first error.
func (i *Incident) Play(ctx context.Context, o Options,
	traces func(context.Context, ptrace.Traces) error, logs func(context.Context, plog.Logs) error,
) error {
	for b := range i.Batches(o) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		if b.Signal == pipeline.SignalLogs {
			err = logs(ctx, b.Logs)
		} else {
			err = traces(ctx, b.Traces)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
