// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"errors"
	"sync"
	"time"

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
	keyForgotten    = "kind"
	keyIDs          = "ids"
	keyLevel        = "state"
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
	mute  int64 // log records without a text
	gone  int64 // sightings of breakers that made room
	busy  time.Duration
	pairs pairing
}

// snapshot is the state of an engine as of the last batch.
type snapshot struct {
	counts engine.Counts
	size   engine.Size
	beyond graph.Overflow
	ready  bool
	open   int
	lag    float64

	suspected, felt int64 // symptoms
}

func newTelemetry(set processor.Settings) (*telemetry, error) {
	tb, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	t := &telemetry{builder: tb, id: attribute.String(keyProcessor, set.ID.String())}
	t.begin()
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

// begin makes the series of what happens seldom: increase() does not see the first of a series that begins with it.
func (t *telemetry) begin() {
	ctx, b := context.Background(), t.builder
	b.ProcessorRcaPanics.Add(ctx, 0, t.with("", ""))
	b.ProcessorRcaIncidentsOpened.Add(ctx, 0, t.with("", ""))
	b.ProcessorRcaIncidentsUpdated.Add(ctx, 0, t.with("", ""))
	for _, reason := range [...]string{resolvedWell, resolvedStale} {
		b.ProcessorRcaIncidentsResolved.Add(ctx, 0, t.with(keyReasonMetric, reason))
	}
	for _, reason := range [...]string{lostQueueFull, lostNoPipeline, lostDelivery} {
		b.ProcessorRcaEventsLost.Add(ctx, 0, t.with(keyReasonMetric, reason))
	}
}

// observe notes the state of the engine at hand, of its watch where it has one, and of the breakers that were seen, when
// the analysis, which began at began, is done.
func (t *telemetry) observe(e *engine.Engine, w *engine.Watch, seen *breakers, began time.Time) {
	s := snapshot{counts: e.Counts(), ready: e.Ready(), open: len(e.Open()), lag: seconds(e.Lag())}
	s.size, s.beyond = e.Size()
	s.size.Bytes += w.Bytes()
	s.counts.HurtForgotten += w.Dropped()
	s.suspected, s.felt = e.Symptoms()
	took := time.Since(began)
	t.mu.Lock()
	t.now, t.gone = s, seen.gone
	t.busy += took
	t.pairs.note(began, t.past.Paired+s.counts.Paired, t.past.Unanswered+s.counts.Unanswered)
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

// Why an incident ended.
const (
	resolvedWell  = "well"
	resolvedStale = "stale"
)

func (t *telemetry) changed(in *incident.Incident) {
	ctx, b := context.Background(), t.builder
	switch in.State {
	case incident.Opened:
		b.ProcessorRcaIncidentsOpened.Add(ctx, 1, t.with("", ""))
		b.ProcessorRcaDetectionDelay.Record(ctx, seconds(in.Delay), t.with("", ""))
	case incident.Updated:
		b.ProcessorRcaIncidentsUpdated.Add(ctx, 1, t.with("", ""))
	case incident.Resolved:
		reason := resolvedWell
		if in.Stale {
			reason = resolvedStale
		}
		b.ProcessorRcaIncidentsResolved.Add(ctx, 1, t.with(keyReasonMetric, reason))
	}
}

// Why an event record was lost.
const (
	lostQueueFull  = "queue_full"
	lostNoPipeline = "no_logs_pipeline"
	lostDelivery   = "delivery"
)

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

// muted counts log records that say nothing.
func (t *telemetry) muted(n int) {
	if n > 0 {
		t.mu.Lock()
		t.mute += int64(n)
		t.mu.Unlock()
	}
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

// watchQueue observes how many event records wait.
func (t *telemetry) watchQueue(waiting func() int) error {
	return t.builder.RegisterProcessorRcaEventQueueCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(int64(waiting()), t.with("", ""))
		return nil
	})
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
		b.RegisterProcessorRcaAnalysisTimeCallback(t.observeTime),
		b.RegisterProcessorRcaPairingRatioCallback(t.observePairing),
		b.RegisterProcessorRcaSymptomsCallback(t.observeSymptoms),
		b.RegisterProcessorRcaForgottenCallback(t.observeForgotten),
		b.RegisterProcessorRcaLogsReadCallback(t.observeLogsRead),
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
	t.each(o, keyReasonMetric, "no_room", s.counts.Unplaced)
	return nil
}

func (t *telemetry) observeLogsSkipped(_ context.Context, o metric.Int64Observer) error {
	s, _ := t.read()
	t.each(o, keyReasonMetric, "time", s.counts.LogsMisplaced)
	t.each(o, keyReasonMetric, "service", s.counts.LogsUnplaced)
	t.mu.Lock()
	mute := t.mute
	t.mu.Unlock()
	t.each(o, keyReasonMetric, "no_text", mute)
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
	t.each(o, keyLimit, "incidents", s.counts.Incidents.Open)
	t.each(o, keyLimit, "past_incidents", s.counts.Incidents.Past)
	t.each(o, keyLimit, "incident_history", s.counts.Incidents.Untold)
	t.mu.Lock()
	cut, full, gone := t.cut, t.full, t.gone
	t.mu.Unlock()
	t.each(o, keyLimit, "breakers", gone)
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
