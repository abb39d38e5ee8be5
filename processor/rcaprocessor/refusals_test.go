// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/firebreak-otel/firebreak/internal/simulate"
)

// Ten minutes of a shop whose database goes down, with four restarts in between, before a next component that refuses
// at random: what was taken comes out once, but what was refused for good while it was held, which is counted; and of
// each step of an incident there is at most one event record.
func TestRandomRefusalsAndRestarts(t *testing.T) {
	sc, err := simulate.Load("../../testdata/scenarios/04-database-down.yaml")
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		held      time.Duration
		permanent float64 // share of the refusals
	}{
		"nothing held":                   {permanent: 0.3},
		"held":                           {held: 5 * time.Second},
		"held, refused for good by some": {held: 5 * time.Second, permanent: 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := simulate.New(sc, simulate.Axes{Rate: 5, Warmup: 7 * time.Minute, Duration: 3 * time.Minute, Logs: true}, 1)
				require.NoError(t, err)
				p := &bumpy{t: t, rng: rand.New(rand.NewPCG(1, 2)), permanent: tt.permanent, held: tt.held, clock: s.Zero() - int64(7*time.Minute)}
				p.open()
				restarts := []time.Duration{2 * time.Minute, 6 * time.Minute, 7*time.Minute + 20*time.Second, 8*time.Minute + 10*time.Second}
				for b := range s.Batches() {
					at := time.Duration(int64(b.Arrival) - p.clock)
					if len(restarts) > 0 && at > restarts[0] {
						restarts = restarts[1:]
						p.close()
						p.open()
					}
					if d := at - time.Since(p.began); d > 0 {
						time.Sleep(d)
					}
					if b.Signal == pipeline.SignalLogs {
						p.logs(b.Logs)
					} else {
						p.traces(b.Traces)
					}
				}
				p.close()
				p.check()
			})
		})
	}
}

// bumpy is a pair of pipelines before an end that refuses at random, and whoever sends to them.
type bumpy struct {
	t         *testing.T
	rng       *rand.Rand
	permanent float64
	held      time.Duration
	clock     int64     // event time when the test began
	began     time.Time // when that was
	to        *end
	store     component.Host
	log       zapcore.Core
	steps     *observer.ObservedLogs
	rig       *rig

	serial         int64
	taken          map[string]map[int64]bool // by signal
	lost, waited   map[string]int64          // by signal: of what was held
	panics, untold int
}

func (p *bumpy) open() {
	if p.to == nil {
		_, p.store = newMemory()
		p.began = time.Now()
		p.taken = map[string]map[int64]bool{"traces": {}, "logs": {}}
		p.lost, p.waited = map[string]int64{}, map[string]int64{}
		p.log, p.steps = observer.New(zap.InfoLevel)
		p.to = &end{refuse: func() error {
			switch x := p.rng.Float64(); {
			case x < 0.2*p.permanent:
				return consumererror.NewPermanent(errors.New("no"))
			case x < 0.2:
				return errors.New("busy")
			}
			return nil
		}}
	}
	p.rig = holding(p.t, p.to, func(c *Config) {
		c.TraceWait, c.LogWait, c.Storage = p.held, p.held, &memoryID
		c.Limits.HeldBytes = 400_000
	})
	p.rig.engine.logger = zap.New(p.log)
	for _, c := range p.rig.components() {
		require.NoError(p.t, c.Start(p.t.Context(), p.store))
	}
}

func (p *bumpy) close() {
	for _, c := range p.rig.components() {
		_ = c.Shutdown(context.Background()) // what it says is lost is counted below
	}
	for signal := range p.taken {
		p.lost[signal] += p.rig.items("held_refused", signal, "permanent") + p.rig.items("held_refused", signal, "shutdown")
		for _, reason := range []string{"waited", "full", "shutdown"} {
			p.waited[signal] += p.rig.items("held_released", signal, reason)
		}
	}
	if m, err := p.rig.telemetry.GetMetric("otelcol_processor_rca_panics"); err == nil {
		p.panics += int(m.Data.(metricdata.Sum[int64]).DataPoints[0].Value)
	}
	if m, err := p.rig.telemetry.GetMetric("otelcol_processor_rca_events_lost"); err == nil {
		for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
			p.untold += int(point.Value)
		}
	}
}

// send offers a batch until it is taken, or refused for good.
func (p *bumpy) send(signal string, serials []int64, offer func() error) {
	for {
		err := offer()
		if err == nil {
			for _, n := range serials {
				p.taken[signal][n] = true
			}
		}
		if err == nil || consumererror.IsPermanent(err) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// number marks an item.
func (p *bumpy) number(m pcommon.Map) int64 {
	p.serial++
	m.PutInt("serial", p.serial)
	return p.serial
}

func (p *bumpy) traces(td ptrace.Traces) {
	var serials []int64
	eachSpan(td, func(s ptrace.Span) { serials = append(serials, p.number(s.Attributes())) })
	p.send("traces", serials, func() error { return p.rig.traces.ConsumeTraces(p.t.Context(), copyOf(td)) })
}

func (p *bumpy) logs(ld plog.Logs) {
	var serials []int64
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				serials = append(serials, p.number(lr.Attributes()))
			}
		}
	}
	p.send("logs", serials, func() error {
		again := plog.NewLogs()
		ld.CopyTo(again)
		return p.rig.logs[0].ConsumeLogs(p.t.Context(), again)
	})
}

func (p *bumpy) check() {
	for signal, got := range map[string][]arrived{"traces": p.to.spans, "logs": p.to.logs} {
		out, last := map[int64]bool{}, map[string]int64{}
		for _, a := range got {
			n := a.attr["serial"].(int64)
			assert.True(p.t, p.taken[signal][n], "%s: what was refused came out", signal)
			assert.False(p.t, out[n], "%s: twice", signal)
			out[n] = true
			if p.held == 0 {
				assert.Greater(p.t, n, last[signal], "in order")
				last[signal] = n
			}
		}
		assert.Equal(p.t, len(p.taken[signal])-int(p.lost[signal]), len(out), "%s: %d taken, %d lost", signal, len(p.taken[signal]), p.lost[signal])
		assert.Equal(p.t, p.held > 0, p.waited[signal] > 0)
		assert.Equal(p.t, p.held > 0 && p.permanent > 0, p.lost[signal] > 0)
		p.t.Logf("%s: %d taken, %d out, %d waited, %d refused for good after that", signal, len(p.taken[signal]), len(out), p.waited[signal], p.lost[signal])
	}
	assert.Zero(p.t, p.panics)
	var steps, told []string
	for _, e := range p.steps.FilterMessageSnippet("Incident ").All() {
		steps = append(steps, strings.TrimPrefix(e.Message, "Incident ")+" "+e.ContextMap()["id"].(string))
	}
	for _, e := range p.to.events {
		told = append(told, strings.TrimPrefix(e.name, "rca.incident.")+" "+e.attr[keyIncidentID].(string))
	}
	p.t.Logf("incident: %v, told: %v", steps, told)
	assert.NotEmpty(p.t, steps)
	assert.Len(p.t, steps, len(told)+p.untold, "those that were not delivered are counted")
	rest := steps
	for _, s := range told {
		i := slices.Index(rest, s)
		if !assert.GreaterOrEqual(p.t, i, 0, "%s was told twice, or out of order", s) {
			return
		}
		rest = rest[i+1:]
	}
}
