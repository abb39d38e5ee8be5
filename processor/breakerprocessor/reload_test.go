// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

// instance is a breaker as the Collector builds it: from a factory of its own, with telemetry of its own.
type instance struct {
	*harness
	logged *observer.ObservedLogs
}

func freshID() component.ID { return nopSettings().ID }

func build(t *testing.T, id component.ID, change func(*Config)) *instance {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	h := &harness{pipelines: pipelines{new(consumertest.TracesSink), new(consumertest.LogsSink)}, tel: componenttest.NewTelemetry()}
	set := nopSettings()
	set.ID, set.TelemetrySettings = id, h.tel.NewTelemetrySettings()
	set.Logger = zap.New(core)
	cfg := createDefaultConfig().(*Config)
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	f := NewFactory()
	traces, err := f.CreateTraces(t.Context(), set, cfg, h.traces)
	require.NoError(t, err)
	logs, err := f.CreateLogs(t.Context(), set, cfg, h.pipelines.logs)
	require.NoError(t, err)
	for _, c := range []component.Component{traces, logs} {
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	}
	h.push, h.logs = traces.ConsumeTraces, logs.ConsumeLogs
	h.stop = sync.OnceFunc(func() {
		require.NoError(t, traces.Shutdown(context.Background()))
		require.NoError(t, logs.Shutdown(context.Background()))
		require.NoError(t, h.tel.Shutdown(context.Background()))
	})
	t.Cleanup(h.stop)
	return &instance{h, logged}
}

// one sends a failed call, and returns the state that is written on it.
func (i *instance) one(t *testing.T, s *stream) any {
	t.Helper()
	require.NoError(t, i.push(t.Context(), s.batch(1, 50*time.Millisecond, true)))
	if state, ok := breakerAttributes(i.last().Attributes())[keyState]; ok {
		return state
	}
	return "closed"
}

func (i *instance) events() (out []string) {
	i.stop()
	all, _ := changes(i.pipelines.logs)
	for _, c := range all {
		out = append(out, c.event+" "+c.state)
	}
	return out
}

// forShop is a rule about the one edge of the stream.
func forShop(change func(*EdgeConfig)) func(*Config) {
	return func(c *Config) {
		e := EdgeConfig{Callee: "postgresql/*", BreakerConfig: c.BreakerConfig}
		change(&e)
		c.Edges = []EdgeConfig{e}
	}
}

func TestReload(t *testing.T) {
	lax := func(e *EdgeConfig) { e.FailureRatio, e.MinimumCalls, e.Fast.MinimumCalls = 1, 1e6, 1e6 }
	for name, tt := range map[string]struct {
		before, after func(*Config)
		otherID       bool
		state         string
		told          []string // after the reload
		says          string
	}{
		"same":               {state: "open", says: "go on"},
		"rule of same value": {after: forShop(func(*EdgeConfig) {}), state: "open", says: "go on"},
		"rule about another": {after: func(c *Config) {
			forShop(lax)(c)
			c.Edges[0].Callee = "redis*"
		}, state: "open", says: "go on"},
		"rule about it": {after: forShop(lax), state: "closed", told: []string{"breaker.state_changed closed"}, says: "go on"},
		"by operation": {after: forShop(func(e *EdgeConfig) {
			lax(e)
			e.ByOperation = true
		}), state: "closed", told: []string{"breaker.state_changed closed"}, says: "go on"},
		"rule is gone":     {before: forShop(func(e *EdgeConfig) { e.CloseRatio = 0.05 }), state: "open", told: []string{"breaker.state_changed closed", "breaker.state_changed open"}, says: "go on"},
		"force_open":       {after: forShop(func(e *EdgeConfig) { e.State = stateForceOpen }), state: "forced_open", told: []string{"breaker.state_changed forced_open"}, says: "go on"},
		"disabled":         {after: forShop(func(e *EdgeConfig) { e.State = stateDisabled }), state: "disabled", told: []string{"breaker.state_changed disabled"}, says: "go on"},
		"bounds":           {after: func(c *Config) { c.MaxEdges, c.MaxOpenShare, c.EventQueueSize = 1, 0.1, 7 }, state: "open", says: "go on"},
		"another window":   {after: func(c *Config) { c.Window.Buckets = 5 }, state: "closed", says: "begin anew"},
		"max_spans":        {after: func(c *Config) { c.MaxSpans = 1000 }, state: "closed", says: "begin anew"},
		"another ID":       {otherID: true, state: "closed"},
		"force_open, same": {before: forShop(func(e *EdgeConfig) { e.State = stateForceOpen }), after: forShop(func(e *EdgeConfig) { e.State = stateForceOpen }), state: "forced_open", says: "go on"},
	} {
		t.Run(name, func(t *testing.T) {
			id := freshID()
			first := build(t, id, tt.before)
			s := first.outage(t)
			require.NotEqual(t, "closed", first.one(t, s))
			require.Len(t, first.events(), 1)
			if tt.otherID {
				id = freshID()
			}
			second := build(t, id, tt.after)
			for range 6 {
				second.one(t, s)
			}
			assert.Equal(t, tt.state, second.one(t, s))
			for outcome, says := range map[string]string{reloadKept: "go on", reloadSettings: "begin anew"} {
				assert.Equal(t, says == tt.says, valueOf(t, second.tel, "reloads", metricOutcome, outcome) == 1, outcome)
			}
			assert.Equal(t, tt.told, second.events())
			if tt.says == "" {
				assert.Zero(t, second.logged.Len())
			} else {
				require.Equal(t, 1, second.logged.Len())
				assert.Contains(t, second.logged.All()[0].Message, tt.says)
			}
			assert.Zero(t, first.logged.Len(), "nothing went on there")
		})
	}
}

// Over any number of reloads the outage is one: it opens once, and closes once.
func TestReloadAgainAndAgain(t *testing.T) {
	id := freshID()
	s := &stream{}
	var told []string
	for i := range 40 {
		in := build(t, id, nil)
		require.NoError(t, in.push(t.Context(), s.batch(40, 50*time.Millisecond, i >= 10 && i < 12)))
		in.panics(t, 0)
		told = append(told, in.events()...)
	}
	assert.Equal(t, []string{"breaker.state_changed open", "breaker.state_changed closed"}, told)
}

// Log records of the caller are annotated as soon as spans go on.
func TestReloadAnnotatesLogs(t *testing.T) {
	id := freshID()
	first := build(t, id, nil)
	s := first.outage(t)
	first.stop()
	second := build(t, id, nil)
	second.one(t, s)
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "orders")
	lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	require.NoError(t, second.logs(t.Context(), ld))
	assert.Equal(t, "open", breakerAttributes(lr.Attributes())[keyState])
}

// Counters are those of the new engine; gauges show what it took over.
func TestReloadMetrics(t *testing.T) {
	id := freshID()
	first := build(t, id, func(c *Config) { c.MaxEdges = 1 })
	s := first.outage(t)
	storm := s.batch(10, time.Millisecond, false)
	for i, span := range storm.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		span.Attributes().PutStr("db.namespace", fmt.Sprint(i))
	}
	require.NoError(t, first.push(t.Context(), storm))
	_, err := first.tel.GetMetric("otelcol_processor_breaker_limit_hits")
	require.NoError(t, err)
	first.stop()
	second := build(t, id, func(c *Config) { c.MaxEdges = 1 })
	second.one(t, s)
	_, err = second.tel.GetMetric("otelcol_processor_breaker_limit_hits")
	require.Error(t, err)
	state, err := second.tel.GetMetric("otelcol_processor_breaker_state")
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprintf("%+v", state.Data), "orders->postgresql/shop")
}

// Two engines of one ID at a time share nothing.
func TestReloadIsNoSharing(t *testing.T) {
	id := freshID()
	first := build(t, id, nil)
	s := first.outage(t)
	second := build(t, id, nil)
	assert.Equal(t, "closed", second.one(t, s))
	assert.Equal(t, "open", first.one(t, s))
	first.stop()
	assert.Equal(t, "closed", second.one(t, s), "it has begun")
	third, fourth := build(t, id, nil), build(t, id, nil)
	assert.Equal(t, "open", third.one(t, s))
	assert.Equal(t, "closed", fourth.one(t, s), "handed over once")
}

// Spans that come after the shutdown pass, and do not touch what the next engine has.
func TestReloadLateSpans(t *testing.T) {
	id := freshID()
	first := build(t, id, nil)
	s := first.outage(t)
	first.stop()
	second := build(t, id, nil)
	assert.Equal(t, "closed", first.one(t, s))
	assert.Equal(t, "open", second.one(t, s))
	assert.Equal(t, 1261, first.traces.SpanCount())
}

// Spans of another time are another stream: a recording that is played again, say.
func TestReloadOfAnotherTime(t *testing.T) {
	for name, tt := range map[string]struct {
		by   time.Duration
		want string
	}{
		"it goes on":     {0, "open"},
		"a minute later": {time.Minute, "open"},
		"from the start": {-time.Minute, "closed"},
		"an hour later":  {time.Hour, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			id := freshID()
			first := build(t, id, nil)
			s := first.outage(t)
			first.stop()
			s.at += tt.by
			assert.Equal(t, tt.want, build(t, id, nil).one(t, s))
		})
	}
}

// Two reloads in a row, with no span between: what was learned waits for the third.
func TestReloadTwiceInSilence(t *testing.T) {
	id := freshID()
	first := build(t, id, nil)
	s := first.outage(t)
	first.stop()
	build(t, id, nil).stop()
	assert.Equal(t, "open", build(t, id, nil).one(t, s))
}

// One that was never asked anything leaves nothing, and takes nothing away.
func TestReloadOfAnEmptyOne(t *testing.T) {
	id := freshID()
	set := nopSettings()
	set.ID = id
	first := build(t, id, nil)
	s := first.outage(t)
	first.stop()
	unstarted, err := NewFactory().CreateTraces(t.Context(), set, createDefaultConfig(), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, unstarted.Shutdown(t.Context()))
	assert.Equal(t, "open", build(t, id, nil).one(t, s))
}

// One that has learned something by itself goes on with that.
func TestReloadOfABusyOne(t *testing.T) {
	set := nopSettings()
	cfg := createDefaultConfig().(*Config)
	first := build(t, set.ID, nil)
	s := first.outage(t)
	first.stop()
	busy, err := newEngine(set, cfg)
	require.NoError(t, err)
	_, err = busy.processTraces(t.Context(), s.batch(1, time.Second, false))
	require.NoError(t, err)
	require.NoError(t, busy.Start(t.Context(), componenttest.NewNopHost()))
	assert.Zero(t, busy.core.States()[circuit.Open])
	require.NoError(t, busy.Shutdown(t.Context()))
}

func TestLot(t *testing.T) {
	var l lot
	now := time.Unix(0, 0)
	begun := func() *engine.Engine {
		e := engine.New(createDefaultConfig().(*Config).settings(), nil)
		e.Learn(&call.Batch{}, nil)
		return e
	}
	ids := make([]component.ID, maxParked+2)
	for i := range ids {
		ids[i] = freshID()
	}
	a, b := begun(), begun()
	l.park(ids[0], a, now)
	l.park(ids[0], b, now)
	assert.Len(t, l.cores, 1)
	assert.Nil(t, l.take(ids[1], now))
	assert.Same(t, b, l.take(ids[0], now.Add(parkedFor)), "the newer one")
	assert.Nil(t, l.take(ids[0], now))

	for _, at := range []time.Duration{parkedFor + 1, -1} {
		l.park(ids[0], a, now)
		assert.Nil(t, l.take(ids[0], now.Add(at)), "not of this time")
	}
	l.park(ids[0], a, now)
	l.park(ids[1], b, now.Add(parkedFor+1))
	assert.Len(t, l.cores, 1, "the other one has gone")

	for _, id := range ids {
		l.park(id, a, now.Add(parkedFor))
	}
	assert.Len(t, l.cores, maxParked)
	assert.Nil(t, l.take(ids[0], now.Add(parkedFor)), "the longest parked gives way")
	assert.NotNil(t, l.take(ids[maxParked+1], now.Add(parkedFor)))
	assert.LessOrEqual(t, cap(l.cores), 2*maxParked)
	for _, p := range l.cores[len(l.cores):cap(l.cores)] {
		assert.Nil(t, p.core, "nothing is held on to")
	}
}

// Engines come and go at the same time: each parked core is handed to one.
func TestLotConcurrently(t *testing.T) {
	id := freshID()
	core := engine.New(createDefaultConfig().(*Config).settings(), nil)
	var l lot
	now := time.Unix(0, 0)
	l.park(id, core, now)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 16 {
		wg.Go(func() {
			if l.take(id, now) != nil {
				mu.Lock()
				got++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, got)
}
