// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// sink is an OTLP/gRPC server; it refuses the items that it is told to.
type sink struct {
	spans, logs           int
	refuseSpans, refuseLR int64
}

type traceSink struct {
	ptraceotlp.UnimplementedGRPCServer
	*sink
}

func (s *traceSink) Export(_ context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	s.spans += r.Traces().SpanCount()
	resp := ptraceotlp.NewExportResponse()
	resp.PartialSuccess().SetRejectedSpans(s.refuseSpans)
	resp.PartialSuccess().SetErrorMessage("full")
	return resp, nil
}

type logSink struct {
	plogotlp.UnimplementedGRPCServer
	*sink
}

func (s *logSink) Export(_ context.Context, r plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	s.logs += r.Logs().LogRecordCount()
	resp := plogotlp.NewExportResponse()
	resp.PartialSuccess().SetRejectedLogRecords(s.refuseLR)
	resp.PartialSuccess().SetErrorMessage("full")
	return resp, nil
}

func listen(t *testing.T, s *sink) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(server, &traceSink{sink: s})
	plogotlp.RegisterGRPCServer(server, &logSink{sink: s})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return l.Addr().String()
}

func TestSend(t *testing.T) {
	tests := []struct {
		name string
		sink sink
		err  string
	}{
		{"all taken", sink{}, ""},
		{"spans refused", sink{refuseSpans: 2}, "rejected 2 of 3 spans: full"},
		{"logs refused", sink{refuseLR: 1}, "rejected 1 of 2 log records: full"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			inc := recorded()
			p := newProgress(&said, inc.SpanCount()+inc.LogCount(), 0)
			err := send(context.Background(), listen(t, &tt.sink), inc, replay.Options{}, fullSpeed, p)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 3, tt.sink.spans)
			assert.Equal(t, 2, tt.sink.logs)
			assert.Contains(t, said.String(), "Replaying 5 spans and log records")
			assert.Contains(t, said.String(), " 40 %  2 sent")
			assert.Contains(t, said.String(), "100 %  5 sent")
		})
	}
}

func TestRealTimeWaitsForTheArrival(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	require.NoError(t, realTime(ctx, &replay.Batch{Arrival: pcommon.NewTimestampFromTime(time.Now().Add(-time.Hour))}))
	cancel()
	err := realTime(ctx, &replay.Batch{Arrival: pcommon.NewTimestampFromTime(time.Now().Add(time.Hour))})
	require.ErrorIs(t, err, context.Canceled, "an hour is waited for, unless it is ended")
}

func TestRunSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	err := run(context.Background(), options{incidents: dir, incident: "nope"})
	require.ErrorContains(t, err, `no recording "nope"`)
	require.ErrorContains(t, err, "there are none")

	require.NoError(t, os.Mkdir(filepath.Join(dir, "surge"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "surge", "truth.yaml"), nil, 0o600))
	err = run(context.Background(), options{incidents: dir, incident: "nope"})
	require.ErrorContains(t, err, "there are surge")
}

func TestCollectorThatDoesNotRun(t *testing.T) {
	f, err := outputFiles(t.TempDir())
	require.NoError(t, err)
	_, err = startCollector(context.Background(), filepath.Join(t.TempDir(), "absent"), "config.yaml", f)
	require.ErrorContains(t, err, "make otelcol")

	script := filepath.Join(t.TempDir(), "refuses")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"bad: $2\" >&2\nexit 3\n"), 0o700))
	_, err = startCollector(context.Background(), script, "config.yaml", f)
	require.ErrorContains(t, err, "the collector ended at its start (exit status 3)")
	require.ErrorContains(t, err, "bad: config.yaml")
}

func TestWarningsOfTheCollector(t *testing.T) {
	log := filepath.Join(t.TempDir(), "collector.log")
	c := &collector{log: log}
	require.NoError(t, os.WriteFile(log, []byte("1\tinfo\tready\n2\twarn\tlost an event\n3\terror\tbad\n"), 0o600))
	assert.Equal(t, []string{"2\twarn\tlost an event", "3\terror\tbad"}, c.warnings())
	require.NoError(t, os.WriteFile(log, bytes.Repeat([]byte("2\twarn\tlost\n"), 9), 0o600))
	assert.Len(t, c.warnings(), maxWarnings+1)
}

func TestOutputOfAnEarlierRunIsRemoved(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "traces.jsonl")
	require.NoError(t, os.WriteFile(old, []byte("{}"), 0o600))
	_, err := outputFiles(dir)
	require.NoError(t, err)
	assert.NoFileExists(t, old)
}
