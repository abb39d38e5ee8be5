// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/internal/shared"
)

// logsPipeline is one logs pipeline's part of the engine: records of callers whose dependency is open are annotated, and
// event records join them.
type logsPipeline struct {
	ref    *shared.Ref[*breakerEngine]
	next   consumer.Logs
	outlet *emit.Outlet
}

func (l *logsPipeline) process(_ context.Context, ld plog.Logs) (plog.Logs, error) {
	e := l.ref.Value()
	e.contain(func() { e.processLogs(ld) })
	return ld, nil
}

func (l *logsPipeline) start(ctx context.Context, host component.Host) error {
	l.outlet = l.ref.Value().emitter.Attach(l.next)
	return l.ref.Start(ctx, host)
}

func (l *logsPipeline) shutdown(ctx context.Context) error {
	return errors.Join(l.outlet.Detach(ctx), l.ref.Shutdown(ctx))
}
