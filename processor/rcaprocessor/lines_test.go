// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
)

func TestMessage(t *testing.T) {
	object := func(kv map[string]any) pcommon.Value {
		v := pcommon.NewValueMap()
		require.NoError(t, v.Map().FromRaw(kv))
		return v
	}
	for _, tt := range []struct {
		name string
		body pcommon.Value
		want string
	}{
		{"text", pcommon.NewValueStr("order 7 placed"), "order 7 placed"},
		{"nothing", pcommon.NewValueEmpty(), ""},
		{"number", pcommon.NewValueInt(3), ""},
		{"map", object(map[string]any{"level": "info", "message": "placed"}), "placed"},
		{"map with another key", object(map[string]any{"msg": "placed"}), "placed"},
		{"map of something else", object(map[string]any{"message": 3}), ""},
		{"json", pcommon.NewValueStr(`{"level":"info","message" : "say \"hi\" now","x":1}`), `say \"hi\" now`},
		{"json without a message", pcommon.NewValueStr(`{"level":"info"}`), `{"level":"info"}`},
		{"json cut short", pcommon.NewValueStr(`{"message":"half`), `{"message":"half`},
		{"json with a number", pcommon.NewValueStr(`{"message":3,"msg":"placed"}`), "placed"},
	} {
		assert.Equal(t, tt.want, message(tt.body), tt.name)
	}
}

func TestReadLines(t *testing.T) {
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	add := func(body string, span byte, severity plog.SeverityNumber) plog.LogRecord {
		lr := records.AppendEmpty()
		lr.Body().SetStr(body)
		lr.SetTraceID(pcommon.TraceID{1})
		lr.SetSpanID(pcommon.SpanID{7: span})
		lr.SetSeverityNumber(severity)
		return lr
	}
	add("a", 2, plog.SeverityNumberInfo)
	add("b", 3, plog.SeverityNumberError)
	add("no span", 0, plog.SeverityNumberError)
	add("", 4, plog.SeverityNumberError)
	add("no trace", 5, plog.SeverityNumberError).SetTraceID(pcommon.TraceID{})
	assert.Equal(t, []line{
		{trace: [16]byte{1}, span: 2, template: contrast.TemplateOf("a")},
		{trace: [16]byte{1}, span: 3, template: contrast.TemplateOf("b"), grave: true},
	}, readLines(ld, nil))
}
