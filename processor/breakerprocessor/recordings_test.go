// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/firebreak-otel/firebreak/internal/replay"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadata"
)

const recordings = "../../testdata/incidents"

// pipelines is a traces and a logs pipeline with one breaker in both, built by the factory.
type pipelines struct {
	traces *consumertest.TracesSink
	logs   *consumertest.LogsSink
}

func replayed(t *testing.T, in *replay.Incident, o replay.Options) pipelines {
	t.Helper()
	p := pipelines{new(consumertest.TracesSink), new(consumertest.LogsSink)}
	factory := NewFactory()
	cfg := factory.CreateDefaultConfig()
	cfg.(*Config).EventQueueSize = 10_000 // a replay is faster than the queue is meant for
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

// change is a breaker.state_changed record, as far as the tests look at it.
type change struct {
	event       string
	at          time.Time
	name, state string
	body        string
	attrs       map[string]any
}

func (c change) String() string {
	return fmt.Sprintf("%s %s: %s", c.at.UTC().Format("15:04:05.000"), c.name, c.body)
}

// changes returns the event records among the logs, and how many other records there are.
func changes(sink *consumertest.LogsSink) (out []change, others int) {
	for _, ld := range sink.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if sl.Scope().Name() != metadata.ScopeName {
						others++
						continue
					}
					attrs := lr.Attributes().AsRaw()
					out = append(out, change{lr.EventName(), lr.Timestamp().AsTime(), attrs[keyName].(string), attrs[keyState].(string), lr.Body().Str(), attrs})
				}
			}
		}
	}
	return out, others
}

func opened(cs []change) (names []string) {
	for _, c := range cs {
		if c.event == "breaker.state_changed" && c.state == "open" && !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	slices.Sort(names)
	return names
}

// cuts are ways to play a recording that must make no difference.
var cuts = map[string]replay.Options{
	"one by one":  {Cut: 1},
	"by hundreds": {Cut: 100},
	"by 10,000":   {Cut: 10_000},
}

// Each recording, played through processors that the factory built: nothing opens before the fault, the surge
// opens nothing, and what comes in goes out.
func TestRecordings(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(recordings, "*", "truth.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs, "no recordings in "+recordings)
	for _, truth := range dirs {
		dir := filepath.Dir(truth)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			in, err := replay.Load(dir)
			require.NoError(t, err)
			assert.Equal(t, filepath.Base(dir), in.Truth.Fault)
			assert.Equal(t, in.Truth.Counts.Spans, in.SpanCount(), "the recording is whole")
			assert.Equal(t, in.Truth.Counts.Logs, in.LogCount(), "the recording is whole")
			p := replayed(t, in, replay.Options{})
			got, others := changes(p.logs)
			for _, c := range got {
				t.Log(c)
				if c.at.Before(in.Truth.Injected) {
					t.Errorf("changed in healthy minutes, %v before the fault", in.Truth.Injected.Sub(c.at))
				}
			}
			assert.Equal(t, in.SpanCount(), p.traces.SpanCount(), "spans in and out")
			assert.Equal(t, in.LogCount(), others, "log records in and out")
			if in.Truth.Verdict.Silent {
				assert.Empty(t, got, "nobody is hurt, nothing opens")
			}
			if testing.Short() {
				return
			}
			for name, o := range cuts {
				p := replayed(t, in, o)
				other, _ := changes(p.logs)
				assert.Equal(t, got, other, name)
				assert.Equal(t, in.SpanCount(), p.traces.SpanCount())
			}
			shuffled := replayed(t, in, replay.Options{Shuffle: 5 * time.Second, Seed: 1})
			other, _ := changes(shuffled.logs)
			assert.Equal(t, opened(got), opened(other), "shuffled within 5 s, the same breakers open")
		})
	}
}

// The headline: the edges to the locked database open, within seconds of the lock.
func TestPostgresLock(t *testing.T) {
	dir := filepath.Join(recordings, "postgres-lock")
	in, err := replay.Load(dir)
	require.NoError(t, err)
	got, _ := changes(replayed(t, in, replay.Options{}).logs)
	i := slices.IndexFunc(got, func(c change) bool { return c.name == "shop/orders->postgresql/shop" && c.state == "open" })
	require.GreaterOrEqual(t, i, 0, "%v", got)
	assert.Less(t, got[i].at.Sub(in.Truth.Injected), 10*time.Second)
	last := map[string]string{}
	for _, c := range got {
		last[c.name] = c.state
	}
	assert.Equal(t, "closed", last["shop/orders->postgresql/shop"], "and close again when it is gone")
}
