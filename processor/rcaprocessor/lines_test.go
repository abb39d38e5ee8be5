// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
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
		{"json with the key deeper", pcommon.NewValueStr(`{"request":{"message":"no"},"list":["msg","no"],"msg":"placed"}`), "placed"},
		{"json with the likelier key later", pcommon.NewValueStr(`{"event":"x","msg":"placed"}`), "placed"},
		{"json with the key as a value", pcommon.NewValueStr(`{"level":"msg","event":"placed"}`), "placed"},
		{"json behind blanks", pcommon.NewValueStr(" \n{\"msg\":\"placed\"}"), "placed"},
		{"json with a number", pcommon.NewValueStr(`{"message":3,"msg":"placed"}`), "placed"},
	} {
		assert.Equal(t, tt.want, message(tt.body), tt.name)
	}
}

func TestReadLines(t *testing.T) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	rl.Resource().Attributes().PutStr("service.instance.id", "shop-1")
	shop := call.Resource{Service: "shop", Instance: "shop-1"}
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	var want []engine.LogLine
	add := func(body string, want1 engine.LogLine, alter func(plog.LogRecord)) {
		lr := records.AppendEmpty()
		lr.Body().SetStr(body)
		lr.SetTimestamp(5)
		alter(lr)
		if want1.At != 0 {
			want1.Source, want1.Replica = shop.Key(), engine.ReplicaKey(&shop)
			want = append(want, want1)
		}
	}
	add("a", engine.LogLine{Template: contrast.TemplateOf("a"), At: 5, Trace: trace.ID{1}, Span: 2}, func(lr plog.LogRecord) {
		lr.SetTraceID(pcommon.TraceID{1})
		lr.SetSpanID(pcommon.SpanID{7: 2})
		lr.SetSeverityNumber(plog.SeverityNumberInfo)
	})
	add("b", engine.LogLine{Template: contrast.TemplateOf("b"), At: 7, Grave: true}, func(lr plog.LogRecord) {
		lr.SetTimestamp(0)
		lr.SetObservedTimestamp(7)
		lr.SetSeverityNumber(plog.SeverityNumberError)
	})
	add("", engine.LogLine{}, func(lr plog.LogRecord) { lr.SetSeverityNumber(plog.SeverityNumberError) })
	add("", engine.LogLine{Template: contrast.TemplateWith("placed", "", ""), At: 5}, func(lr plog.LogRecord) { lr.SetEventName("placed") })
	add("c", engine.LogLine{Template: contrast.TemplateWith("", "a.B", "c"), At: 5, Grave: true}, func(lr plog.LogRecord) {
		lr.Attributes().PutStr("exception.type", "a.B")
		lr.SetSeverityText("Error")
	})
	assert.Equal(t, want, readLines(ld, nil))
}

func TestGrave(t *testing.T) {
	for text, want := range map[string]bool{"ERROR": true, "err": true, "Fatal": true, "CRITICAL": true, "WARN": false, "info": false, "": false} {
		lr := plog.NewLogRecord()
		lr.SetSeverityText(text)
		assert.Equal(t, want, grave(lr), text)
		lr.SetSeverityNumber(plog.SeverityNumberInfo)
		assert.False(t, grave(lr), "the number counts")
	}
}

func FuzzMessageOfJSON(f *testing.F) {
	f.Add(`{"a":{"msg":"no"},"b":["msg","no"],"msg":"yes","message":"better"}`)
	f.Add(`{"msg":"\`)
	f.Fuzz(func(t *testing.T, text string) {
		got := messageOfJSON(text)
		assert.Contains(t, text, got)
		var all map[string]any
		if len(text) > jsonBytes || !utf8.ValidString(text) || json.Unmarshal([]byte(text), &all) != nil || strings.Contains(text, `\`) {
			return
		}
		for _, key := range messageKeys {
			if want, ok := all[key].(string); ok && strings.Count(text, `"`+key+`"`) == 1 {
				assert.Equal(t, want, got)
				return
			}
		}
	})
}

func BenchmarkReadLines(b *testing.B) {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for range 100 {
		lr := records.AppendEmpty()
		lr.Body().SetStr("19:18:50.518 INFO  p.c.PriceController#39 [find][Query price][Id: 0b23bd3e-876a-4af3-b920-c50a90c90b04]")
		lr.Attributes().PutStr("log.iostream", "stdout")
		lr.SetTimestamp(1)
	}
	b.ReportAllocs()
	var lines []engine.LogLine
	for b.Loop() {
		lines = readLines(ld, lines[:0])
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
}
