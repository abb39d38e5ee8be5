// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// dataset writes a data set of one system and one case to a folder of its own: web calls shop, which calls
// stock, two traces a second; from noon on stock takes long and web writes errors. The baseline lies hours after it.
func dataset(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny")
	write := func(name string, from time.Time, seconds int, fault time.Time) {
		var traces, logs bytes.Buffer
		for k := range 2 * seconds {
			at := from.Add(time.Duration(k) * time.Second / 2)
			bad := !at.Before(fault)
			stock := 10 * time.Millisecond
			if bad {
				stock *= 30
			}
			td, trace := ptrace.NewTraces(), k+int(from.Unix())
			add := func(service string, id, parent int, kind ptrace.SpanKind, start, took time.Duration) {
				rs := td.ResourceSpans().AppendEmpty()
				rs.Resource().Attributes().PutStr("service.name", service)
				s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
				s.SetTraceID(pcommon.TraceID([]byte(fmt.Sprintf("%016d", trace))))
				s.SetSpanID(spanID(trace, id))
				if parent > 0 {
					s.SetParentSpanID(spanID(trace, parent))
				}
				s.SetKind(kind)
				s.SetName("do " + service)
				s.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(start)))
				s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(start + took)))
			}
			const ms = time.Millisecond
			jitter := time.Duration(k%7) * 100 * time.Microsecond
			add("web", 1, 0, ptrace.SpanKindServer, 0, stock+20*ms+jitter)
			add("web", 2, 1, ptrace.SpanKindClient, 1*ms, stock+15*ms+jitter)
			add("shop", 3, 2, ptrace.SpanKindServer, 2*ms, stock+12*ms)
			add("shop", 4, 3, ptrace.SpanKindClient, 3*ms, stock+4*ms)
			add("stock", 5, 4, ptrace.SpanKindServer, 4*ms, stock+jitter)
			line(t, &traces)(new(ptrace.JSONMarshaler).MarshalTraces(td))
			ld := plog.NewLogs()
			rl := ld.ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutStr("service.name", "web")
			lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
			lr.Body().SetStr("asked")
			if bad {
				lr.SetSeverityNumber(plog.SeverityNumberError)
			}
			line(t, &logs)(new(plog.JSONMarshaler).MarshalLogs(ld))
		}
		compress(t, filepath.Join(dir, name, "traces.jsonl.zst"), traces.Bytes())
		compress(t, filepath.Join(dir, name, "logs.jsonl.zst"), logs.Bytes())
	}
	never := noon.Add(1000 * time.Hour)
	write("baseline", noon.Add(5*time.Hour), 180, never)
	write("case", noon.Add(-time.Minute), 180, noon)
	// A line may hold nothing.
	traces := filepath.Join(dir, "baseline", "traces.jsonl.zst")
	packed, err := os.ReadFile(traces)
	require.NoError(t, err)
	z, err := zstd.NewReader(nil)
	require.NoError(t, err)
	text, err := z.DecodeAll(packed, nil)
	require.NoError(t, err)
	compress(t, traces, append([]byte("{\"resourceSpans\":[]}\n"), text...))
	files := func(name string) map[string]any {
		return map[string]any{
			"traces": map[string]any{"path": "tiny/" + name + "/traces.jsonl.zst"},
			"logs":   map[string]any{"path": "tiny/" + name + "/logs.jsonl.zst"},
		}
	}
	raw, err := json.Marshal(map[string]any{
		"baselines": []any{map[string]any{"system": "tiny", "day": "2026-03-01", "files": files("baseline")}},
		"cases": []any{map[string]any{
			"case_id": "tiny-1", "system": "tiny", "day": "2026-03-01", "fault_type": "slow", "scorable": true,
			"injection_time": noon.Format(time.RFC3339), "injection_time_unix_nano": fmt.Sprint(noon.UnixNano()),
			"ground_truth": map[string]any{"service": "stock"}, "files": files("case"),
		}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "labels.json"), raw, 0o600))
	return dir
}

func spanID(trace, id int) (out pcommon.SpanID) {
	copy(out[:], fmt.Sprintf("%06d%02d", trace%1_000_000, id))
	return out
}

func line(t *testing.T, b *bytes.Buffer) func([]byte, error) {
	return func(raw []byte, err error) {
		t.Helper()
		require.NoError(t, err)
		b.Write(append(raw, '\n'))
	}
}

func compress(t *testing.T, path string, raw []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, z.EncodeAll(raw, nil), 0o600))
}

// document is the promised form of the results.
type document struct {
	Sets []struct {
		System           string
		Cases            int
		Top1, Top3, Top5 int
		ByFault          map[string]struct{ Cases, Top1 int } `json:"by_fault"`
		PerCase          []struct {
			CaseID string `json:"case_id"`
			Rank   int
			Named  []string
		} `json:"per_case"`
		References map[string]struct{ Cases, Top1 int }
	}
}

func measure(t *testing.T, args ...string) (document, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.json")
	var text bytes.Buffer
	require.NoError(t, run(append(args, "-out", out), &text, io.Discard))
	raw, err := os.ReadFile(out)
	require.NoError(t, err)
	var d document
	require.NoError(t, json.Unmarshal(raw, &d))
	return d, text.String()
}

func TestTinyDataset(t *testing.T) {
	dir := dataset(t)
	for _, args := range [][]string{nil, {"-logs=false"}, {"-places=false", "-joined=false"}, {"-kinds=false"}, {"-ablation", "-explain"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			d, text := measure(t, append([]string{"-dataset", dir}, args...)...)
			require.Len(t, d.Sets, 1)
			s := d.Sets[0]
			assert.Equal(t, "tiny", s.System)
			assert.Equal(t, []int{1, 1, 1, 1}, []int{s.Cases, s.Top1, s.Top3, s.Top5})
			assert.Equal(t, 1, s.ByFault["slow"].Top1)
			require.Len(t, s.PerCase, 1)
			assert.Equal(t, "tiny-1", s.PerCase[0].CaseID)
			assert.Equal(t, 1, s.PerCase[0].Rank)
			assert.Equal(t, "stock", s.PerCase[0].Named[0])
			assert.Equal(t, 1, s.References["largest_latency_increase"].Top1, "stock grew 30 times, shop less")
			assert.Contains(t, text, "tiny")
			if args == nil {
				assert.Zero(t, s.References["most_errors_then_latency"].Top1, "web has the errors")
			}
		})
	}
}

// Without the family that tells, the case must be missed: the switch does something.
func TestWithout(t *testing.T) {
	d, _ := measure(t, "-dataset", dataset(t), "-without", "own_time")
	assert.Zero(t, d.Sets[0].Top1)
}

// A case that cannot be read counts as missed, and the run goes on.
func TestUnreadableCase(t *testing.T) {
	dir := dataset(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "case", "traces.jsonl.zst"), []byte("no zstd"), 0o600))
	d, text := measure(t, "-dataset", dir)
	require.Len(t, d.Sets, 1)
	assert.Equal(t, 1, d.Sets[0].Cases)
	assert.Zero(t, d.Sets[0].Top1)
	assert.Contains(t, text, "could not be read")
}

func TestComplaints(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{nil, "say -dataset"},
		{[]string{"-dataset", t.TempDir()}, "labels.json"},
		{[]string{"-dataset", "x", "-no-such-flag"}, "no-such-flag"},
	} {
		assert.ErrorContains(t, run(tt.args, io.Discard, io.Discard), tt.says)
	}
}

func TestRankOfCountsTiesAgainstUs(t *testing.T) {
	list := []scored{{"a", 3}, {"b", 2}, {"c", 2}, {"d", 1}, {"e", 0}}
	for name, want := range map[string]int{"a": 1, "b": 3, "c": 3, "d": 4, "e": 0, "f": 0} {
		assert.Equal(t, want, rankOf(list, name), name)
	}
}

func TestSample(t *testing.T) {
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i := range byte(8) {
		spans.AppendEmpty().SetTraceID(pcommon.TraceID{1, 0, 0, 0, 0, i})
	}
	sample(td, 1)
	assert.Equal(t, 8, td.SpanCount())
	sample(td, 4)
	assert.Equal(t, 2, td.SpanCount())
	sample(td, 255)
	assert.Equal(t, 1, td.SpanCount())
}

func TestStrip(t *testing.T) {
	record := func() plog.LogRecord {
		lr := plog.NewLogRecord()
		lr.Body().SetStr("16:42:09.495 INFO  f.m.c.Basic$Inner#45 [query] order #7")
		lr.SetTraceID(pcommon.TraceID{1})
		lr.SetSpanID(pcommon.SpanID{2})
		return lr
	}
	lr := record()
	(&options{joined: true}).strip(lr)
	assert.Equal(t, "16:42:09.495 INFO   [query] order #7", lr.Body().Str())
	assert.False(t, lr.SpanID().IsEmpty())
	lr = record()
	(&options{places: true}).strip(lr)
	assert.Equal(t, record().Body().Str(), lr.Body().Str())
	assert.True(t, lr.SpanID().IsEmpty() && lr.TraceID().IsEmpty())
}

func TestScore(t *testing.T) {
	var s score
	for _, rank := range []int{1, 2, 3, 5, 6, 0} {
		s.add(rank)
	}
	assert.Equal(t, []int{6, 1, 3, 4}, []int{s.Cases, s.Top1, s.Top3, s.Top5})
	assert.InDelta(t, 0.5, s.AS3, 1e-9)
}

// Runs that lie apart are moved together, to end where they should; what lies shortly before stays.
func TestPlaceBaseline(t *testing.T) {
	minute := int64(time.Minute)
	rec := func() (r recording) {
		for _, at := range []int64{0, 30, 3600, 3630, 7200, 7230} {
			r = append(r, request{at: at * int64(time.Second), isLogs: true, logs: plog.NewLogs()})
		}
		return r
	}
	times := func(r recording) (out []int64) {
		for _, q := range r {
			out = append(out, q.at/int64(time.Second))
		}
		return out
	}
	r := rec()
	r.place(1000 * minute)
	end := 60000 - lead/int64(time.Second)
	assert.Equal(t, []int64{end - 92, end - 62, end - 61, end - 31, end - 30, end}, times(r))
	r.place(2000 * minute)
	assert.Equal(t, 60000+end, times(r)[5], "a second time, from where it was recorded")
	r = rec()
	before := 7230*int64(time.Second) + lead
	r.place(before)
	assert.Equal(t, times(rec()), times(r))
	recording(nil).place(1)
}

func TestLabelsFindTheirFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "set")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "f"), nil, 0o600))
	l := &labels{dir: dir}
	for _, p := range []string{"a/f", "set/a/f", "other/a/f", "of/other/a/f"} {
		got, ok := l.path(&file{Path: p})
		assert.True(t, ok, p)
		assert.Equal(t, filepath.Join(dir, "a", "f"), got)
	}
	_, ok := l.path(&file{Path: "no/such"})
	assert.False(t, ok)
	_, ok = l.path(nil)
	assert.False(t, ok)
}
