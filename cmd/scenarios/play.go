// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/firebreak-otel/firebreak/internal/simulate"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor"
)

// record is one event record of an incident.
type record struct {
	event          string
	id             string
	onset, seen    int64
	root, kind     string
	instance       string
	version, host  string
	score          float64
	candidates     []string
	body, evidence string
}

// listener keeps the incidents' event records of what passes.
type listener struct {
	mu      sync.Mutex
	records []record
}

func (l *listener) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (l *listener) ConsumeLogs(_ context.Context, ld plog.Logs) error {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				if event, ok := strings.CutPrefix(lr.EventName(), "rca.incident."); ok {
					l.mu.Lock()
					l.records = append(l.records, recordOf(event, lr))
					l.mu.Unlock()
				}
			}
		}
	}
	return nil
}

func recordOf(event string, lr plog.LogRecord) record {
	a := lr.Attributes()
	r := record{
		event: event, onset: int64(lr.Timestamp()), seen: int64(lr.ObservedTimestamp()), body: lr.Body().Str(),
		id: text(a, "rca.incident.id"), root: text(a, "rca.root_cause.node"), kind: text(a, "rca.root_cause.cause", "rca.root_cause.kind"),
		instance: text(a, "rca.root_cause.instance"), version: text(a, "rca.root_cause.version"), host: text(a, "rca.root_cause.host"),
	}
	if v, ok := a.Get("rca.root_cause.score"); ok {
		r.score = v.Double()
	}
	if v, ok := a.Get("rca.candidates"); ok {
		for _, c := range v.Slice().All() {
			r.candidates = append(r.candidates, c.Str())
		}
	}
	if v, ok := a.Get("rca.evidence"); ok {
		r.evidence = v.AsString()
	}
	return r
}

// text is the first of the keys that is there.
func text(a pcommon.Map, keys ...string) string {
	for _, k := range keys {
		if v, ok := a.Get(k); ok {
			return v.Str()
		}
	}
	return ""
}

// play runs one scenario through breaker and rca, as they stand in the configuration that ships.
func play(t task, verbose bool) (row, error) {
	s, err := simulate.New(t.scenario, t.axes, t.seed)
	if err != nil {
		return row{}, fmt.Errorf("%s: %w", t.scenario.Name, err)
	}
	l := new(listener)
	p, err := newPipelines(l)
	if err != nil {
		return row{}, fmt.Errorf("%s: %w", t.scenario.Name, err)
	}
	ctx := context.Background()
	for b := range s.Batches() {
		if b.Signal == pipeline.SignalLogs {
			err = p.logs.ConsumeLogs(ctx, b.Logs)
		} else {
			err = p.traces.ConsumeTraces(ctx, b.Traces)
		}
		if err != nil {
			break
		}
	}
	if err = errors.Join(err, p.shutdown(ctx)); err != nil {
		return row{}, fmt.Errorf("%s, seed %d: %w", t.scenario.Name, t.seed, err)
	}
	if verbose {
		l.print(t, s.Zero())
	}
	return judge(t, s.Zero(), l.records), nil
}

var printing sync.Mutex

func (l *listener) print(t task, zero int64) {
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("== %s, %s, seed %d\n", t.scenario.Name, label(t.axes), t.seed)
	for _, r := range l.records {
		fmt.Printf("%8s %s onset %+.1fs seen %+.1fs %.2f %s\n  %s\n", r.event, r.id, since(r.onset, zero), since(r.seen, zero), r.score, r.body, r.evidence)
	}
}

func since(t, zero int64) float64 { return time.Duration(t - zero).Seconds() }

// pipelines is breaker and rca in a traces and a logs pipeline.
type pipelines struct {
	traces consumer.Traces
	logs   consumer.Logs
	parts  []component.Component
}

func newPipelines(l *listener) (*pipelines, error) {
	p := &pipelines{logs: l, traces: consumertest.NewNop()}
	ctx := context.Background()
	for _, f := range []processor.Factory{rcaprocessor.NewFactory(), breakerprocessor.NewFactory()} {
		cfg, set := f.CreateDefaultConfig(), processortest.NewNopSettings(f.Type())
		traces, err := f.CreateTraces(ctx, set, cfg, p.traces)
		if err != nil {
			return nil, err
		}
		logs, err := f.CreateLogs(ctx, set, cfg, p.logs)
		if err != nil {
			return nil, err
		}
		p.traces, p.logs = traces, logs
		p.parts = append(p.parts, traces, logs)
	}
	for _, c := range p.parts {
		if err := c.Start(ctx, componenttest.NewNopHost()); err != nil {
			return nil, errors.Join(err, p.shutdown(ctx))
		}
	}
	return p, nil
}

// shutdown ends the processors, upstream first.
func (p *pipelines) shutdown(ctx context.Context) error {
	var errs []error
	for i := len(p.parts) - 1; i >= 0; i-- {
		errs = append(errs, p.parts[i].Shutdown(ctx))
	}
	return errors.Join(errs...)
}
