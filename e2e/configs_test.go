// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// Every configuration that ships is valid as it is, and starts and ends without a word of warning.
func TestConfigsStart(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(configs, "*.yaml"))
	require.NoError(t, err)
	require.Len(t, files, 7)
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			out, err := exec.CommandContext(t.Context(), binary(t), "validate", "--config", f).CombinedOutput()
			require.NoError(t, err, "%s", out)

			c := collector(t, name, name, nil)
			if strings.Contains(string(text), "health_check:") {
				require.NoError(t, c.ready(t.Context(), func() error { return healthy(c.health) }))
			}
			if hasReader[name] {
				require.NoError(t, c.ready(t.Context(), listens(c.metrics)))
			}
			require.NoError(t, c.stop())
			log, err := os.ReadFile(c.log)
			require.NoError(t, err)
			for line := range strings.Lines(string(log)) {
				assert.NotContains(t, line, "\terror\t")
				// gRPC says that nobody listens at the backend, which is so.
				if !strings.Contains(line, "grpc") {
					assert.NotContains(t, line, "\twarn\t")
				}
			}
		})
	}
}

func healthy(address string) error {
	resp, err := http.Get("http://" + address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	return nil
}

// An agent and two gateways: each trace arrives at one gateway, whole, and both come to the same verdict.
func TestTwoTiers(t *testing.T) {
	binary(t)
	until, after, truth := recording(t)
	var gateways [2]*instance
	for i := range gateways {
		gateways[i] = collector(t, fmt.Sprint("gateway-", i+1), "gateway.yaml", nil, toFiles...)
	}
	agent := collector(t, "agent", "agent.yaml",
		[]string{"FIREBREAK_GATEWAY_1=" + gateways[0].otlp, "FIREBREAK_GATEWAY_2=" + gateways[1].otlp},
		// At full speed two seconds are an hour's worth of queue: one at a time keeps what is sent in order.
		`exporters::load_balancing::sending_queue::num_consumers: 1`,
		`exporters::load_balancing::sending_queue::block_on_overflow: true`,
		`exporters::load_balancing::protocol::otlp::sending_queue::enabled: false`)
	require.NoError(t, send(t.Context(), agent.otlp, append(until, after...)))
	require.NoError(t, eventually(t.Context(), time.Minute, func() error {
		n := 0
		for _, g := range gateways {
			spans, _ := g.traces()
			n += spans
		}
		if n < truth.Counts.Spans {
			return fmt.Errorf("%d of %d spans came through", n, truth.Counts.Spans)
		}
		return nil
	}))

	at := map[pcommon.TraceID]int{}
	var ids []string
	for i, g := range gateways {
		spans, traces := g.traces()
		assert.InDelta(t, truth.Counts.Spans/2, spans, float64(truth.Counts.Spans)/10, "an even share")
		for id := range traces {
			other, twice := at[id]
			assert.False(t, twice, "trace %s is at gateway %d and %d", id, other, i)
			at[id] = i
		}
		opened := g.opened(t)
		require.Len(t, opened, 1, "gateway %d", i)
		assert.Equal(t, truth.Verdict.Root, opened[0].root)
		ids = append(ids, opened[0].id)
	}
	t.Log("incident ids", ids)
	assert.Equal(t, ids[0], ids[1])
}

// toFiles has what comes out written to dir/traces.jsonl and dir/logs.jsonl.
var toFiles = []string{
	`exporters::file/traces::path: ${env:FIREBREAK_OUT}/traces.jsonl`,
	`exporters::file/logs::path: ${env:FIREBREAK_OUT}/logs.jsonl`,
	`service::pipelines::traces::exporters: [file/traces]`,
	`service::pipelines::logs::exporters: [file/logs]`,
}

// traces counts the spans that were written so far, and how many each trace has.
func (c *instance) traces() (spans int, of map[pcommon.TraceID]int) {
	of = map[pcommon.TraceID]int{}
	all, err := replay.ReadTraces(filepath.Join(c.dir, "traces.jsonl"))
	if err != nil {
		return 0, nil // a line is half written
	}
	for _, td := range all {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					spans++
					of[s.TraceID()]++
				}
			}
		}
	}
	return spans, of
}

// record is an event record that says an incident opened; labels are its attributes as Loki names them.
type record struct {
	id, root string
}

func (c *instance) opened(t *testing.T) (out []record) {
	t.Helper()
	for _, e := range c.events(t) {
		if e["event_name"] == "rca.incident.opened" {
			out = append(out, record{e["rca_incident_id"], e["rca_root_cause_node"]})
		}
	}
	return out
}

// events are the event records that were written, their attributes and their resource's by the names that Loki
// gives them: dots are underscores.
func (c *instance) events(t *testing.T) (out []map[string]string) {
	t.Helper()
	all, err := replay.ReadLogs(filepath.Join(c.dir, "logs.jsonl"))
	require.NoError(t, err)
	for _, ld := range all {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if lr.EventName() == "" {
						continue
					}
					e := map[string]string{"event_name": lr.EventName()}
					for _, m := range []pcommon.Map{rl.Resource().Attributes(), lr.Attributes()} {
						for k, v := range m.All() {
							e[strings.ReplaceAll(k, ".", "_")] = v.AsString()
						}
					}
					out = append(out, e)
				}
			}
		}
	}
	return out
}
