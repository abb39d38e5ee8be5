// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry sets up one service's traces and logs over OTLP, as a team
// that follows the OpenTelemetry Go documentation would.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// batchDelay is shorter than the SDK's 5 s, so that an incident's story arrives
// soon and a pause of one process shows as a gap.
const batchDelay = time.Second

// Identity is what a service says about itself.
type Identity struct{ Name, Instance, Version string }

// Start installs the global providers that export to endpoint (host:port, no
// TLS) and returns the service's logger and a function that flushes and stops.
func Start(ctx context.Context, id Identity, endpoint string) (*slog.Logger, func(), error) {
	// No process, host or OS detector: a recording must not tell on whose
	// machine it was made.
	res, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithAttributes(
			semconv.ServiceNamespace("shop"),
			semconv.ServiceName(id.Name),
			semconv.ServiceInstanceID(id.Instance),
			semconv.ServiceVersion(id.Version),
			semconv.DeploymentEnvironmentNameKey.String("lab"),
		))
	if err != nil && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, nil, fmt.Errorf("resource of %s: %w", id.Instance, err)
	}
	traces, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, nil, fmt.Errorf("trace exporter of %s: %w", id.Instance, err)
	}
	logs, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(endpoint), otlploggrpc.WithInsecure())
	if err != nil {
		return nil, nil, fmt.Errorf("log exporter of %s: %w", id.Instance, err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithResource(res),
		sdktrace.WithBatcher(traces, sdktrace.WithBatchTimeout(batchDelay), sdktrace.WithMaxQueueSize(16384)))
	lp := sdklog.NewLoggerProvider(sdklog.WithResource(res),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(batchDelay), sdklog.WithMaxQueueSize(16384))))
	otel.SetTracerProvider(tp)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))

	stop := func() {
		c, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = tp.Shutdown(c)
		_ = lp.Shutdown(c)
	}
	return otelslog.NewLogger("shop/"+id.Name, otelslog.WithLoggerProvider(lp)), stop, nil
}
