// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/firebreak-otel/firebreak/internal/replay"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor"
)

// recording is the incident of testdata/incidents that is shown, and shown is the event record that is.
const (
	recording = "postgres-lock"
	shown     = "rca.incident.resolved"
)

// resolvedOf plays a recorded incident through pipelines of both processors, as users have them, and returns the event
// record that says it is over.
func resolvedOf(ctx context.Context, dir string) (found plog.LogRecord, err error) {
	in, err := replay.Load(dir)
	if err != nil {
		return found, err
	}
	records := 0
	take := func(_ context.Context, ld plog.Logs) error {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if lr.EventName() == shown {
						found = plog.NewLogRecord()
						lr.CopyTo(found)
						records++
					}
				}
			}
		}
		return nil
	}
	logsEnd, err := consumer.NewLogs(take)
	if err != nil {
		return found, err
	}
	tracesEnd, err := consumer.NewTraces(func(context.Context, ptrace.Traces) error { return nil })
	if err != nil {
		return found, err
	}
	p := pipelines{traces: tracesEnd, logs: logsEnd}
	for _, f := range []processor.Factory{rcaprocessor.NewFactory(), breakerprocessor.NewFactory()} { // from the end to the beginning
		if err := p.before(ctx, f); err != nil {
			return found, err
		}
	}
	for _, c := range p.parts {
		if err := c.Start(ctx, componenttest.NewNopHost()); err != nil {
			return found, err
		}
	}
	err = in.Play(ctx, replay.Options{}, p.traces.ConsumeTraces, p.logs.ConsumeLogs)
	for i := range p.parts {
		err = errors.Join(err, p.parts[len(p.parts)-1-i].Shutdown(ctx))
	}
	if err == nil && records != 1 {
		err = fmt.Errorf("%s: %d records %s, want 1", dir, records, shown)
	}
	return found, err
}

// pipelines is a traces and a logs pipeline, with their parts in the order in which they start.
type pipelines struct {
	traces consumer.Traces
	logs   consumer.Logs
	parts  []component.Component
}

// before puts one processor before what is there, in both pipelines.
func (p *pipelines) before(ctx context.Context, f processor.Factory) error {
	set, cfg := processortest.NewNopSettings(f.Type()), f.CreateDefaultConfig()
	traces, err := f.CreateTraces(ctx, set, cfg, p.traces)
	if err != nil {
		return err
	}
	logs, err := f.CreateLogs(ctx, set, cfg, p.logs)
	if err != nil {
		return err
	}
	p.traces, p.logs = traces, logs
	p.parts = append(p.parts, logs, traces)
	return nil
}
