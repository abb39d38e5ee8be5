// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/metadata"
)

func TestLoadConfig(t *testing.T) {
	all := BreakerConfig{
		FailureRatio:        0.4,
		MinimumCalls:        50,
		BaselineFactor:      2,
		ConsecutiveFailures: 7,
		FailureCount:        100,
		Fast:                FastConfig{Duration: time.Second, FailureRatio: 1, MinimumCalls: 30},
		Slow:                SlowConfig{Ratio: 0.8, MinimumCalls: 40, Factor: 4, Floor: 200 * time.Millisecond},
		CloseRatio:          0.05,
		ProbeCalls:          20,
		OpenDuration:        10 * time.Second,
		MaxOpenDuration:     time.Minute,
	}
	tuned := all // an edge has what the others have, but for what it sets
	tuned.FailureRatio, tuned.Slow.Ratio = 0.2, 0
	tests := []struct {
		id   component.ID
		want *Config
	}{
		{id: component.NewID(metadata.Type), want: createDefaultConfig().(*Config)},
		{id: component.NewIDWithName(metadata.Type, "all"), want: &Config{
			Window:           WindowConfig{Duration: 20 * time.Second, Buckets: 40},
			BreakerConfig:    all,
			Edges:            []EdgeConfig{{Caller: "shop/*", Callee: "postgresql/*", State: "auto", ByOperation: true, BreakerConfig: tuned}, {Callee: "api.partner.example", State: "force_open", BreakerConfig: all}},
			MaxOpenShare:     0.2,
			Settling:         3 * time.Second,
			AllowedLateness:  15 * time.Second,
			MaxEdges:         500,
			MaxOperations:    5,
			MaxSpans:         20_000,
			MaxFailingTraces: 1000,
			IdleTimeout:      time.Hour,
			EventQueueSize:   10,
		}},
	}
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	assert.Len(t, conf.ToStringMap(), len(tests), "every entry of the file has its case")
	for _, tt := range tests {
		t.Run(tt.id.String(), func(t *testing.T) {
			cfg := createDefaultConfig()
			sub, err := conf.Sub(tt.id.String())
			require.NoError(t, err)
			require.NoError(t, sub.Unmarshal(cfg))
			require.NoError(t, confmap.Validate(cfg))
			assert.Equal(t, tt.want, cfg)
		})
	}
}

func edges(list ...any) map[string]any { return map[string]any{"edges": list} }

// Each bad value is refused with its key and the reason.
func TestBadConfig(t *testing.T) {
	tests := map[string]struct {
		set  map[string]any
		want string
	}{
		"negative window":        {map[string]any{"window": map[string]any{"duration": "-1s"}}, "window::duration: must be between 1s and 1h0m0s, is -1s"},
		"no buckets":             {map[string]any{"window": map[string]any{"buckets": 0}}, "window::buckets: must be between 1 and 120, is 0"},
		"shorter than a bucket":  {map[string]any{"window": map[string]any{"duration": "2s", "buckets": 100}}, "window::buckets: 100 make buckets of 20ms out of window::duration 2s"},
		"ratio above 1":          {map[string]any{"failure_ratio": 1.5}, "failure_ratio: must be above 0 and at most 1, is 1.5"},
		"ratio below 0":          {map[string]any{"close_ratio": -0.1}, "close_ratio: must be above 0 and at most 1, is -0.1"},
		"ratio 0":                {map[string]any{"fast": map[string]any{"failure_ratio": 0}}, "fast::failure_ratio: must be above 0"},
		"no calls":               {map[string]any{"minimum_calls": 0}, "minimum_calls: must be between 1 and"},
		"negative calls":         {map[string]any{"fast": map[string]any{"minimum_calls": -3}}, "fast::minimum_calls: must be between 1 and"},
		"no probes":              {map[string]any{"probe_calls": 0}, "probe_calls: must be between 1 and"},
		"fast beyond the window": {map[string]any{"fast": map[string]any{"duration": "11s"}}, "fast::duration: must not be longer than window::duration 10s, is 11s"},
		"fast within a bucket":   {map[string]any{"fast": map[string]any{"duration": "500ms"}}, "fast::duration: must not be shorter than a bucket of the window (window::duration / window::buckets = 1s), is 500ms"},
		"closes above opening":   {map[string]any{"close_ratio": 0.6}, "close_ratio: must not be above failure_ratio 0.5"},
		"zero open time":         {map[string]any{"open_duration": "0s"}, "open_duration: must be between 1s and 24h0m0s, is 0s"},
		"cap below open time":    {map[string]any{"max_open_duration": "3s"}, "max_open_duration: must not be shorter than open_duration 5s, is 3s"},
		"negative lateness":      {map[string]any{"allowed_lateness": "-10s"}, "allowed_lateness: must be between 1s and 10m0s, is -10s"},
		"no edges":               {map[string]any{"max_edges": 0}, "max_edges: must be between 1 and"},
		"forgets at once":        {map[string]any{"idle_timeout": "0s"}, "idle_timeout: must be between 1m0s and"},
		"no share":               {map[string]any{"max_open_share": 0}, "max_open_share: must be above 0"},
		"settles at once":        {map[string]any{"settling": "0s"}, "settling: must be between 250ms and 1m0s, is 0s"},
		"settles after all":      {map[string]any{"settling": "10s"}, "settling: must be shorter than window::duration 10s"},
		"no spans":               {map[string]any{"max_spans": 0}, "max_spans: must be between 1 and"},
		"no operations":          {map[string]any{"max_operations": 0}, "max_operations: must be between 1 and"},
		"no traces":              {map[string]any{"max_failing_traces": 0}, "max_failing_traces: must be between 1 and"},
		"negative row":           {map[string]any{"consecutive_failures": -1}, "consecutive_failures: must be between 0 (off) and"},
		"negative failures":      {map[string]any{"failure_count": -1}, "failure_count: must be between 0 (off) and"},
		"factor below 1":         {map[string]any{"baseline_factor": 0.5}, "baseline_factor: must be between 1 and 1000, is 0.5"},
		"slow ratio":             {map[string]any{"slow": map[string]any{"ratio": 2}}, "slow::ratio: must be between 0 (off) and 1, is 2"},
		"slow floor":             {map[string]any{"slow": map[string]any{"floor": "0s"}}, "slow::floor: must be between 1ms and"},
		"unknown state":          {edges(map[string]any{"callee": "x", "state": "closed"}), `edges[0]::state: must be auto, force_open or disabled, is "closed"`},
		"no edge":                {edges(map[string]any{"state": "disabled"}), "edges[0]::caller, edges[0]::callee: at least one is needed"},
		"bad edge":               {edges(map[string]any{"callee": "x", "failure_ratio": 2}), "edges[0]::failure_ratio: must be above 0 and at most 1, is 2"},
		"edge against itself":    {edges(map[string]any{"callee": "x", "failure_ratio": 0.05}), "edges[0]::close_ratio: must not be above failure_ratio 0.05"},
		"edge's own slowness":    {edges(map[string]any{"callee": "x", "slow": map[string]any{"factor": 9}}), "edges[0]::slow: factor and floor can be set for all edges only"},
		"forgets too soon":       {map[string]any{"window": map[string]any{"duration": "5m"}, "idle_timeout": "1m"}, "idle_timeout: must not be shorter than window::duration 5m0s"},
		"no queue":               {map[string]any{"event_queue_size": 0}, "event_queue_size: must be between 1 and"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := createDefaultConfig()
			require.NoError(t, confmap.NewFromStringMap(tt.set).Unmarshal(cfg))
			require.ErrorContains(t, confmap.Validate(cfg), tt.want)
		})
	}
	cfg := createDefaultConfig()
	require.ErrorContains(t, confmap.NewFromStringMap(map[string]any{"failure_rate": 0.5}).Unmarshal(cfg), "failure_rate", "an unknown key")
	empty := createDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(edges(nil)).Unmarshal(empty))
	require.EqualError(t, empty.(*Config).Validate(), "edges[0]::caller, edges[0]::callee: at least one is needed to say which edges are meant; * stands for any text", "and of nothing else")
	bad := createDefaultConfig().(*Config)
	bad.MaxEdges, bad.MinimumCalls = 0, 0
	err := bad.Validate()
	require.ErrorContains(t, err, "max_edges")
	require.ErrorContains(t, err, "minimum_calls", "all of them at once")
}
