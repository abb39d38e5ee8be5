// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lines as the Collector's file exporter writes them.
const (
	traceLine = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]},` +
		`"scopeSpans":[{"scope":{"name":"otelsql"},"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708",` +
		`"name":"SELECT","kind":3,"startTimeUnixNano":"1000","endTimeUnixNano":"2000","status":{}}]}]}]}`
	logLine = `{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[` +
		`{"timeUnixNano":"1500","body":{"stringValue":"slow"},"traceId":"","spanId":""}]}]}]}`
	truthYAML = `fault: postgres-lock
description: LOCK TABLE orders for 20 s.
target: table orders of postgresql/shop
broker: apache-kafka 4.1.1
recorded: {from: 2026-11-23T10:00:00Z, to: 2026-11-23T10:02:00.5Z}
injected: 2026-11-23T10:01:00Z
healed: 2026-11-23T10:01:20Z
verdict: {silent: false, root: postgresql/shop, kind: database, instance: "", version: ""}
symptoms: [shop/orders, shop/gateway]
counts: {spans: 2, logs: 1, requests: 1, failed: 0}
`
)

func write(t *testing.T, path, text string) {
	t.Helper()
	data := []byte(text)
	if filepath.Ext(path) == ".zst" {
		enc, err := zstd.NewWriter(nil)
		require.NoError(t, err)
		data = enc.EncodeAll(data, nil)
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "traces.jsonl.zst"), traceLine+"\n\n"+traceLine+"\n")
	write(t, filepath.Join(dir, "truth.yaml"), truthYAML)

	inc, err := Load(dir)
	require.NoError(t, err)
	assert.Len(t, inc.Traces, 2)
	assert.Equal(t, 2, inc.SpanCount())
	assert.Zero(t, inc.LogCount(), "a recording without logs is one")

	write(t, filepath.Join(dir, "logs.jsonl.zst"), logLine)
	inc, err = Load(dir)
	require.NoError(t, err)
	assert.Equal(t, 1, inc.LogCount())

	at := func(clock string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, "2026-11-23T"+clock+"Z")
		require.NoError(t, err)
		return v
	}
	assert.Equal(t, Truth{
		Fault: "postgres-lock", Description: "LOCK TABLE orders for 20 s.",
		Target: "table orders of postgresql/shop", Broker: "apache-kafka 4.1.1",
		Recorded: Period{at("10:00:00"), at("10:02:00.5")}, Injected: at("10:01:00"), Healed: at("10:01:20"),
		Verdict:  Verdict{Root: "postgresql/shop", Kind: "database"},
		Symptoms: []string{"shop/orders", "shop/gateway"},
		Counts:   Counts{Spans: 2, Logs: 1, Requests: 1},
	}, inc.Truth)
}

func TestLoadSaysWhatIsWrongAndWhere(t *testing.T) {
	tests := []struct{ name, traces, truth, err string }{
		{"a broken line", traceLine + "\n{]\n", truthYAML, "traces.jsonl.zst: line 2 is no OTLP/JSON request"},
		{"a misspelt key", traceLine, truthYAML + "helaed: 2026-11-23T10:01:20Z\n", "field helaed not found"},
		{"no fault", traceLine, "verdict: {silent: true}", "fault: must not be empty"},
		{"no verdict", traceLine, "fault: x", "either silent or with a root"},
		{"both verdicts", traceLine, "fault: x\nverdict: {silent: true, root: a, kind: b}", "either silent or with a root"},
		{"no kind", traceLine, "fault: x\nverdict: {root: a}", "verdict.kind: must be given"},
		{
			"healed before injected", traceLine,
			"fault: x\nverdict: {silent: true}\ninjected: 2026-11-23T10:01:00Z\nhealed: 2026-11-23T10:00:00Z", "is before injected",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "traces.jsonl.zst"), tt.traces)
			write(t, filepath.Join(dir, "truth.yaml"), tt.truth)
			_, err := Load(dir)
			require.ErrorContains(t, err, tt.err)
			assert.ErrorContains(t, err, dir, "the file is named")
		})
	}
	t.Run("nothing there", func(t *testing.T) {
		_, err := Load(filepath.Join(t.TempDir(), "absent"))
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("no traces", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "truth.yaml"), truthYAML)
		_, err := Load(dir)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.ErrorContains(t, err, "traces.jsonl.zst")
	})
}

// A recording is whole and tells its truth. The smallest stands for all: the tests of the processors, which read
// every one, count them as well.
func TestRecording(t *testing.T) {
	const name = "postgres-slow-query"
	inc, err := Load(filepath.Join("..", "..", "testdata", "incidents", name))
	require.NoError(t, err)
	assert.Equal(t, name, inc.Truth.Fault)
	assert.Equal(t, inc.Truth.Counts.Spans, inc.SpanCount())
	assert.Equal(t, inc.Truth.Counts.Logs, inc.LogCount())
	assert.Positive(t, inc.SpanCount())
}
