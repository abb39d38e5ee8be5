// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var explainFrom = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// answered is one server span of a service, and its log line, which may be missing.
func answered(at time.Time, id byte, service string, took time.Duration, body pcommon.Value) (ptrace.Traces, plog.Logs) {
	trace := pcommon.TraceID{1, byte(at.Unix()), byte(at.Unix() >> 8), byte(at.Unix() >> 16), id}
	span := pcommon.SpanID{2, byte(at.Unix()), byte(at.Unix() >> 8), id}
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(trace)
	s.SetSpanID(span)
	s.SetKind(ptrace.SpanKindServer)
	s.SetName("serve")
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(took)))
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", service)
	lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
	lr.SetTraceID(trace)
	lr.SetSpanID(span)
	body.CopyTo(lr.Body())
	return td, ld
}

func TestExplainer(t *testing.T) {
	x := NewExplainer()
	for at := explainFrom.Add(-8 * time.Minute); at.Before(explainFrom.Add(time.Minute)); at = at.Add(time.Second) {
		bad := !at.Before(explainFrom)
		took, body := 10*time.Millisecond, pcommon.NewValueStr("done")
		if bad {
			took = 200 * time.Millisecond
		}
		td, ld := answered(at, 1, "slow", took, body)
		x.Logs(ld)
		x.Traces(td)
		if bad {
			body = pcommon.NewValueMap() // a line that is no text is no template, and "done" is missing
		}
		td, ld = answered(at, 2, "silent", 10*time.Millisecond, body)
		x.Logs(ld)
		x.Traces(td)
	}
	got := x.Explain(explainFrom, explainFrom.Add(time.Minute))
	require.Len(t, got, 2)
	for _, s := range got {
		assert.True(t, s.Service)
		assert.NotEmpty(t, s.Evidence)
		assert.Len(t, s.Families, 1)
		assert.Contains(t, s.Families, map[string]string{"slow": "own_time", "silent": "structure"}[s.Name], s.Name)
	}
	only := x.ExplainWithout(explainFrom, explainFrom.Add(time.Minute), "structure")
	require.Len(t, only, 1)
	assert.Equal(t, "slow", only[0].Name)

	spans, observations, _ := x.Lost()
	assert.Zero(t, spans+observations)
	assert.Empty(t, NewExplainer().Explain(explainFrom, explainFrom.Add(time.Minute)), "nothing was seen")
}
