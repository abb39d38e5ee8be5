// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import "go.opentelemetry.io/collector/pdata/pcommon"

// Attributes of spans, log records and event records. Each key has one type for ever.
const (
	keyName   = "breaker.name"   // string, "caller->callee", and the operation where the breaker is of one
	keyState  = "breaker.state"  // string: closed, open, half_open, forced_open, disabled
	keyAdvice = "breaker.advice" // string: allow, probe, reject
	keyReason = "breaker.reason" // string: why it opened; on the event of closing, why it closed

	// Of spans only.
	keyOrigin = "breaker.failure.origin" // string: self, propagated

	// Of event records only.
	keyPreviousState     = "breaker.previous_state"           // string
	keyEnforced          = "breaker.enforced"                 // bool, false: no call was stopped
	keyCaller            = "breaker.caller.name"              // string
	keyCallee            = "breaker.callee.name"              // string
	keyCalleeKind        = "breaker.callee.kind"              // string: service, database, messaging, external
	keyOperation         = "breaker.operation"                // string
	keyFailureRatio      = "breaker.failure.ratio"            // double, 0..1
	keySlowRatio         = "breaker.slow.ratio"               // double, 0..1
	keyWindowCalls       = "breaker.window.requests"          // int
	keyAttempt           = "breaker.attempt"                  // int, from 0
	keyOpenDuration      = "breaker.open.duration"            // double, seconds; only while open
	keyAdmitShare        = "breaker.admit.ratio"              // double, 0..1
	keyWithheld          = "breaker.suppressed.reason"        // string
	keyOver              = "breaker.over"                     // bool: what the event is named after has ended
	keyConcurrencyLimit  = "breaker.concurrency.limit"        // int
	keyInFlightMax       = "breaker.in_flight.max"            // int
	keyInFlightMean      = "breaker.in_flight.mean"           // double
	keyPropagation       = "breaker.propagation.ratio"        // double, 0..1
	keyFallback          = "breaker.fallback"                 // bool: most failures are absorbed
	keyEntries           = "breaker.blast.ratio"              // double, 0..1, of all requests
	keyUpstreams         = "breaker.blast.services"           // string, names with commas
	keyAmplification     = "breaker.retry.amplification"      // double, from 1
	keyPathAmplification = "breaker.retry.path_amplification" // double, from 1
	keyAttempts          = "breaker.retry.attempts"           // int
	keyRequests          = "breaker.retry.requests"           // int
	keyRetryBudget       = "breaker.retry.budget"             // double, 0..1
	keyRetryLayer        = "breaker.retry.layer"              // string, the name of an edge
	keyMetastable        = "breaker.retry.metastable"         // bool
	keyEject             = "breaker.eject.instances"          // string, names with commas
	keyDegradedCallers   = "breaker.caller.instances"         // string, names with commas
	keyWait              = "breaker.backlog.wait"             // double, seconds
)

// Keys of self-telemetry.
const (
	metricProcessor = "processor"
	metricBreaker   = "breaker"
	metricState     = "state"
	metricFrom      = "from"
	metricTo        = "to"
	metricReason    = "reason"
	metricLimit     = "limit"
	metricEvent     = "event"
)

// insert sets an attribute unless the span has it: what its owner wrote stays.
func insert(m pcommon.Map, key, value string) {
	if _, ok := m.Get(key); !ok {
		m.PutStr(key, value)
	}
}
