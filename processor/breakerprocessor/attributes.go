// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import "go.opentelemetry.io/collector/pdata/pcommon"

// Attributes of spans and event records. Each key has one type for ever.
const (
	keyName   = "breaker.name"   // string, "caller->callee"
	keyState  = "breaker.state"  // string: closed, open, half_open
	keyAdvice = "breaker.advice" // string: allow, probe, reject
	keyReason = "breaker.reason" // string: why it opened; on the event of closing, why it closed

	// Of event records only.
	keyPreviousState = "breaker.previous_state"  // string
	keyCaller        = "breaker.caller.name"     // string
	keyCallee        = "breaker.callee.name"     // string
	keyCalleeKind    = "breaker.callee.kind"     // string: service, database, messaging, external
	keyFailureRatio  = "breaker.failure.ratio"   // double, 0..1
	keyWindowCalls   = "breaker.window.requests" // int
	keyAttempt       = "breaker.attempt"         // int, from 0
	keyOpenDuration  = "breaker.open.duration"   // double, seconds; only while open
)

const eventStateChanged = "breaker.state_changed"

// Keys of self-telemetry.
const (
	metricProcessor = "processor"
	metricBreaker   = "breaker"
	metricState     = "state"
	metricFrom      = "from"
	metricTo        = "to"
	metricReason    = "reason"
	metricLimit     = "limit"
)

// insert sets an attribute unless the span has it: what its owner wrote stays.
func insert(m pcommon.Map, key, value string) {
	if _, ok := m.Get(key); !ok {
		m.PutStr(key, value)
	}
}
