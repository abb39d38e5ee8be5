// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/storm"
)

// advice is what is known of an edge and what follows from it. Most of it is there for edges with failures alone.
func (e *Engine) advice(on *edge.Edge) decision.Advice {
	a := decision.Advice{
		Edge: decision.Edge{
			Name: on.Name(), Caller: on.Caller.Name, Callee: on.Callee.Name, Kind: on.Callee.Kind.String(), Operation: on.Operation(),
		},
		State: on.Breaker.State().String(), Advice: decision.For(on.Breaker.State()),
		AdmitShare: on.Breaker.Admit(), Attempt: on.Breaker.Attempt(), Until: on.Breaker.Until(),
		Obedience: -1, Expires: e.next + decision.TTL,
		Stalled: on.Stalled(), Backlog: e.table.Backlog(on),
		ConcurrencyLimit: int(on.Limit()),
	}
	if share, ok := on.Breaker.Obedience(e.next); ok {
		a.Obedience = share
	}
	h := on.Hot
	if h == nil {
		return a
	}
	if on.Breaker.State() != circuit.Closed {
		a.InFlightMax = h.MostInFlight
	}
	a.Eject, a.DegradedCallers, a.Withheld = h.Ejected, h.Degraded, h.Withheld.String()
	e.because(&a, on)
	e.reach(&a, on)
	return a
}

// because says why the breaker is as it is.
func (e *Engine) because(a *decision.Advice, on *edge.Edge) {
	last, cause := on.Hot.Last, on.Hot.Cause
	if last.Reason == circuit.NoReason {
		return
	}
	a.Since = last.At
	because := last
	if last.To == circuit.HalfOpen {
		because = cause
	}
	a.Reason = because.Reason.String()
	a.FailureRatio, a.SlowRatio, a.Calls = because.Evidence.Ratio(), because.Evidence.SlowRatio(), because.Evidence.Calls
	a.Explanation = decision.Explain(on.Breaker.Config(), last, because)
}

// reach says how far the failures of the last window reach, and what feeds them.
func (e *Engine) reach(a *decision.Advice, on *edge.Edge) {
	w := e.table.Lately(on, e.next)
	a.InFlight, a.Saturated = w.InFlight, w.Saturated
	a.Effects = decision.Effects{
		Propagation: w.Effects.Propagation(), Fallback: w.Effects.Absorbed > w.Effects.Hurt, Upstreams: on.Upstreams(),
	}
	if w.Entries > 0 {
		n := float64(w.Entries)
		a.Effects.Entries = min(float64(w.Effects.Entries)/n, 1)
		a.Effects.EntriesFailed = min(float64(w.Effects.EntriesFailed)/n, 1)
	}
	a.Retries = decision.Retries{
		Amplification: w.Amplification, Storm: on.Storm(), Metastable: on.Hot.Metastable, Budget: storm.Recommended,
		Composition: storm.Order,
	}
	a.Retries.Layer, a.Retries.PathAmplification = e.table.RetryLayer(on)
}

// event is an event of the table with its edge's advice.
func (e *Engine) event(ev *edge.Event) decision.Event {
	on := ev.Edge
	out := decision.Event{At: ev.At, Advice: e.advice(on)}
	switch ev.Kind {
	case edge.Changed:
		out.Name = decision.StateChanged
		out.Previous, out.Why = ev.Transition.From.String(), ev.Transition.Reason.String()
		if ev.Transition.To == circuit.Open {
			out.TraceID, out.SpanID = on.Hot.BadTrace, on.Hot.BadSpan
		}
	case edge.Suppressed:
		out.Name = decision.Suppressed
		out.Rule = ev.Rule.String()
		out.Explanation = decision.Rule(on.Breaker.Config(), ev.Rule, &ev.Evidence)
		out.TraceID, out.SpanID = on.Hot.BadTrace, on.Hot.BadSpan
	case edge.Stalled:
		out.Name, out.Over = decision.Stalled, !on.Stalled()
	case edge.InstanceSick:
		out.Name, out.Over = decision.InstanceDegraded, len(on.Hot.Ejected)+len(on.Hot.Degraded) == 0
	case edge.RetryStorm:
		out.Name, out.Over = decision.RetryStorm, ev.Storm.Kind == storm.Ended
		out.Attempts, out.Requests, out.Peak = ev.Storm.Attempts, ev.Storm.Calls, ev.Storm.Peak
		out.TraceID, out.SpanID = on.Hot.BadTrace, on.Hot.BadSpan
	case edge.Backlog:
		out.Name, out.Over, out.Wait = decision.Backlog, !e.table.Backlog(on), ev.Wait
	}
	if ev.Kind != edge.Changed && ev.Evidence.Calls > 0 {
		out.FailureRatio, out.SlowRatio, out.Calls = ev.Evidence.Ratio(), ev.Evidence.SlowRatio(), ev.Evidence.Calls
	}
	return out
}
