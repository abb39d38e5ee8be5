// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"

	"github.com/firebreak-otel/firebreak/internal/shared"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadata"
)

// NewFactory returns the factory of the breaker processor. The traces and logs instances that it creates
// for one component ID share one engine.
func NewFactory() processor.Factory {
	f := &factory{}
	return processor.NewFactory(
		metadata.Type,
		createDefaultConfig,
		processor.WithTraces(f.createTraces, metadata.TracesStability),
		processor.WithLogs(f.createLogs, metadata.LogsStability),
	)
}

type factory struct {
	engines shared.Map[*Config, *breakerEngine]
}

func (f *factory) engine(set processor.Settings, cfg component.Config) (*shared.Ref[*breakerEngine], error) {
	c := cfg.(*Config)
	return f.engines.GetOrCreate(c, func() (*breakerEngine, error) { return newEngine(set, c) })
}

func (f *factory) createTraces(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
	e, err := f.engine(set, cfg)
	if err != nil {
		return nil, err
	}
	return processorhelper.NewTraces(ctx, set, cfg, next, e.Value().processTraces,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(e.Start),
		processorhelper.WithShutdown(e.Shutdown))
}

func (f *factory) createLogs(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Logs) (processor.Logs, error) {
	e, err := f.engine(set, cfg)
	if err != nil {
		return nil, err
	}
	l := &logsPipeline{ref: e, next: next}
	return processorhelper.NewLogs(ctx, set, cfg, next, l.process,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(l.start),
		processorhelper.WithShutdown(l.shutdown))
}
