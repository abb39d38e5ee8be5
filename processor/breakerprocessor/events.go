// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
)

// eventOf makes the record of an event. Both of its times are the event time of the decision.
func eventOf(e *decision.Event) emit.Event {
	return emit.Event{
		Name:       e.Name,
		Time:       e.At,
		Observed:   e.At,
		Severity:   severityOf(e),
		TraceID:    e.TraceID,
		SpanID:     e.SpanID,
		Body:       e.Sentence(),
		Attributes: func(m pcommon.Map) { eventAttributes(e, m) },
	}
}

// severityOf is WARN for what a person may want to act on, INFO for what ends it.
func severityOf(e *decision.Event) plog.SeverityNumber {
	if e.Over || e.Name == decision.StateChanged && e.Advice.Advice != decision.Reject {
		return plog.SeverityNumberInfo
	}
	return plog.SeverityNumberWarn
}

func eventAttributes(e *decision.Event, m pcommon.Map) {
	m.PutStr(keyName, e.Edge.Name)
	m.PutStr(keyState, e.State)
	m.PutStr(keyAdvice, e.Advice.Advice)
	m.PutBool(keyEnforced, e.Enforced)
	m.PutStr(keyCaller, e.Caller)
	m.PutStr(keyCallee, e.Callee)
	m.PutStr(keyCalleeKind, e.Kind)
	putStr(m, keyOperation, e.Operation)
	m.PutDouble(keyFailureRatio, e.FailureRatio)
	m.PutInt(keyWindowCalls, int64(e.Calls))
	switch e.Name {
	case decision.StateChanged:
		changeAttributes(e, m)
	case decision.Suppressed:
		m.PutStr(keyReason, e.Rule)
		m.PutStr(keyWithheld, e.Withheld)
	case decision.RetryStorm:
		m.PutBool(keyOver, e.Over)
		m.PutBool(keyMetastable, e.Retries.Metastable)
		m.PutDouble(keyAmplification, e.Amplification())
		m.PutDouble(keyPathAmplification, e.Retries.PathAmplification)
		m.PutDouble(keyRetryBudget, e.Retries.Budget)
		m.PutInt(keyAttempts, int64(e.Attempts))
		m.PutInt(keyRequests, int64(e.Requests))
		putStr(m, keyRetryLayer, e.Retries.Layer)
	case decision.InstanceDegraded:
		m.PutBool(keyOver, e.Over)
		putStr(m, keyEject, strings.Join(e.Eject, ","))
		putStr(m, keyDegradedCallers, strings.Join(e.DegradedCallers, ","))
	case decision.Backlog:
		m.PutBool(keyOver, e.Over)
		m.PutDouble(keyWait, time.Duration(e.Wait).Seconds())
	case decision.Stalled:
		m.PutBool(keyOver, e.Over)
	}
}

func changeAttributes(e *decision.Event, m pcommon.Map) {
	m.PutStr(keyPreviousState, e.Previous)
	m.PutStr(keyReason, e.Reason)
	m.PutInt(keyAttempt, int64(e.Attempt))
	m.PutDouble(keyAdmitShare, e.AdmitShare)
	if e.SlowRatio > 0 {
		m.PutDouble(keySlowRatio, e.SlowRatio)
	}
	if e.Until > e.Since {
		m.PutDouble(keyOpenDuration, time.Duration(e.Until-e.Since).Seconds())
	}
	if e.ConcurrencyLimit > 0 {
		m.PutInt(keyConcurrencyLimit, int64(e.ConcurrencyLimit))
	}
	if e.State == circuit.Open.String() && e.InFlightMax > 0 {
		m.PutInt(keyInFlightMax, int64(e.InFlightMax))
		m.PutDouble(keyInFlightMean, e.InFlight)
	}
	if e.Effects.Entries > 0 {
		m.PutDouble(keyPropagation, e.Effects.Propagation)
		m.PutBool(keyFallback, e.Effects.Fallback)
		m.PutDouble(keyEntries, e.Effects.Entries)
		putStr(m, keyUpstreams, strings.Join(e.Effects.Upstreams, ","))
	}
}

func putStr(m pcommon.Map, key, value string) {
	if value != "" {
		m.PutStr(key, value)
	}
}
