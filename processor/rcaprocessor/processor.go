// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
)

// engine is what the traces and the logs pipelines of one component ID share.
type engine struct {
	cfg       *Config
	telemetry *metadata.TelemetryBuilder
}

func newEngine(set processor.Settings, cfg *Config) (*engine, error) {
	tb, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &engine{cfg: cfg, telemetry: tb}, nil
}

func (e *engine) Start(context.Context, component.Host) error { return nil }

func (e *engine) Shutdown(context.Context) error {
	e.telemetry.Shutdown()
	return nil
}

func (e *engine) processTraces(_ context.Context, td ptrace.Traces) (ptrace.Traces, error) {
	return td, nil
}

func (e *engine) processLogs(_ context.Context, ld plog.Logs) (plog.Logs, error) {
	return ld, nil
}
