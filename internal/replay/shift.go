// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay // import "github.com/firebreak-otel/firebreak/internal/replay"

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// shift moves a timestamp; an unset one stays unset.
func shift(t pcommon.Timestamp, d time.Duration) pcommon.Timestamp {
	if t == 0 {
		return 0
	}
	return pcommon.Timestamp(int64(t) + int64(d))
}

func shiftTraces(td ptrace.Traces, d time.Duration) {
	if d == 0 {
		return
	}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				span.SetStartTimestamp(shift(span.StartTimestamp(), d))
				span.SetEndTimestamp(shift(span.EndTimestamp(), d))
				for _, ev := range span.Events().All() {
					ev.SetTimestamp(shift(ev.Timestamp(), d))
				}
			}
		}
	}
}

func shiftLogs(ld plog.Logs, d time.Duration) {
	if d == 0 {
		return
	}
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				lr.SetTimestamp(shift(lr.Timestamp(), d))
				lr.SetObservedTimestamp(shift(lr.ObservedTimestamp(), d))
			}
		}
	}
}
