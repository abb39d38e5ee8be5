// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/recorder"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func TestTable(t *testing.T) {
	from := time.Unix(1_700_000_000, 0).UTC()
	dir := t.TempDir()
	require.NoError(t, truth.Write(dir, truth.Truth{
		Fault: "postgres-lock", Description: "a lock", Verdict: truth.Verdict{Root: "postgresql/shop", Kind: "database"},
		Recorded: truth.Span{From: from, To: from.Add(20 * time.Second)}, Injected: from.Add(5 * time.Second), Healed: from.Add(10 * time.Second),
	}))
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "orders")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	add := func(kind ptrace.SpanKind, name string, end, took time.Duration, code ptrace.StatusCode) {
		s := spans.AppendEmpty()
		s.SetKind(kind)
		s.SetName(name)
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(from.Add(end - took)))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(from.Add(end)))
		s.Status().SetCode(code)
	}
	add(ptrace.SpanKindServer, "POST /orders", 1*time.Second, 10*time.Millisecond, ptrace.StatusCodeUnset)
	add(ptrace.SpanKindServer, "POST /orders", 6*time.Second, 600*time.Millisecond, ptrace.StatusCodeError)
	add(ptrace.SpanKindServer, "POST /orders", 7*time.Second, 500*time.Millisecond, ptrace.StatusCodeUnset)
	add(ptrace.SpanKindClient, "sql.rows", 1*time.Second, time.Millisecond, ptrace.StatusCodeUnset)
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "orders")
	r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.SetSeverityNumber(plog.SeverityNumberError)
	r.SetTimestamp(pcommon.NewTimestampFromTime(from.Add(6 * time.Second)))
	traces, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	require.NoError(t, err)
	logs, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, recorder.TracesFile), z.EncodeAll(traces, nil), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, recorder.LogsFile), z.EncodeAll(logs, nil), 0o600))

	tab, err := Load(dir, 5*time.Second)
	require.NoError(t, err)
	text := func(all bool) string {
		var b strings.Builder
		require.NoError(t, tab.Print(&b, all))
		return strings.Join(strings.Fields(b.String()), " ")
	}
	assert.Contains(t, text(false), `orders Server "POST /orders" 0s 1/0 10.0/10.0 5s 2/1 500.0/500.0 fault`)
	assert.Contains(t, text(false), "orders logs of WARN and worse 0s 0 5s 1 fault")
	assert.NotContains(t, text(false), "sql.rows", "a client span that never failed")
	assert.Contains(t, text(true), `orders Client "sql.rows" 0s 1/0`)
}
