// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/pipeline"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

const (
	configs  = "../cmd/otelcol-custom/config"
	incident = "../testdata/incidents/postgres-lock"
)

// binary is the collector to test, as `make check-configs` built it.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("FIREBREAK_COLLECTOR")
	if path == "" {
		t.Skip("SKIPPED: FIREBREAK_COLLECTOR names no collector; `make check-configs` builds one and runs this")
	}
	return path
}

// instance is a collector that runs on ports of its own.
type instance struct {
	*process
	otlp, health, metrics, graph string // addresses
	dir                          string
}

// collector starts one with a shipped configuration; env and overlays (YAML, merged over it) add to it. A port that
// was free may be taken before the collector listens on it: then it starts on others.
func collector(t *testing.T, name, config string, env []string, overlays ...string) *instance {
	t.Helper()
	for range 3 {
		c := launch(t, name, config, env, overlays)
		err := c.ready(t.Context(), c.saysReady)
		if err != nil && strings.Contains(err.Error(), "address already in use") {
			continue
		}
		t.Cleanup(func() { assert.NoError(t, c.stop()) })
		require.NoError(t, err)
		return c
	}
	require.FailNow(t, "no free port")
	return nil
}

func launch(t *testing.T, name, config string, env, overlays []string) *instance {
	t.Helper()
	a, err := freeAddresses(5)
	require.NoError(t, err)
	c := &instance{otlp: a[0], health: a[1], metrics: a[2], graph: a[3], dir: t.TempDir()}
	env = append([]string{
		"FIREBREAK_OTLP_ENDPOINT=" + c.otlp,
		"FIREBREAK_OTLP_HTTP_ENDPOINT=" + a[4],
		"FIREBREAK_HEALTH_ENDPOINT=" + c.health,
		"FIREBREAK_METRICS_PORT=" + port(c.metrics),
		"FIREBREAK_GRAPH_ENDPOINT=" + c.graph,
		"FIREBREAK_STORAGE=" + filepath.Join(c.dir, "storage"),
		"FIREBREAK_OUT=" + c.dir,
	}, env...)
	args := []string{"--config", filepath.Join(configs, config)}
	if !hasReader[config] {
		overlays = append(overlays, `service::telemetry::metrics::level: none`)
	}
	for _, o := range overlays {
		args = append(args, "--config", "yaml:"+o)
	}
	c.process, err = start(c.dir, name, env, binary(t), args...)
	require.NoError(t, err)
	return c
}

// saysReady: a port alone may be open before all is started.
func (c *instance) saysReady() error {
	log, err := os.ReadFile(c.log)
	if err == nil && !bytes.Contains(log, []byte("Everything is ready.")) {
		err = errNone
	}
	return err
}

// hasReader names the configurations that say where their metrics are scraped.
var hasReader = map[string]bool{"production.yaml": true, "gateway.yaml": true, "grafana.yaml": true}

// send replays requests in their order as fast as they are taken.
func send(ctx context.Context, endpoint string, batches []replay.Batch) error {
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	traces, logs := ptraceotlp.NewGRPCClient(conn), plogotlp.NewGRPCClient(conn)
	for _, b := range batches {
		if b.Signal == pipeline.SignalLogs {
			_, err = logs.Export(ctx, plogotlp.NewExportRequestFromLogs(b.Logs))
		} else {
			_, err = traces.Export(ctx, ptraceotlp.NewExportRequestFromTraces(b.Traces))
		}
		if err != nil {
			return fmt.Errorf("send to %s: %w", endpoint, err)
		}
	}
	return nil
}

// recording cuts the recorded incident in two where the trouble was healed.
func recording(t *testing.T) (until, after []replay.Batch, truth replay.Truth) {
	t.Helper()
	inc, err := replay.Load(incident)
	require.NoError(t, err)
	// The default limit of the receiver is 4 MiB; requests of SDKs are of this size.
	for b := range inc.Batches(replay.Options{Cut: 512}) {
		if b.Arrival.AsTime().Before(inc.Truth.Healed) {
			until = append(until, b)
		} else {
			after = append(after, b)
		}
	}
	return until, after, inc.Truth
}
