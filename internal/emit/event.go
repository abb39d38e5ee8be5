// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package emit // import "github.com/firebreak-otel/firebreak/internal/emit"

import (
	"encoding/binary"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Event is one event record in plain values.
type Event struct {
	// Name is the event's fixed, low-cardinality name.
	Name string
	// Time is when it happened, Observed when it was found out, in unix nanoseconds; Observed 0 means now.
	Time, Observed int64
	// Severity by impact. Its text is the severity's short name.
	Severity plog.SeverityNumber
	// TraceID and SpanID are one example span; zero for none.
	TraceID [16]byte
	SpanID  uint64
	// Body is one sentence to show to people.
	Body string
	// Attributes writes the event's flat attributes; called before Emit returns. May be nil.
	Attributes func(pcommon.Map)
}

func (e *Emitter) build(ev *Event) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	e.set.Resource.CopyTo(rl.Resource())
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName(e.set.Scope)
	sl.Scope().SetVersion(e.set.Version)
	lr := sl.LogRecords().AppendEmpty()
	lr.SetEventName(ev.Name)
	lr.SetTimestamp(pcommon.Timestamp(max(ev.Time, 0)))
	observed := ev.Observed
	if observed == 0 {
		observed = time.Now().UnixNano()
	}
	lr.SetObservedTimestamp(pcommon.Timestamp(max(observed, 0)))
	lr.SetSeverityNumber(ev.Severity)
	lr.SetSeverityText(severityText(ev.Severity))
	if ev.TraceID != ([16]byte{}) && ev.SpanID != 0 {
		lr.SetTraceID(ev.TraceID)
		var id [8]byte
		binary.BigEndian.PutUint64(id[:], ev.SpanID)
		lr.SetSpanID(id)
	}
	lr.Body().SetStr(ev.Body)
	if ev.Attributes != nil {
		ev.Attributes(lr.Attributes())
	}
	return ld
}

// severityText is the short name of the severity's range: no numbered names, which backends do not group.
func severityText(n plog.SeverityNumber) string {
	switch {
	case n >= plog.SeverityNumberFatal:
		return "FATAL"
	case n >= plog.SeverityNumberError:
		return "ERROR"
	case n >= plog.SeverityNumberWarn:
		return "WARN"
	case n >= plog.SeverityNumberInfo:
		return "INFO"
	case n >= plog.SeverityNumberDebug:
		return "DEBUG"
	case n >= plog.SeverityNumberTrace:
		return "TRACE"
	}
	return ""
}
