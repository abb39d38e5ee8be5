// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	collector "go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor"
)

// peer is the component that ours are compared with.
const peer = "service_graph"

// candidate is what is measured: a component, or two in a row.
type candidate struct {
	name   string
	build  func(b *build) (pipeline, error)
	checks []check
}

var candidates = []candidate{
	{"nop", (*build).nop, nil},
	{"breaker", (*build).breaker, breakerChecks},
	{"rca", (*build).rca, rcaChecks},
	{"breaker+rca", (*build).both, append(append([]check(nil), breakerChecks...), rcaChecks...)},
	{peer, (*build).serviceGraph, serviceGraphChecks},
}

// pipeline is what spans are fed to.
type pipeline interface {
	component.Component
	collector.Traces
}

// build makes pipelines as a collector does: by their factories, with their default configuration and a
// real meter provider.
type build struct {
	speed     time.Duration // how many times faster than they happened the spans are fed
	telemetry *componenttest.Telemetry
	metrics   *consumertest.MetricsSink
}

// builds counts the processors that were built.
var builds int

func newBuild(speed time.Duration) *build {
	return &build{speed: speed, telemetry: componenttest.NewTelemetry(), metrics: new(consumertest.MetricsSink)}
}

func (b *build) nop() (pipeline, error) {
	return b.processor(processortest.NewNopFactory(), nil, consumertest.NewNop())
}

func (b *build) breaker() (pipeline, error) {
	return b.processor(breakerprocessor.NewFactory(), nil, consumertest.NewNop())
}

func (b *build) rca() (pipeline, error) {
	return b.processor(rcaprocessor.NewFactory(), nil, consumertest.NewNop())
}

func (b *build) both() (pipeline, error) {
	second, err := b.rca()
	if err != nil {
		return nil, err
	}
	first, err := b.processor(breakerprocessor.NewFactory(), nil, second)
	if err != nil {
		return nil, err
	}
	return &row{pipeline: first, second: second}, nil
}

// processor is made with its default configuration where cfg is nil.
func (b *build) processor(f processor.Factory, cfg component.Config, next collector.Traces) (pipeline, error) {
	if cfg == nil {
		cfg = f.CreateDefaultConfig()
	}
	set := processortest.NewNopSettings(f.Type())
	// What a breaker learned waits for the next one with its ID: no two runs have the same.
	builds++
	set.ID = component.NewIDWithName(f.Type(), strconv.Itoa(builds))
	set.TelemetrySettings = b.telemetry.NewTelemetrySettings()
	return f.CreateTraces(context.Background(), set, cfg, next)
}

// serviceGraph differs from its defaults in three settings. Its times are of the wall clock, and spans are
// fed faster than they happened: it would forget nothing. Its store takes 1,000 calls, and fills in a fifth of a
// second with those that nobody answers, such as to databases: it would drop 99 of 100 spans. And it hands
// on its metrics during the run, so that they can be checked.
func (b *build) serviceGraph() (pipeline, error) {
	f := servicegraphconnector.NewFactory()
	cfg := f.CreateDefaultConfig().(*servicegraphconnector.Config)
	cfg.Store.TTL /= b.speed
	cfg.StoreExpirationLoop /= b.speed
	cfg.Store.MaxItems = 100_000
	flush := 100 * time.Millisecond
	cfg.MetricsFlushInterval = &flush
	set := connectortest.NewNopSettings(f.Type())
	set.TelemetrySettings = b.telemetry.NewTelemetrySettings()
	return f.CreateTracesToMetrics(context.Background(), set, cfg, b.metrics)
}

// row is two processors, the second fed by the first.
type row struct {
	pipeline
	second component.Component
}

func (r *row) Start(ctx context.Context, host component.Host) error {
	return errors.Join(r.second.Start(ctx, host), r.pipeline.Start(ctx, host))
}

func (r *row) Shutdown(ctx context.Context) error {
	return errors.Join(r.pipeline.Shutdown(ctx), r.second.Shutdown(ctx))
}
