// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
	"pgregory.net/rapid"
)

const second = pcommon.Timestamp(time.Second)

// recording draws requests whose items carry the number of their place and the names of their
// resource and scope, so that what comes out can be traced back.
func recording(t *rapid.T) *Incident {
	inc := &Incident{}
	id := 0
	for range rapid.IntRange(0, 6).Draw(t, "trace requests") {
		td := ptrace.NewTraces()
		for range rapid.IntRange(0, 3).Draw(t, "resources") {
			res := fmt.Sprint("r", rapid.IntRange(0, 2).Draw(t, "resource"))
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("name", res)
			rs.SetSchemaUrl("schema-" + res)
			for range rapid.IntRange(0, 2).Draw(t, "scopes") {
				sc := fmt.Sprint("s", rapid.IntRange(0, 2).Draw(t, "scope"))
				ss := rs.ScopeSpans().AppendEmpty()
				ss.Scope().SetName(sc)
				ss.SetSchemaUrl("schema-" + sc)
				for range rapid.IntRange(0, 4).Draw(t, "spans") {
					end := pcommon.Timestamp(rapid.Uint64Range(1, 60).Draw(t, "end")) * second
					addSpan(ss, id, res, sc, end)
					id++
				}
			}
		}
		inc.Traces = append(inc.Traces, td)
	}
	for range rapid.IntRange(0, 6).Draw(t, "log requests") {
		ld := plog.NewLogs()
		res := fmt.Sprint("r", rapid.IntRange(0, 2).Draw(t, "resource"))
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("name", res)
		rl.SetSchemaUrl("schema-" + res)
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName("s")
		sl.SetSchemaUrl("schema-s")
		for range rapid.IntRange(0, 4).Draw(t, "records") {
			lr := sl.LogRecords().AppendEmpty()
			lr.SetTimestamp(pcommon.Timestamp(rapid.Uint64Range(1, 60).Draw(t, "time")) * second)
			mark(lr.Attributes(), id, res, "s")
			id++
		}
		inc.Logs = append(inc.Logs, ld)
	}
	return inc
}

func addSpan(ss ptrace.ScopeSpans, id int, res, scope string, end pcommon.Timestamp) {
	span := ss.Spans().AppendEmpty()
	span.SetStartTimestamp(end - second/2)
	span.SetEndTimestamp(end)
	span.Events().AppendEmpty().SetTimestamp(end - second/4)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id)+1)
	span.SetSpanID(b)
	mark(span.Attributes(), id, res, scope)
}

func mark(m pcommon.Map, id int, res, scope string) {
	m.PutInt("id", int64(id))
	m.PutStr("belongs", res+"/"+scope+"/schema-"+res+"/schema-"+scope)
}

// seen is an item as it came out.
type seen struct {
	id, batch int
	at        pcommon.Timestamp // end or time
	arrival   pcommon.Timestamp
}

type played struct {
	spans, logs []seen
	sizes       map[pipeline.Signal][]int
}

func play(t require.TestingT, inc *Incident, o Options) played {
	p := played{sizes: map[pipeline.Signal][]int{}}
	last, n := pcommon.Timestamp(0), 0
	item := func(m pcommon.Map, belongs string, at, arrival pcommon.Timestamp) seen {
		id, _ := m.Get("id")
		want, _ := m.Get("belongs")
		require.Equal(t, want.Str(), belongs, "the item keeps its resource and scope")
		return seen{int(id.Int()), n, at, arrival}
	}
	name := func(r pcommon.Resource) string { v, _ := r.Attributes().Get("name"); return v.Str() }
	for b := range inc.Batches(o) {
		require.GreaterOrEqual(t, b.Arrival, last, "arrivals do not go back")
		last = b.Arrival
		require.Positive(t, b.Len(), "an empty batch")
		p.sizes[b.Signal] = append(p.sizes[b.Signal], b.Len())
		if b.Signal == pipeline.SignalLogs {
			for _, rl := range b.Logs.ResourceLogs().All() {
				for _, sl := range rl.ScopeLogs().All() {
					for _, lr := range sl.LogRecords().All() {
						belongs := name(rl.Resource()) + "/" + sl.Scope().Name() + "/" + rl.SchemaUrl() + "/" + sl.SchemaUrl()
						p.logs = append(p.logs, item(lr.Attributes(), belongs, lr.Timestamp(), b.Arrival))
					}
				}
			}
		} else {
			for _, rs := range b.Traces.ResourceSpans().All() {
				for _, ss := range rs.ScopeSpans().All() {
					for _, span := range ss.Spans().All() {
						belongs := name(rs.Resource()) + "/" + ss.Scope().Name() + "/" + rs.SchemaUrl() + "/" + ss.SchemaUrl()
						p.spans = append(p.spans, item(span.Attributes(), belongs, span.EndTimestamp(), b.Arrival))
					}
				}
			}
		}
		n++
	}
	return p
}

func ids(items []seen) []int {
	out := make([]int, len(items))
	for i, it := range items {
		out[i] = it.id
	}
	return out
}

func TestAnyPlayGivesEveryItemOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inc := recording(t)
		o := Options{
			Cut:     rapid.SampledFrom([]int{0, 1, 2, 7, 10_000}).Draw(t, "cut"),
			Shuffle: time.Duration(rapid.SampledFrom([]int{0, 1, 5, 90}).Draw(t, "shuffle")) * time.Second,
			Seed:    rapid.Uint64().Draw(t, "seed"),
		}
		recorded, got := play(t, inc, Options{}), play(t, inc, o)
		require.Len(t, got.spans, inc.SpanCount())
		require.Len(t, got.logs, inc.LogCount())
		for _, s := range []struct{ recorded, got []seen }{{recorded.spans, got.spans}, {recorded.logs, got.logs}} {
			if o.Shuffle == 0 {
				require.Equal(t, ids(s.recorded), ids(s.got), "the order of the file")
			} else {
				a, b := ids(s.recorded), ids(s.got)
				slices.Sort(a)
				slices.Sort(b)
				require.Equal(t, a, b)
			}
			for i, it := range s.got {
				require.GreaterOrEqual(t, it.arrival, it.at, "nothing arrives before it ended")
				if o.Shuffle > 0 {
					for _, later := range s.got[i:] {
						require.Less(t, it.at, later.at+pcommon.Timestamp(o.Shuffle), "displaced by more than asked for")
					}
				}
			}
		}
		if o.Cut > 0 {
			for _, sizes := range got.sizes {
				for _, n := range sizes[:len(sizes)-1] {
					require.Equal(t, o.Cut, n)
				}
				require.LessOrEqual(t, sizes[len(sizes)-1], o.Cut)
			}
		}
	})
}

func TestRecordedRequestsComeOutAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inc := recording(t)
		var want, got []int
		for _, td := range inc.Traces {
			if n := td.SpanCount(); n > 0 {
				want = append(want, n)
			}
		}
		got = play(t, inc, Options{}).sizes[pipeline.SignalTraces]
		require.Equal(t, want, got)
	})
}

// fixed has spans that end at 2 s, 1 s (one request) and 9 s, and records of 1 s, 5 s and 20 s.
func fixed() *Incident {
	inc := &Incident{}
	id := 0
	for _, ends := range [][]int{{2, 1}, {9}} {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("name", "r")
		rs.SetSchemaUrl("schema-r")
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("s")
		ss.SetSchemaUrl("schema-s")
		for _, end := range ends {
			addSpan(ss, id, "r", "s", pcommon.Timestamp(end)*second)
			id++
		}
		inc.Traces = append(inc.Traces, td)
	}
	for _, at := range []int{1, 5, 20} {
		ld := plog.NewLogs()
		lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		lr.SetObservedTimestamp(pcommon.Timestamp(at) * second)
		inc.Logs = append(inc.Logs, ld)
	}
	return inc
}

func TestSignalsStayInStep(t *testing.T) {
	type step struct {
		signal  pipeline.Signal
		arrival pcommon.Timestamp
		n       int
	}
	tests := []struct {
		name string
		o    Options
		want []step
	}{
		{"as recorded", Options{}, []step{
			{pipeline.SignalLogs, 1, 1}, {pipeline.SignalTraces, 2, 2}, {pipeline.SignalLogs, 5, 1},
			{pipeline.SignalTraces, 9, 1}, {pipeline.SignalLogs, 20, 1},
		}},
		{"one by one", Options{Cut: 1}, []step{
			{pipeline.SignalLogs, 1, 1}, {pipeline.SignalTraces, 2, 1}, {pipeline.SignalTraces, 2, 1},
			{pipeline.SignalLogs, 5, 1}, {pipeline.SignalTraces, 9, 1}, {pipeline.SignalLogs, 20, 1},
		}},
		{"all at once", Options{Cut: 100}, []step{{pipeline.SignalTraces, 9, 3}, {pipeline.SignalLogs, 20, 3}}},
		{"shifted", Options{Cut: 2, Shift: 100 * time.Second}, []step{
			{pipeline.SignalTraces, 102, 2}, {pipeline.SignalLogs, 105, 2}, {pipeline.SignalTraces, 109, 1}, {pipeline.SignalLogs, 120, 1},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []step
			for b := range fixed().Batches(tt.o) {
				got = append(got, step{b.Signal, b.Arrival / second, b.Len()})
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestShiftMovesEveryTimestamp(t *testing.T) {
	inc := fixed()
	inc.Traces = inc.Traces[1:]
	inc.Traces[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Events().AppendEmpty()
	for b := range inc.Batches(Options{Shift: -time.Second}) {
		if b.Signal == pipeline.SignalLogs {
			lr := b.Logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
			assert.Zero(t, lr.Timestamp(), "unset stays unset")
			assert.Equal(t, b.Arrival, lr.ObservedTimestamp())
			continue
		}
		span := b.Traces.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		assert.Equal(t, 7*second+second/2, span.StartTimestamp())
		assert.Equal(t, 8*second, span.EndTimestamp())
		assert.Equal(t, 7*second+second*3/4, span.Events().At(0).Timestamp())
		assert.Zero(t, span.Events().At(1).Timestamp(), "unset stays unset")
	}
}

func TestSeedPicksTheOrder(t *testing.T) {
	inc := &Incident{}
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("name", "r")
	rs.SetSchemaUrl("schema-r")
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("s")
	ss.SetSchemaUrl("schema-s")
	for id := range 2 * defaultCut {
		addSpan(ss, id, "r", "s", second+pcommon.Timestamp(id)*second/100)
	}
	inc.Traces = append(inc.Traces, td)
	one := play(t, inc, Options{Shuffle: 5 * time.Second, Seed: 1})
	again := play(t, inc, Options{Shuffle: 5 * time.Second, Seed: 1})
	other := play(t, inc, Options{Shuffle: 5 * time.Second, Seed: 2})
	assert.Equal(t, ids(one.spans), ids(again.spans))
	assert.NotEqual(t, ids(one.spans), ids(other.spans))
	assert.Equal(t, []int{defaultCut, defaultCut}, one.sizes[pipeline.SignalTraces])
}

func TestPlayLeavesTheRecordingAlone(t *testing.T) {
	inc := fixed()
	spans, logs := 0, 0
	for range 2 {
		err := inc.Play(context.Background(), Options{},
			func(_ context.Context, td ptrace.Traces) error {
				span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
				_, found := span.Attributes().Get("written")
				assert.False(t, found, "what a consumer writes must not come back")
				span.Attributes().PutBool("written", true)
				spans += td.SpanCount()
				return nil
			},
			func(_ context.Context, ld plog.Logs) error {
				logs += ld.LogRecordCount()
				return nil
			})
		require.NoError(t, err)
	}
	assert.Equal(t, 6, spans)
	assert.Equal(t, 6, logs)
}

func TestPlayStops(t *testing.T) {
	boom := errors.New("boom")
	calls := 0
	count := func(err error) func(context.Context, ptrace.Traces) error {
		return func(context.Context, ptrace.Traces) error { calls++; return err }
	}
	logs := func(context.Context, plog.Logs) error { return nil }
	require.ErrorIs(t, fixed().Play(context.Background(), Options{}, count(boom), logs), boom)
	assert.Equal(t, 1, calls)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, fixed().Play(ctx, Options{}, count(nil), logs), context.Canceled)
	assert.Equal(t, 1, calls)
}
