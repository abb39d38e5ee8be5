// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
)

func TestLoadConfig(t *testing.T) {
	storageID := component.MustNewIDWithName("file_storage", "rca")
	tests := []struct {
		name string
		want func(*Config)
		errs []string
	}{
		{name: "", want: func(*Config) {}},
		{name: "all", want: func(c *Config) {
			*c = Config{
				AllowedLateness: 20 * time.Second,
				TraceQuiet:      2 * time.Second,
				WarmUp:          5 * time.Minute,
				IdleTimeout:     2 * time.Hour,
				Incident: IncidentConfig{
					MinConfidence: 0.5, Patience: time.Minute, UpdateInterval: time.Minute,
					ResolveAfter: 2 * time.Minute, ReopenWithin: time.Hour, MaxDuration: 2 * time.Hour,
				},
				Limits: LimitsConfig{
					Spans: 100, SpansPerTrace: 10, Nodes: 20, Operations: 300, OperationsPerNode: 30, Instances: 400, InstancesPerNode: 40, Edges: 50, HurtTraces: 60, Messages: 80,
					StateBytes: 100_000, HeldBytes: 90_000,
				},
				EventQueueSize:  70,
				JaegerWarnings:  true,
				TraceWait:       10 * time.Second,
				LogWait:         5 * time.Second,
				Storage:         &storageID,
				StorageInterval: 5 * time.Minute,
			}
		}},
		{name: "negative", errs: []string{
			"allowed_lateness: must be between 1s and 10m0s, is -1s",
			"trace_quiet: must be between 1ms and 1m0s, is -1s",
			"warm_up: must be between 0s and 24h0m0s, is -1s",
			"idle_timeout: must be between 10m0s and 720h0m0s, is -1s",
			"storage_interval: must be between 10s and 24h0m0s, is -1s",
			"trace_wait: must be between 0s and 30s, is -1s",
			"log_wait: must be between 0s and 30s, is -1s",
			"limits::held_bytes: must be between 1 and 268435456, is -1",
			"incident::min_confidence: must be between 0 and 1, is -0.1",
			"incident::patience: must be between 0s and 1h0m0s, is -1s",
			"incident::update_interval: must be between 1s and 24h0m0s, is -1s",
			"incident::resolve_after: must be between 1s and 24h0m0s, is -1s",
			"incident::reopen_within: must be between 0s and 168h0m0s, is -1s",
			"incident::max_duration: must be between 5m0s and 168h0m0s, is -1s",
		}},
		{name: "zero", errs: []string{
			"limits::spans: must be between 1 and 268435456, is 0",
			"limits::spans_per_trace: ", "limits::nodes: ", "limits::operations: ", "limits::operations_per_node: ",
			"limits::instances: ",
			"limits::instances_per_node: ", "limits::edges: ", "limits::hurt_traces: ", "limits::messages: ", "event_queue_size: ",
			"limits::state_bytes: must be between 65536 and 268435456, is 0",
			"limits::held_bytes: must be between 1 and 268435456, is 0",
		}},
		{name: "nothing_held", want: func(c *Config) { c.Limits.HeldBytes = 0 }},
		{name: "logs_held", errs: []string{"limits::held_bytes: must be between 1 and 268435456, is 0"}},
		{name: "too_much", errs: []string{
			"allowed_lateness: must be between 1s and 10m0s, is 11m0s",
			"incident::min_confidence: must be between 0 and 1, is 1.5",
			"limits::spans: must be between 1 and 268435456, is 300000000",
			"trace_wait: must be between 0s and 30s, is 31s",
			"log_wait: must be between 0s and 30s, is 31s",
		}},
	}
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	assert.Len(t, conf.ToStringMap(), len(tests), "every entry of the file has its case")
	for _, tt := range tests {
		id := component.NewIDWithName(metadata.Type, tt.name)
		t.Run(id.String(), func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			sub, err := conf.Sub(id.String())
			require.NoError(t, err)
			require.NoError(t, sub.Unmarshal(cfg))
			err = confmap.Validate(cfg)
			if len(tt.errs) == 0 {
				require.NoError(t, err)
				want := createDefaultConfig().(*Config)
				tt.want(want)
				assert.Equal(t, want, cfg)
				return
			}
			require.Error(t, err)
			for _, e := range tt.errs {
				assert.ErrorContains(t, err, e)
			}
			assert.Len(t, strings.Split(err.Error(), "\n"), len(tt.errs), "nothing else is refused:\n%v", err)
		})
	}
}
