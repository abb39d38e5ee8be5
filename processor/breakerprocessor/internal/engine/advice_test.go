// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// outage is an engine in the tenth second of an outage of the database behind the chain.
func outage() *Engine {
	var calls []call.Call
	for _, c := range traffic(start, start+50*second, dbOutage) {
		calls = append(calls, c...)
	}
	e, _, _ := run(calls, 64)
	return e
}

func TestAdvice(t *testing.T) {
	e := outage()
	list, omitted := e.Advice(5)
	require.Len(t, list, 1)
	assert.Zero(t, omitted)
	a := list[0]
	assert.Equal(t, decision.Edge{Name: "payments->postgresql/shop", Caller: "payments", Callee: "postgresql/shop", Kind: "database"}, a.Edge)
	assert.Equal(t, []string{"open", "reject", "fast_failure_rate"}, []string{a.State, a.Advice, a.Reason})
	assert.Regexp(t, `^\d+ % of \d+ calls failed within 2s$`, a.Explanation)
	assert.False(t, a.Enforced)
	assert.InDelta(t, 42*second, a.Since-start, float64(second))
	assert.Greater(t, a.Until, a.Since)
	assert.Equal(t, e.next+decision.TTL, a.Expires)
	assert.Zero(t, a.AdmitShare)
	assert.Zero(t, a.AdmitAt(e.next))
	assert.InDelta(t, 1, a.AdmitAt(a.Expires+1), 0, "H23")
	assert.GreaterOrEqual(t, a.FailureRatio, 0.9)
	assert.GreaterOrEqual(t, a.Calls, uint32(20))
	assert.InDelta(t, 0, a.Obedience, 0.3, "calls flow all the same")
	assert.Positive(t, a.InFlight)
	assert.Equal(t, 1, a.InFlightMax)
	assert.InDelta(t, 1, a.Effects.Propagation, 0)
	assert.False(t, a.Effects.Fallback)
	assert.Equal(t, []string{"gateway", "orders", "payments"}, a.Effects.Upstreams)
	assert.InDelta(t, 0.7, a.Effects.Entries, 0.3)
	assert.Equal(t, a.Effects.Entries, a.Effects.EntriesFailed)
	assert.Equal(t, decision.Retries{Amplification: 1, PathAmplification: 1, Budget: storm.Recommended, Composition: storm.Order}, a.Retries)
	var states [circuit.NumStates]int64
	states[circuit.Closed], states[circuit.Open] = 3, 1 // and one for who calls the gateway
	assert.Equal(t, states, e.States())
	list, omitted = e.Advice(0)
	assert.Empty(t, list)
	assert.Equal(t, 1, omitted)
}

// The same state is told in the same words, whenever and however often it is asked for.
func TestAdviceIsStable(t *testing.T) {
	marshal := func(e *Engine) string {
		list, _ := e.Advice(10)
		out, err := json.Marshal(list)
		require.NoError(t, err)
		return string(out)
	}
	e := outage()
	want := marshal(e)
	assert.Equal(t, want, marshal(e))
	assert.Equal(t, want, marshal(outage()))
}

// An edge without failures has little to say.
func TestAdviceOfAHealthyEdge(t *testing.T) {
	f := newFeed(settings())
	a := f.advice(on(f.Engine, "gateway->orders"))
	assert.Equal(t, decision.Advice{
		Edge: decision.Edge{Name: "gateway->orders", Caller: "gateway", Callee: "orders", Kind: "service"}, State: "closed", Advice: "allow",
		AdmitShare: 1, Obedience: -1, Expires: f.next + decision.TTL, ConcurrencyLimit: a.ConcurrencyLimit,
	}, a)
}

func TestEvents(t *testing.T) {
	e := outage()
	o := on(e, "payments->postgresql/shop")
	h := o.Hot
	tr := circuit.Transition{From: circuit.Closed, To: circuit.Open, Reason: circuit.FailureRate}
	half := circuit.Sums{Calls: 40, Bad: 20, Slow: 10, Weight: 40, BadWeight: 20}
	trace, span := h.BadTrace, h.BadSpan
	require.NotZero(t, span)
	for name, tt := range map[string]struct {
		event edge.Event
		want  decision.Event
		quote bool // the numbers are those of the event
	}{
		"opened": {edge.Event{Kind: edge.Changed, Transition: tr},
			decision.Event{Name: decision.StateChanged, Previous: "closed", Why: "failure_rate", TraceID: trace, SpanID: span}, false},
		"half open": {edge.Event{Kind: edge.Changed, Transition: circuit.Transition{From: circuit.Open, To: circuit.HalfOpen, Reason: circuit.OpenElapsed}},
			decision.Event{Name: decision.StateChanged, Previous: "open", Why: "open_elapsed"}, false},
		"suppressed": {edge.Event{Kind: edge.Suppressed, Rule: circuit.FailureRate, Evidence: half},
			decision.Event{Name: decision.Suppressed, Rule: "failure_rate", TraceID: trace, SpanID: span}, true},
		"stalled":  {edge.Event{Kind: edge.Stalled, Evidence: half}, decision.Event{Name: decision.Stalled, Over: true}, true},
		"instance": {edge.Event{Kind: edge.InstanceSick, Evidence: half}, decision.Event{Name: decision.InstanceDegraded, Over: true}, true},
		"storm": {edge.Event{Kind: edge.RetryStorm, Storm: storm.Event{Kind: storm.Started, Attempts: 30, Calls: 10, Peak: 3.5}, Evidence: half},
			decision.Event{Name: decision.RetryStorm, Attempts: 30, Requests: 10, Peak: 3.5, TraceID: trace, SpanID: span}, true},
		"storm over": {edge.Event{Kind: edge.RetryStorm, Storm: storm.Event{Kind: storm.Ended, Attempts: 30, Calls: 10, Peak: 3.5}, Evidence: half},
			decision.Event{Name: decision.RetryStorm, Over: true, Attempts: 30, Requests: 10, Peak: 3.5, TraceID: trace, SpanID: span}, true},
		"backlog": {edge.Event{Kind: edge.Backlog, Wait: 7 * second}, decision.Event{Name: decision.Backlog, Over: true, Wait: 7 * second}, false},
	} {
		tt.event.Edge, tt.event.At = o, 77
		tt.want.At, tt.want.Advice = 77, e.advice(o)
		if tt.quote {
			tt.want.FailureRatio, tt.want.SlowRatio, tt.want.Calls = 0.5, 0.25, 40
		}
		if tt.event.Kind == edge.Suppressed {
			tt.want.Explanation = "50 % of 40 calls failed within 10s"
		}
		assert.Equal(t, tt.want, e.event(&tt.event), name)
	}
	h.Ejected = []string{"10.0.0.7"}
	assert.False(t, e.event(&edge.Event{Kind: edge.InstanceSick, Edge: o}).Over)
	h.Ejected, h.Degraded = nil, []string{"payments-1"}
	assert.False(t, e.event(&edge.Event{Kind: edge.InstanceSick, Edge: o}).Over)
}

// While half open, the reason is that of the opening.
func TestReasonOfHalfOpen(t *testing.T) {
	e := outage()
	o := on(e, "payments->postgresql/shop")
	cause := o.Hot.Cause
	e.step(e.next + 2*second) // nobody calls any more
	for range 200 {
		if o.Breaker.State() != circuit.Open {
			break
		}
		e.table.Advance(e.next)
		e.step(e.next)
	}
	require.Equal(t, circuit.HalfOpen, o.Breaker.State())
	a := e.advice(o)
	assert.Equal(t, []string{"half_open", "probe", cause.Reason.String()}, []string{a.State, a.Advice, a.Reason})
	assert.Contains(t, a.Explanation, "calls that start from now on are verified, after it was open because ")
	assert.Equal(t, o.Hot.Last.At, a.Since)
	assert.Equal(t, cause.Evidence.Calls, a.Calls)
	assert.InDelta(t, 1, a.Obedience, 0.5)
}
