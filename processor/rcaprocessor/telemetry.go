// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
)

// Keys of self-telemetry.
const (
	keyProcessor    = "processor"
	keyReasonMetric = "reason"
	keyLimit        = "limit"
	keyRoleMetric   = "role"
	keyOutcome      = "outcome"
	keySignal       = "signal"
)

// telemetry is the processor's self-telemetry. Every series carries the component ID.
type telemetry struct {
	builder *metadata.TelemetryBuilder
	id      attribute.KeyValue

	mu    sync.Mutex
	skips [call.NumSkips]int64
	now   snapshot
	past  engine.Counts // of engines that were given up
	lapse graph.Overflow
	cut   int64 // rows left out of saved states
	full  int64 // items that there was no room to hold back
}

// snapshot is the state of an engine as of the last batch.
type snapshot struct {
	counts engine.Counts
	size   engine.Size
	beyond graph.Overflow
	ready  bool
	open   int
	lag    float64
}

func newTelemetry(set processor.Settings) (*telemetry, error) {
	tb, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	t := &telemetry{builder: tb, id: attribute.String(keyProcessor, set.ID.String())}
	if err := t.register(); err != nil {
		tb.Shutdown()
		return nil, err
	}
	return t, nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

// with returns the series of the component, told apart by key when that is not empty.
func (t *telemetry) with(key, value string) metric.MeasurementOption {
	if key == "" {
		return metric.WithAttributeSet(attribute.NewSet(t.id))
	}
	return metric.WithAttributeSet(attribute.NewSet(t.id, attribute.String(key, value)))
}

// observe notes the state of the engine at hand, and of its watch where it has one.
func (t *telemetry) observe(e *engine.Engine, w *engine.Watch) {
	s := snapshot{counts: e.Counts(), ready: e.Ready(), open: len(e.Open()), lag: seconds(e.Lag())}
	s.size, s.beyond = e.Size()
	s.size.Bytes += w.Bytes()
	s.counts.HurtForgotten += w.Dropped()
	t.mu.Lock()
	t.now = s
	t.mu.Unlock()
}

// retire keeps the counts of an engine that is given up.
func (t *telemetry) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.past.Add(t.now.counts)
	t.lapse.Add(t.now.beyond)
	t.now = snapshot{}
}

func (t *telemetry) skipped(b *call.Batch) {
	t.mu.Lock()
	for i, n := range b.Skipped {
		t.skips[i] += int64(n)
	}
	t.mu.Unlock()
}

// roleCounts is how many items were annotated, by role.
type roleCounts [engine.Symptom + 1]int64

func (t *telemetry) annotatedSpans(n *roleCounts) {
	t.annotated(t.builder.ProcessorRcaAnnotatedSpans, n)
}

func (t *telemetry) annotatedLogs(n *roleCounts) { t.annotated(t.builder.ProcessorRcaAnnotatedLogs, n) }

func (t *telemetry) annotated(counter metric.Int64Counter, n *roleCounts) {
	for role, count := range n {
		if count > 0 {
			counter.Add(context.Background(), count, t.with(keyRoleMetric, engine.Role(role).String()))
		}
	}
}

func (t *telemetry) changed(in *incident.Incident) {
	if in.State == incident.Opened {
		t.builder.ProcessorRcaIncidentsOpened.Add(context.Background(), 1, t.with("", ""))
		t.builder.ProcessorRcaDetectionDelay.Record(context.Background(), seconds(in.Delay), t.with("", ""))
	}
}

func (t *telemetry) lost(reason string) {
	t.builder.ProcessorRcaEventsLost.Add(context.Background(), 1, t.with(keyReasonMetric, reason))
}

func (t *telemetry) panicked() {
	t.builder.ProcessorRcaPanics.Add(context.Background(), 1, t.with("", ""))
}

func (t *telemetry) stateLoaded(outcome string) {
	t.builder.ProcessorRcaStateLoads.Add(context.Background(), 1, t.with(keyOutcome, outcome))
}

func (t *telemetry) stateSaved(outcome string) {
	t.builder.ProcessorRcaStateSaves.Add(context.Background(), 1, t.with(keyOutcome, outcome))
}

// released and refused count held items.
func (t *telemetry) released(signal, reason string, n int) {
	t.builder.ProcessorRcaHeldReleased.Add(context.Background(), int64(n), t.ofSignal(signal, reason))
}

func (t *telemetry) refused(signal, reason string, n int) {
	t.builder.ProcessorRcaHeldRefused.Add(context.Background(), int64(n), t.ofSignal(signal, reason))
}

func (t *telemetry) ofSignal(signal, reason string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(t.id, attribute.String(keySignal, signal), attribute.String(keyReasonMetric, reason)))
}

// unheld counts items that there was no room to hold back.
func (t *telemetry) unheld(n int) {
	t.mu.Lock()
	t.full += int64(n)
	t.mu.Unlock()
}

// stateCut counts rows that a saved state has no room for.
func (t *telemetry) stateCut(rows int64) {
	t.mu.Lock()
	t.cut += rows
	t.mu.Unlock()
}

// read returns the state as of the last batch, with the counts of engines given up.
func (t *telemetry) read() (snapshot, [call.NumSkips]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.now
	s.counts.Add(t.past)
	s.beyond.Add(t.lapse)
	return s, t.skips
}

// watchHeld observes how much is held back.
func (t *telemetry) watchHeld(held func() int64) error {
	return t.builder.RegisterProcessorRcaHeldBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(held(), t.with("", ""))
		return nil
	})
}

func (t *telemetry) register() error {
	gauge := func(read func(*snapshot) int64) metric.Int64Callback {
		return func(_ context.Context, o metric.Int64Observer) error {
			s, _ := t.read()
			o.Observe(read(&s), t.with("", ""))
			return nil
		}
	}
	b := t.builder
	return errors.Join(
		b.RegisterProcessorRcaLateSpansCallback(gauge(func(s *snapshot) int64 { return s.counts.Late })),
		b.RegisterProcessorRcaLogsUnjoinedCallback(gauge(func(s *snapshot) int64 { return s.counts.LogsLost })),
		b.RegisterProcessorRcaSpansPairedCallback(gauge(func(s *snapshot) int64 { return s.counts.Paired })),
		b.RegisterProcessorRcaGraphNodesCallback(gauge(func(s *snapshot) int64 { return int64(s.size.Nodes) })),
		b.RegisterProcessorRcaGraphEdgesCallback(gauge(func(s *snapshot) int64 { return int64(s.size.Edges) })),
		b.RegisterProcessorRcaStateBytesCallback(gauge(func(s *snapshot) int64 { return s.size.Bytes })),
		b.RegisterProcessorRcaReadyCallback(gauge(func(s *snapshot) int64 { return one(s.ready) })),
		b.RegisterProcessorRcaIncidentsActiveCallback(gauge(func(s *snapshot) int64 { return int64(s.open) })),
		b.RegisterProcessorRcaAnalysisLagCallback(func(_ context.Context, o metric.Float64Observer) error {
			s, _ := t.read()
			o.Observe(s.lag, t.with("", ""))
			return nil
		}),
		b.RegisterProcessorRcaLogsSkippedCallback(t.observeLogsSkipped),
		b.RegisterProcessorRcaSpansSkippedCallback(t.observeSkipped),
		b.RegisterProcessorRcaSpansUnpairedCallback(t.observeUnpaired),
		b.RegisterProcessorRcaLimitHitsCallback(t.observeLimits),
	)
}

func (t *telemetry) observeSkipped(_ context.Context, o metric.Int64Observer) error {
	s, skips := t.read()
	for i, n := range skips {
		t.each(o, keyReasonMetric, call.Skip(i).String(), n)
	}
	t.each(o, keyReasonMetric, "future", s.counts.Future)
	t.each(o, keyReasonMetric, "clock_rebased", s.counts.Rebased)
	t.each(o, keyReasonMetric, "duplicate", s.counts.Duplicates)
	t.each(o, keyReasonMetric, "parent_cycle", s.counts.Cycles)
	return nil
}

func (t *telemetry) observeLogsSkipped(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	t.each(o, keyReasonMetric, "time", s.counts.LogsMisplaced)
	t.each(o, keyReasonMetric, "service", s.counts.LogsUnplaced)
	return nil
}

func (t *telemetry) observeUnpaired(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	t.each(o, keyReasonMetric, "no_answer", s.counts.Unpaired)
	t.each(o, keyReasonMetric, "no_parent", s.counts.Partial)
	return nil
}

func (t *telemetry) observeLimits(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	t.each(o, keyLimit, "spans", s.counts.TableFull)
	t.each(o, keyLimit, "spans_per_trace", s.counts.TraceFull)
	t.each(o, keyLimit, "nodes", s.beyond.Nodes)
	t.each(o, keyLimit, "operations", s.beyond.Ops)
	t.each(o, keyLimit, "instances", s.beyond.Instances)
	t.each(o, keyLimit, "edges", s.beyond.Edges)
	t.each(o, keyLimit, "verdict_rows", s.counts.LedgerFull)
	t.each(o, keyLimit, "hurt_traces", s.counts.HurtForgotten)
	t.each(o, keyLimit, "messages", s.counts.MessagesLost)
	t.each(o, keyLimit, "partitions", s.counts.Lanes)
	t.each(o, keyLimit, "evidence", s.counts.EvidenceFull)
	t.each(o, keyLimit, "log_templates", s.counts.LogTemplates)
	t.mu.Lock()
	cut, full := t.cut, t.full
	t.mu.Unlock()
	t.each(o, keyLimit, "state_bytes", cut)
	t.each(o, keyLimit, "held_bytes", full)
	return nil
}

// each observes a count that is not 0: what never happened makes no series.
func (t *telemetry) each(o metric.Int64Observer, key, value string, n int64) {
	if n != 0 {
		o.Observe(n, t.with(key, value))
	}
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
