// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/firebreak-otel/firebreak/internal/keys"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
)

// Attributes of spans, log records and event records. Each key has one type for ever.
const (
	keyName   = "breaker.name"
	keyState  = "breaker.state"
	keyAdvice = "breaker.advice"
	keyReason = "breaker.reason"

	// Of spans only.
	keyOrigin = "breaker.failure.origin"

	// Of event records only.
	keyPreviousState     = "breaker.previous_state"
	keyEnforced          = "breaker.enforced"
	keyCaller            = "breaker.caller.name"
	keyCallee            = "breaker.callee.name"
	keyCalleeKind        = "breaker.callee.kind"
	keyOperation         = "breaker.operation"
	keyFailureRatio      = "breaker.failure.ratio"
	keySlowRatio         = "breaker.slow.ratio"
	keyWindowCalls       = "breaker.window.requests"
	keyAttempt           = "breaker.attempt"
	keyOpenDuration      = "breaker.open.duration"
	keyAdmitShare        = "breaker.admit.ratio"
	keyWithheld          = "breaker.suppressed.reason"
	keyOver              = "breaker.over"
	keyConcurrencyLimit  = "breaker.concurrency.limit"
	keyInFlightMax       = "breaker.in_flight.max"
	keyInFlightMean      = "breaker.in_flight.mean"
	keyPropagation       = "breaker.propagation.ratio"
	keyFallback          = "breaker.fallback"
	keyEntries           = "breaker.blast.ratio"
	keyUpstreams         = "breaker.blast.services"
	keyAmplification     = "breaker.retry.amplification"
	keyPathAmplification = "breaker.retry.path_amplification"
	keyAttempts          = "breaker.retry.attempts"
	keyRequests          = "breaker.retry.requests"
	keyRetryBudget       = "breaker.retry.budget"
	keyRetryLayer        = "breaker.retry.layer"
	keyMetastable        = "breaker.retry.metastable"
	keyEject             = "breaker.eject.instances"
	keyDegradedCallers   = "breaker.caller.instances"
	keyWait              = "breaker.backlog.wait"
)

// Attributes returns what the processor writes, key by key.
func Attributes() []keys.Key {
	const (
		all     = keys.Spans | keys.Logs | keys.Events
		changed = decision.StateChanged
		storm   = decision.RetryStorm
		replica = decision.InstanceDegraded
	)
	return []keys.Key{
		{Name: keyName, In: all, Type: keys.String, Example: "orders->postgresql/shop", Meaning: "caller->callee, and the operation where the breaker is of one"},
		{Name: keyState, In: all, Type: keys.String, Example: "open", Meaning: "when the item passed by: `closed`, `open`, `half_open`, `forced_open`, `disabled`"},
		{Name: keyAdvice, In: all, Type: keys.String, Example: "reject", Meaning: "`allow`, `probe`, `reject`; on spans and log records only where the breaker is not closed"},
		{Name: keyReason, In: all, Type: keys.String, Example: "failure_load", Meaning: "why it opened; on the record of its closing why it closed, on `breaker.suppressed` the rule that said open"},
		{Name: keyOrigin, In: keys.Spans, Type: keys.String, Example: "propagated", Meaning: "where the failures of this edge begin at present: `self` or `propagated`"},

		{Name: keyEnforced, In: keys.Events, Type: keys.Bool, Example: "false", Meaning: "always false: no call was stopped"},
		{Name: keyCaller, In: keys.Events, Type: keys.String, Example: "shop/orders", Meaning: "who calls; `unknown` where only the callee sends spans"},
		{Name: keyCallee, In: keys.Events, Type: keys.String, Example: "postgresql/shop", Meaning: "who is called"},
		{Name: keyCalleeKind, In: keys.Events, Type: keys.String, Example: "database", Meaning: "`service`, `database`, `messaging`, `external`"},
		{Name: keyOperation, In: keys.Events, Type: keys.String, Example: "SELECT stock", Meaning: "the operation, where the breaker is of one"},
		{Name: keyFailureRatio, In: keys.Events, Type: keys.Double, Example: "0.64", Meaning: "share of the calls in the window that failed, 0 to 1"},
		{Name: keyWindowCalls, In: keys.Events, Type: keys.Int, Example: "114", Meaning: "calls in the window"},
		{Name: keyOver, In: keys.Events, Type: keys.Bool, Example: "true", Meaning: "what the record is named after has ended; not on `breaker.state_changed` and `breaker.suppressed`"},

		{Name: keyPreviousState, In: keys.Events, Type: keys.String, Example: "closed", Only: changed, Meaning: "the state before"},
		{Name: keyAttempt, In: keys.Events, Type: keys.Int, Example: "0", Only: changed, Meaning: "how often in a row it opened again, from 0"},
		{Name: keyAdmitShare, In: keys.Events, Type: keys.Double, Example: "0.1", Only: changed, Meaning: "share of the calls that should be made, 0 to 1"},
		{Name: keySlowRatio, In: keys.Events, Type: keys.Double, Example: "0.92", Only: changed, Meaning: "share of the calls in the window that were slow, 0 to 1"},
		{Name: keyOpenDuration, In: keys.Events, Type: keys.Double, Example: "5.2", Only: changed, Meaning: "seconds that it stays open"},
		{Name: keyConcurrencyLimit, In: keys.Events, Type: keys.Int, Example: "12", Only: changed, Meaning: "calls that should be in flight at most: 1.3 times what 95 % of healthy windows had on average; bursts shorter than a window are not in it"},
		{Name: keyInFlightMax, In: keys.Events, Type: keys.Int, Example: "48", Only: changed, Meaning: "when it opens: calls at a time in the window, at most"},
		{Name: keyInFlightMean, In: keys.Events, Type: keys.Double, Example: "31.5", Only: changed, Meaning: "when it opens: calls at a time in the window, on average"},
		{Name: keyPropagation, In: keys.Events, Type: keys.Double, Example: "0.97", Only: changed, Meaning: "share of the failures that made the caller fail, 0 to 1"},
		{Name: keyFallback, In: keys.Events, Type: keys.Bool, Example: "false", Only: changed, Meaning: "most failures are absorbed"},
		{Name: keyEntries, In: keys.Events, Type: keys.Double, Example: "0.18", Only: changed, Meaning: "share of all requests that it reaches, 0 to 1"},
		{Name: keyUpstreams, In: keys.Events, Type: keys.String, Example: "shop/gateway,shop/orders", Only: changed, Meaning: "the services above that it reaches, with commas"},

		{Name: keyWithheld, In: keys.Events, Type: keys.String, Example: "deeper_open", Only: decision.Suppressed, Meaning: "why it stays closed: `deeper_open`, `caller_side`, `instance_side`, `max_open_share`, `only_failures`"},

		{Name: keyAmplification, In: keys.Events, Type: keys.Double, Example: "2.8", Only: storm, Meaning: "calls for each request, since it began"},
		{Name: keyPathAmplification, In: keys.Events, Type: keys.Double, Example: "8.1", Only: storm, Meaning: "calls for each request lately, by the retries of the layers above as well"},
		{Name: keyAttempts, In: keys.Events, Type: keys.Int, Example: "1012", Only: storm, Meaning: "calls since it began"},
		{Name: keyRequests, In: keys.Events, Type: keys.Int, Example: "361", Only: storm, Meaning: "requests that they were made for"},
		{Name: keyRetryBudget, In: keys.Events, Type: keys.Double, Example: "0.1", Only: storm, Meaning: "share of the requests that may be retried, 0 to 1"},
		{Name: keyRetryLayer, In: keys.Events, Type: keys.String, Example: "shop/gateway->shop/orders", Only: storm, Meaning: "the edge that alone should retry"},
		{Name: keyMetastable, In: keys.Events, Type: keys.Bool, Example: "false", Only: storm, Meaning: "it goes on though the cause is well again"},

		{Name: keyEject, In: keys.Events, Type: keys.String, Example: "orders-2", Only: replica, Meaning: "replicas of the callee that fail while others are well, with commas"},
		{Name: keyDegradedCallers, In: keys.Events, Type: keys.String, Example: "gateway-1", Only: replica, Meaning: "replicas of the caller whose calls alone fail, with commas"},
		{Name: keyWait, In: keys.Events, Type: keys.Double, Example: "21.5", Only: decision.Backlog, Meaning: "seconds that messages wait for their consumer"},
	}
}

// Events returns the event records that the processor sends.
func Events() []keys.Event {
	return []keys.Event{
		{Name: decision.StateChanged, Severity: "WARN when it opens, else INFO", When: "a breaker changed its state"},
		{Name: decision.Suppressed, Severity: "WARN", When: "a rule said open, and it stays closed"},
		{Name: decision.RetryStorm, Severity: "WARN, INFO when over", When: "retries beyond 20 % of the requests while calls fail and fewer succeed than usual; and when it is over"},
		{Name: decision.InstanceDegraded, Severity: "WARN, INFO when over", When: "replicas fail while others are well; and when none does any more"},
		{Name: decision.Stalled, Severity: "WARN, INFO when over", When: "hardly any call ends though the caller is asked as ever; and when they end again"},
		{Name: decision.Backlog, Severity: "WARN, INFO when over", When: "messages wait far longer than usual for their consumer; and when they no longer do"},
	}
}

// Keys of self-telemetry.
const (
	metricProcessor = "processor"
	metricBreaker   = "breaker"
	metricState     = "state"
	metricFrom      = "from"
	metricTo        = "to"
	metricReason    = "reason"
	metricOutcome   = "outcome"
	metricLimit     = "limit"
	metricEvent     = "event"
)

// insert sets an attribute unless the span has it: what its owner wrote stays.
func insert(m pcommon.Map, key, value string) {
	if _, ok := m.Get(key); !ok {
		m.PutStr(key, value)
	}
}
