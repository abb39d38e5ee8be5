// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"

	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/internal/shared"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
)

// NewFactory returns the factory of the rca processor. The traces and logs instances that it creates
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
	engines shared.Map[*Config, *rcaEngine]
}

func (f *factory) engine(set processor.Settings, cfg component.Config) (*shared.Ref[*rcaEngine], error) {
	c := cfg.(*Config)
	return f.engines.GetOrCreate(c, func() (*rcaEngine, error) { return newEngine(set, c) })
}

func (f *factory) createTraces(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Traces) (processor.Traces, error) {
	e, err := f.engine(set, cfg)
	if err != nil {
		return nil, err
	}
	var held *heldTraces
	if e.Value().cfg.TraceWait > 0 {
		held = newHeldTraces(e.Value(), next)
		next = held
	}
	return processorhelper.NewTraces(ctx, set, cfg, next, e.Value().processTraces,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(func(ctx context.Context, host component.Host) error {
			e.Value().sources.Add(1)
			if held != nil {
				held.Start()
			}
			return e.Start(ctx, host)
		}),
		processorhelper.WithShutdown(func(ctx context.Context) error {
			last := e.Value().sources.Add(-1) <= 0
			if held == nil {
				return e.Shutdown(ctx)
			}
			if last { // held spans get the verdict that all spans together amount to
				e.Value().flush()
			}
			return errors.Join(held.Shutdown(ctx), e.Shutdown(ctx))
		}))
}

func (f *factory) createLogs(ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Logs) (processor.Logs, error) {
	e, err := f.engine(set, cfg)
	if err != nil {
		return nil, err
	}
	var held *heldLogs
	after := next // of what is held, where event records are not
	if e.Value().cfg.LogWait > 0 {
		held = newHeldLogs(e.Value(), next)
		after = held
	}
	outlet := (*emit.Outlet)(nil)
	return processorhelper.NewLogs(ctx, set, cfg, after, e.Value().processLogs,
		processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true}),
		processorhelper.WithStart(func(ctx context.Context, host component.Host) error {
			outlet = e.Value().emitter.Attach(next)
			if held != nil {
				held.Start()
			}
			return e.Start(ctx, host)
		}),
		processorhelper.WithShutdown(func(ctx context.Context) error {
			if e.Value().sources.Load() <= 0 { // no more spans will come: say what they amount to while it can be sent
				e.Value().flush()
			}
			var err error
			if held != nil {
				err = held.Shutdown(ctx)
			}
			return errors.Join(err, outlet.Detach(ctx), e.Shutdown(ctx))
		}))
}
