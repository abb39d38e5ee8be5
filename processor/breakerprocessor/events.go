// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

// eventOf makes the event record of a change of state. Both of its times are the event time of the decision.
func eventOf(c *engine.Change) emit.Event {
	ev := emit.Event{
		Name:     eventStateChanged,
		Time:     c.Since,
		Observed: c.Since,
		Severity: plog.SeverityNumberInfo,
		TraceID:  c.TraceID,
		SpanID:   c.SpanID,
		Body:     c.Sentence(),
	}
	if c.State == circuit.Open.String() {
		ev.Severity = plog.SeverityNumberWarn
	}
	ev.Attributes = func(m pcommon.Map) {
		m.PutStr(keyName, c.Name)
		m.PutStr(keyState, c.State)
		m.PutStr(keyPreviousState, c.Previous)
		m.PutStr(keyAdvice, c.Advice.Advice)
		m.PutStr(keyReason, c.Reason)
		m.PutStr(keyCaller, c.Caller)
		m.PutStr(keyCallee, c.Callee)
		m.PutStr(keyCalleeKind, c.Kind)
		m.PutDouble(keyFailureRatio, c.FailureRatio)
		m.PutInt(keyWindowCalls, int64(c.Calls))
		m.PutInt(keyAttempt, int64(c.Attempt))
		if c.Until != 0 {
			m.PutDouble(keyOpenDuration, time.Duration(c.Until-c.Since).Seconds())
		}
	}
	return ev
}
