// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadata"
)

// maxStateSeries bounds the breakers that have series of their own.
const maxStateSeries = 100

// Why an event record was lost.
const (
	lostQueueFull  = "queue_full"
	lostNoPipeline = "no_logs_pipeline"
	lostDelivery   = "delivery"
)

// telemetry is the processor's self-telemetry. Every series carries the component ID.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	id      attribute.KeyValue
	engine  *breakerEngine

	annotated     [circuit.NumStates]atomic.Int64
	annotatedLogs atomic.Int64
	busy          atomic.Int64 // nanoseconds that the analysis has taken

	// Under the engine's lock.
	skips [call.NumSkips]int64
	past  engine.Counts // of engines that were given up
}

func newTelemetry(set processor.Settings, e *breakerEngine) (*telemetry, error) {
	tb, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	t := &telemetry{builder: tb, id: attribute.String(metricProcessor, set.ID.String()), engine: e}
	t.begin()
	if err := t.register(); err != nil {
		tb.Shutdown()
		return nil, err
	}
	return t, nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

// begin makes the series of what happens seldom: increase() does not see the first of a series that begins with it.
func (t *telemetry) begin() {
	ctx, b := context.Background(), t.builder
	b.ProcessorBreakerPanics.Add(ctx, 0, t.with())
	for _, reason := range [...]string{lostQueueFull, lostNoPipeline, lostDelivery} {
		b.ProcessorBreakerEventsLost.Add(ctx, 0, t.with(attribute.String(metricReason, reason)))
	}
	for _, change := range [...][2]circuit.State{
		{circuit.Closed, circuit.Open}, {circuit.Open, circuit.HalfOpen}, {circuit.HalfOpen, circuit.Open}, {circuit.HalfOpen, circuit.Closed},
	} {
		b.ProcessorBreakerTransitions.Add(ctx, 0,
			t.with(attribute.String(metricFrom, change[0].String()), attribute.String(metricTo, change[1].String())))
	}
}

// with returns the series of the component with the further attributes.
func (t *telemetry) with(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(append(more, t.id)...))
}

func (t *telemetry) event(ev *decision.Event) {
	if ev.Name == decision.StateChanged {
		t.builder.ProcessorBreakerTransitions.Add(context.Background(), 1,
			t.with(attribute.String(metricFrom, ev.Previous), attribute.String(metricTo, ev.State)))
		return
	}
	if ev.Over {
		return
	}
	reason := ""
	if ev.Name == decision.Suppressed { // an edge that is held back may be the subject of others, too
		reason = ev.Withheld
	}
	t.builder.ProcessorBreakerFindings.Add(context.Background(), 1,
		t.with(attribute.String(metricEvent, ev.Name), attribute.String(metricReason, reason)))
}

func (t *telemetry) lost(reason string) {
	t.builder.ProcessorBreakerEventsLost.Add(context.Background(), 1, t.with(attribute.String(metricReason, reason)))
}

// What became of what was learned before a reload.
const (
	reloadKept     = "kept"
	reloadSettings = "other_settings"
	reloadTime     = "other_time"
)

func (t *telemetry) reloaded(outcome string) {
	t.builder.ProcessorBreakerReloads.Add(context.Background(), 1, t.with(attribute.String(metricOutcome, outcome)))
}

func (t *telemetry) panicked() {
	t.builder.ProcessorBreakerPanics.Add(context.Background(), 1, t.with())
}

// skipped and retire are called under the engine's lock.
func (t *telemetry) skipped(b *call.Batch) {
	for i, n := range b.Skipped {
		t.skips[i] += int64(n)
	}
}

// retire keeps the counts of an engine that is given up.
func (t *telemetry) retire(e *engine.Engine) { t.past.Add(e.Counts()) }

func (t *telemetry) counts() (engine.Counts, [call.NumSkips]int64) {
	t.engine.mu.Lock()
	defer t.engine.mu.Unlock()
	c := t.engine.core.Counts()
	c.Add(t.past)
	return c, t.skips
}

func (t *telemetry) register() error {
	b := t.builder
	return errors.Join(
		b.RegisterProcessorBreakerStateCallback(t.observeState),
		b.RegisterProcessorBreakerTrackedCallback(t.observeTracked),
		b.RegisterProcessorBreakerAnnotatedSpansCallback(t.observeAnnotated),
		b.RegisterProcessorBreakerSpansSkippedCallback(t.observeSkipped),
		b.RegisterProcessorBreakerLateSpansCallback(t.observeLate),
		b.RegisterProcessorBreakerLimitHitsCallback(t.observeLimits),
		b.RegisterProcessorBreakerSettlingCallback(t.observeSettling),
		b.RegisterProcessorBreakerTraceLooksCallback(t.observeLooks),
		b.RegisterProcessorBreakerObedienceCallback(t.observeObedience),
		b.RegisterProcessorBreakerAnnotatedLogRecordsCallback(t.observeAnnotatedLogs),
		b.RegisterProcessorBreakerAnalysisTimeCallback(t.observeTime),
		b.RegisterProcessorBreakerForgottenCallback(t.observeForgotten),
		b.RegisterProcessorBreakerStateOmittedCallback(t.observeOmitted),
		b.RegisterProcessorBreakerReadyCallback(t.observeReady),
		b.RegisterProcessorBreakerStateBytesCallback(t.observeBytes),
		b.RegisterProcessorBreakerEventQueueCallback(t.observeQueue),
	)
}

// observeState gives each breaker that is not closed a series per state, one of them 1 and the others 0.
func (t *telemetry) observeState(_ context.Context, o metric.Int64Observer) error {
	t.engine.mu.Lock()
	list, _ := t.engine.core.Advice(maxStateSeries)
	t.engine.mu.Unlock()
	for i := range list {
		for s := range circuit.State(circuit.NumStates) {
			is := int64(0)
			if list[i].State == s.String() {
				is = 1
			}
			o.Observe(is, t.with(attribute.String(metricBreaker, list[i].Name), attribute.String(metricState, s.String())))
		}
	}
	return nil
}

func (t *telemetry) observeTracked(_ context.Context, o metric.Int64Observer) error {
	t.engine.mu.Lock()
	states := t.engine.core.States()
	t.engine.mu.Unlock()
	for s, n := range states {
		o.Observe(n, t.with(attribute.String(metricState, circuit.State(s).String())))
	}
	return nil
}

func (t *telemetry) observeAnnotated(_ context.Context, o metric.Int64Observer) error {
	for s := range t.annotated {
		t.each(o, metricState, circuit.State(s).String(), t.annotated[s].Load())
	}
	return nil
}

func (t *telemetry) observeAnnotatedLogs(_ context.Context, o metric.Int64Observer) error {
	o.Observe(t.annotatedLogs.Load(), t.with())
	return nil
}

func (t *telemetry) observeSkipped(_ context.Context, o metric.Int64Observer) error {
	c, skips := t.counts()
	for i, n := range skips {
		t.each(o, metricReason, call.Skip(i).String(), n)
	}
	t.each(o, metricReason, "no_peer", c.Results[edge.NoPeer])
	t.each(o, metricReason, "duplicate", c.Results[edge.Duplicate])
	t.each(o, metricReason, "stale", c.Results[edge.Stale])
	t.each(o, metricReason, "future", c.Future)
	t.each(o, metricReason, "clock_rebased", c.Rebased)
	return nil
}

func (t *telemetry) observeLate(_ context.Context, o metric.Int64Observer) error {
	c, _ := t.counts()
	o.Observe(c.Results[edge.Late], t.with())
	return nil
}

func (t *telemetry) observeLimits(_ context.Context, o metric.Int64Observer) error {
	c, _ := t.counts()
	t.each(o, metricLimit, "max_edges", c.Results[edge.Full])
	t.each(o, metricLimit, "aliases", c.AliasesFull)
	t.each(o, metricLimit, "max_operations", c.OperationsFull)
	t.each(o, metricLimit, "max_failing_traces", c.Skipped)
	t.each(o, metricLimit, "trace_spans", c.Unfound)
	return nil
}

func (t *telemetry) observeSettling(_ context.Context, o metric.Float64Observer) error {
	t.engine.mu.Lock()
	wait := t.engine.core.Settling()
	t.engine.mu.Unlock()
	o.Observe(time.Duration(wait).Seconds(), t.with())
	return nil
}

func (t *telemetry) observeLooks(_ context.Context, o metric.Int64Observer) error {
	c, _ := t.counts()
	o.Observe(c.Looks, t.with())
	return nil
}

// observeObedience gives each breaker for which it is measured a series.
func (t *telemetry) observeObedience(_ context.Context, o metric.Float64Observer) error {
	t.engine.mu.Lock()
	list, _ := t.engine.core.Advice(maxStateSeries)
	t.engine.mu.Unlock()
	for i := range list {
		if list[i].Obedience >= 0 {
			o.Observe(list[i].Obedience, t.with(attribute.String(metricBreaker, list[i].Name)))
		}
	}
	return nil
}

func (t *telemetry) observeTime(_ context.Context, o metric.Float64Observer) error {
	o.Observe(time.Duration(t.busy.Load()).Seconds(), t.with())
	return nil
}

func (t *telemetry) observeForgotten(_ context.Context, o metric.Int64Observer) error {
	c, _ := t.counts()
	o.Observe(c.Idle, t.with())
	return nil
}

func (t *telemetry) observeOmitted(_ context.Context, o metric.Int64Observer) error {
	t.engine.mu.Lock()
	states := t.engine.core.States()
	t.engine.mu.Unlock()
	shown := int64(0)
	for s, n := range states {
		if circuit.State(s) != circuit.Closed {
			shown += n
		}
	}
	o.Observe(max(0, shown-maxStateSeries), t.with())
	return nil
}

func (t *telemetry) observeReady(_ context.Context, o metric.Int64Observer) error {
	t.engine.mu.Lock()
	ready := t.engine.core.Ready()
	t.engine.mu.Unlock()
	is := int64(0)
	if ready {
		is = 1
	}
	o.Observe(is, t.with())
	return nil
}

func (t *telemetry) observeBytes(_ context.Context, o metric.Int64Observer) error {
	t.engine.mu.Lock()
	n := t.engine.core.Bytes()
	t.engine.mu.Unlock()
	o.Observe(n, t.with())
	return nil
}

func (t *telemetry) observeQueue(_ context.Context, o metric.Int64Observer) error {
	o.Observe(int64(t.engine.emitter.Waiting()), t.with())
	return nil
}

// each observes a count that is not 0: what never happened makes no series.
func (t *telemetry) each(o metric.Int64Observer, key, value string, n int64) {
	if n != 0 {
		o.Observe(n, t.with(attribute.String(key, value)))
	}
}
