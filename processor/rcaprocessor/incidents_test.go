// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/firebreak-otel/firebreak/internal/replay"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
)

// pipelines is a traces and a logs pipeline with one rca in both, built by the factory.
type pipelines struct {
	traces *consumertest.TracesSink
	logs   *consumertest.LogsSink
}

// replayed plays an incident through a fresh pair of pipelines and shuts them down.
func replayed(t *testing.T, in *replay.Incident, o replay.Options) pipelines {
	t.Helper()
	p := pipelines{new(consumertest.TracesSink), new(consumertest.LogsSink)}
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig()
	set := processortest.NewNopSettings(metadata.Type)
	traces, err := factory.CreateTraces(t.Context(), set, cfg, p.traces)
	require.NoError(t, err)
	logs, err := factory.CreateLogs(t.Context(), set, cfg, p.logs)
	require.NoError(t, err)
	for _, c := range []component.Component{traces, logs} {
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	}
	require.NoError(t, in.Play(t.Context(), o, traces.ConsumeTraces, logs.ConsumeLogs))
	for _, c := range []component.Component{traces, logs} {
		require.NoError(t, c.Shutdown(context.Background()))
	}
	return p
}

// event is an event record, as far as the tests look at it.
type event struct {
	name           string
	time, observed time.Time
	attr           map[string]any
	body           string
}

// events returns the event records among the logs, and how many other records there are.
func events(sink *consumertest.LogsSink) (events []event, others int) {
	for _, ld := range sink.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if sl.Scope().Name() != metadata.ScopeName {
						others++
						continue
					}
					events = append(events, eventFrom(lr))
				}
			}
		}
	}
	return events, others
}

func eventFrom(lr plog.LogRecord) event {
	return event{lr.EventName(), lr.Timestamp().AsTime(), lr.ObservedTimestamp().AsTime(), lr.Attributes().AsRaw(), lr.Body().Str()}
}

// forEachRecording loads the incidents of the repository one by one: together they fill gigabytes.
func forEachRecording(t *testing.T, f func(*testing.T, *replay.Incident)) {
	dirs, err := filepath.Glob(filepath.Join("..", "..", "testdata", "incidents", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			in, err := replay.Load(dir)
			require.NoError(t, err)
			f(t, in)
		})
	}
}

func TestRecordedIncidentsGetTheRightVerdict(t *testing.T) {
	forEachRecording(t, func(t *testing.T, in *replay.Incident) {
		p := replayed(t, in, replay.Options{})
		events, others := events(p.logs)
		assert.Equal(t, in.SpanCount(), p.traces.SpanCount(), "spans in = spans out")
		assert.Equal(t, in.LogCount(), others, "log records in = log records out")
		truth := in.Truth.Verdict
		if truth.Silent {
			assert.Empty(t, events)
			return
		}
		require.NotEmpty(t, events)
		for _, e := range events {
			t.Logf("%s: %+.1f s, seen %+.1f s after the fault: %s\n%v", e.name, e.time.Sub(in.Truth.Injected).Seconds(),
				e.observed.Sub(in.Truth.Injected).Seconds(), e.body, fmt.Sprint(e.attr[keyEvidence]))
			assert.Equal(t, truth.Root, e.attr[keyNode], e.name)
			assert.Equal(t, truth.Kind, e.attr[keyKind], e.name)
			assert.Equal(t, events[0].attr[keyIncidentID], e.attr[keyIncidentID], "one incident")
		}
		first := events[0]
		assert.Equal(t, eventOpened, first.name)
		assert.Equal(t, eventResolved, events[len(events)-1].name)
		if truth.Instance != "" {
			assert.Equal(t, truth.Instance, first.attr[keyInstance])
		}
		if truth.Version != "" {
			assert.Equal(t, truth.Version, first.attr[keyVersion])
		}
	})
}

// identity is what an incident is, whatever the order in which its spans came.
type identity struct {
	event, id, root, kind string
	at                    time.Time
}

func identities(sink *consumertest.LogsSink) (out []identity) {
	events, _ := events(sink)
	for _, e := range events {
		out = append(out, identity{e.name, e.attr[keyIncidentID].(string), e.attr[keyNode].(string), e.attr[keyKind].(string), e.time})
	}
	return out
}

// annotations returns what was written on which span.
func annotations(sink *consumertest.TracesSink) map[pcommon.SpanID][3]string {
	out := map[pcommon.SpanID][3]string{}
	for _, td := range sink.AllTraces() {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					if id, ok := span.Attributes().Get(keyIncidentID); ok {
						role, _ := span.Attributes().Get(keyRole)
						score, _ := span.Attributes().Get(keyScore)
						out[span.SpanID()] = [3]string{id.Str(), role.Str(), score.AsString()}
					}
				}
			}
		}
	}
	return out
}

// The same spans give the same incidents, however they are cut into batches and in whatever order they come
// within the allowed lateness. Where the order stays, every event record is the same to the byte, but in batches of so
// many spans that log lines, which come behind them, find their traces looked at.
func TestIncidentsDoNotDependOnBatchesOrOrder(t *testing.T) {
	forEachRecording(t, func(t *testing.T, in *replay.Incident) {
		recorded := replayed(t, in, replay.Options{})
		wantEvents, _ := events(recorded.logs)
		wantSpans := annotations(recorded.traces)
		for _, cut := range []int{1, 100} {
			p := replayed(t, in, replay.Options{Cut: cut})
			got, _ := events(p.logs)
			assert.Equal(t, wantEvents, got, "batches of %d", cut)
			assert.Equal(t, wantSpans, annotations(p.traces), "spans in batches of %d", cut)
		}
		want := identities(recorded.logs)
		for _, cut := range []int{500, 10_000} {
			assert.Equal(t, want, identities(replayed(t, in, replay.Options{Cut: cut}).logs), "batches of %d", cut)
		}
		for seed := range uint64(3) {
			p := replayed(t, in, replay.Options{Shuffle: 5 * time.Second, Seed: seed})
			assert.Equal(t, want, identities(p.logs), "shuffled, seed %d", seed)
			_, others := events(p.logs)
			assert.Equal(t, in.SpanCount(), p.traces.SpanCount())
			assert.Equal(t, in.LogCount(), others)
		}
	})
}
