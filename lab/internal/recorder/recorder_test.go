// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package recorder

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func oneTrace(name string) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "orders")
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetName(name)
	s.SetTraceID([16]byte{1, 2})
	s.SetSpanID([8]byte{3})
	s.SetKind(ptrace.SpanKindClient)
	s.SetStartTimestamp(1_700_000_000_123_456_789)
	s.SetEndTimestamp(1_700_000_001_123_456_789)
	s.Status().SetCode(ptrace.StatusCodeError)
	s.Links().AppendEmpty().SetSpanID([8]byte{9})
	return td
}

func oneLog(body string) plog.Logs {
	ld := plog.NewLogs()
	r := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.Body().SetStr(body)
	r.SetSeverityNumber(plog.SeverityNumberError)
	r.SetTraceID([16]byte{1, 2})
	return ld
}

// What clients export comes back as it was, in order, one request a line, in
// the file exporter's bytes; what came before Record does not.
func TestRoundTrip(t *testing.T) {
	r, err := Start(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(r.Stop)
	conn, err := grpc.NewClient(r.Endpoint(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	send := func(name string) {
		_, err := ptraceotlp.NewGRPCClient(conn).Export(context.Background(), ptraceotlp.NewExportRequestFromTraces(oneTrace(name)))
		require.NoError(t, err)
		_, err = plogotlp.NewGRPCClient(conn).Export(context.Background(), plogotlp.NewExportRequestFromLogs(oneLog(name)))
		require.NoError(t, err)
	}
	send("warm-up")
	r.Record()
	send("first")
	send("second")
	spans, logs := r.Counts()
	assert.Equal(t, []int{2, 2}, []int{spans, logs})

	dir := filepath.Join(t.TempDir(), "new")
	require.NoError(t, r.Finish(dir))

	var traces []ptrace.Traces
	require.NoError(t, ReadTraces(dir, func(td ptrace.Traces) error { traces = append(traces, td); return nil }))
	assert.Equal(t, []ptrace.Traces{oneTrace("first"), oneTrace("second")}, traces)
	var records []plog.Logs
	require.NoError(t, ReadLogs(dir, func(ld plog.Logs) error { records = append(records, ld); return nil }))
	assert.Equal(t, []plog.Logs{oneLog("first"), oneLog("second")}, records)

	var want []byte
	for _, name := range []string{"first", "second"} {
		line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(oneTrace(name))
		require.NoError(t, err)
		want = append(append(want, line...), '\n')
	}
	assert.Equal(t, string(want), string(plain(t, filepath.Join(dir, TracesFile))))
}

func plain(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var h zstd.Header
	require.NoError(t, h.Decode(b))
	assert.LessOrEqual(t, h.WindowSize, uint64(window))
	z, err := zstd.NewReader(nil)
	require.NoError(t, err)
	defer z.Close()
	out, err := z.DecodeAll(b, nil)
	require.NoError(t, err)
	return out
}

func TestReadNamesTheBadLine(t *testing.T) {
	dir := t.TempDir()
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, TracesFile), z.EncodeAll([]byte("{}\n{oops\n"), nil), 0o600))
	err = ReadTraces(dir, func(ptrace.Traces) error { return nil })
	require.ErrorContains(t, err, TracesFile+" line 2")
}
