// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
)

// heldLogs stands between a logs pipeline's rca and what comes next: records that may turn out to belong to an incident
// wait here. Event records do not pass by.
type heldLogs struct {
	*hold[plog.Logs]
	next  consumer.Logs
	sizer plog.ProtoMarshaler
}

func newHeldLogs(e *rcaEngine, next consumer.Logs) *heldLogs {
	h := &heldLogs{next: next}
	h.hold = newHold(e, "logs", &e.heldLogs, e.cfg.LogWait, telemetryKind[plog.Logs]{
		annotate: func(ld plog.Logs) {
			e.contain(func() {
				var marks []logMark
				e.guarded(func() { marks = e.markLogs(ld) })
				e.annotateLogs(marks)
			})
		},
		send:    next.ConsumeLogs,
		mutates: next.Capabilities().MutatesData,
		clone: func(ld plog.Logs) plog.Logs {
			c := plog.NewLogs()
			ld.CopyTo(c)
			return c
		},
		count: plog.Logs.LogRecordCount,
		rest: func(err error) (plog.Logs, bool) {
			var part consumererror.Logs
			if errors.As(err, &part) {
				return part.Data(), true
			}
			return plog.Logs{}, false
		},
	})
	return h
}

func (h *heldLogs) Capabilities() consumer.Capabilities { return h.next.Capabilities() }

// ConsumeLogs hands on what need not wait, and holds the rest once that was taken: when it is refused, its sender has
// all of it still.
func (h *heldLogs) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	if !h.engine.suspecting.Load() {
		return h.next.ConsumeLogs(ctx, ld)
	}
	n := undecided(ld)
	if n == 0 {
		return h.next.ConsumeLogs(ctx, ld)
	}
	reserved := inMemory(h.sizer.LogsSize(ld))
	if !h.reserve(reserved) {
		h.engine.telemetry.unheld(n)
		return h.next.ConsumeLogs(ctx, ld)
	}
	waits := takeUndecided(ld)
	bytes := inMemory(h.sizer.LogsSize(waits))
	if ld.ResourceLogs().Len() > 0 {
		if err := h.next.ConsumeLogs(ctx, ld); err != nil {
			h.held.Add(-reserved)
			if rest, ok := h.kind.rest(err); ok { // its sender may send that only
				all := h.kind.clone(rest)
				waits.ResourceLogs().MoveAndAppendTo(all.ResourceLogs())
				return consumererror.NewLogs(err, all)
			}
			return err
		}
	}
	h.add(ctx, waits, reserved, bytes)
	return nil
}

// mayBelong says that a record is not annotated, and may yet be: it names a trace, or is grave.
func mayBelong(lr plog.LogRecord) bool {
	if lr.TraceID().IsEmpty() && lr.SeverityNumber() < plog.SeverityNumberWarn {
		return false
	}
	_, decided := lr.Attributes().Get(keyIncidentID)
	return !decided
}

func undecided(ld plog.Logs) (n int) {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				if mayBelong(lr) {
					n++
				}
			}
		}
	}
	return n
}

// takeUndecided moves the records that may belong to an incident out of ld, in order, and with them what they leave
// empty.
func takeUndecided(ld plog.Logs) plog.Logs {
	out := plog.NewLogs()
	ld.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
		var toResource plog.ResourceLogs
		taken := false
		rl.ScopeLogs().RemoveIf(func(sl plog.ScopeLogs) bool {
			var to plog.LogRecordSlice
			some := false
			sl.LogRecords().RemoveIf(func(lr plog.LogRecord) bool {
				if !mayBelong(lr) {
					return false
				}
				if !taken {
					taken, toResource = true, out.ResourceLogs().AppendEmpty()
					rl.Resource().CopyTo(toResource.Resource())
					toResource.SetSchemaUrl(rl.SchemaUrl())
				}
				if !some {
					scope := toResource.ScopeLogs().AppendEmpty()
					sl.Scope().CopyTo(scope.Scope())
					scope.SetSchemaUrl(sl.SchemaUrl())
					some, to = true, scope.LogRecords()
				}
				lr.MoveTo(to.AppendEmpty())
				return true
			})
			return some && sl.LogRecords().Len() == 0
		})
		return taken && rl.ScopeLogs().Len() == 0
	})
	return out
}
