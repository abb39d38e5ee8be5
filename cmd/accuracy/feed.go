// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"regexp"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// request is one line of a file, traces or logs, in the order of time.
type request struct {
	at     int64 // newest time in it; nanoseconds
	by     int64 // how far it was moved from where it was recorded
	traces ptrace.Traces
	logs   plog.Logs
	isLogs bool
}

// recording is the lines of both signals, merged.
type recording []request

func (l *labels) read(f files, o options) (recording, error) {
	var rec recording
	if path, ok := l.path(f.Traces); ok || f.Traces != nil {
		all, err := replay.ReadTraces(path)
		if err != nil {
			return nil, err
		}
		for _, td := range all {
			sample(td, o.sample)
			r := request{traces: td}
			r.eachSpan(func(_ string, s ptrace.Span) {
				r.at = max(r.at, int64(s.EndTimestamp()))
				if !o.kinds {
					s.SetKind(ptrace.SpanKindUnspecified)
				}
			})
			rec = append(rec, r)
		}
	}
	if path, ok := l.path(f.Logs); o.logs && (ok || f.Logs != nil) {
		all, err := replay.ReadLogs(path)
		if err != nil {
			return nil, err
		}
		for _, ld := range all {
			r := request{logs: ld, isLogs: true}
			r.eachRecord(func(_ string, lr plog.LogRecord) {
				r.at = max(r.at, int64(lr.Timestamp()))
				o.strip(lr)
			})
			rec = append(rec, r)
		}
	}
	rec = slices.DeleteFunc(rec, func(r request) bool { return r.at == 0 }) // nothing in it
	slices.SortStableFunc(rec, func(a, b request) int { return cmp.Compare(a.at, b.at) })
	return rec, nil
}

// place is what says which statement of a class wrote a line.
var place = regexp.MustCompile(`[\w.$]+#\d+`)

// strip takes off a record what the options say.
func (o *options) strip(lr plog.LogRecord) {
	if !o.places {
		lr.Body().SetStr(place.ReplaceAllLiteralString(lr.Body().AsString(), ""))
	}
	if !o.joined {
		lr.SetTraceID(pcommon.NewTraceIDEmpty())
		lr.SetSpanID(pcommon.NewSpanIDEmpty())
	}
}

// sample leaves one in n traces, by their ids.
func sample(td ptrace.Traces, n int) {
	if n <= 1 {
		return
	}
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(s ptrace.Span) bool {
				id := s.TraceID()
				return int(id[5])%n != 0 // a random byte in ids of any format
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
}

func (r *request) eachSpan(f func(service string, s ptrace.Span)) {
	if r.isLogs {
		return
	}
	for _, rs := range r.traces.ResourceSpans().All() {
		service := serviceOf(rs.Resource())
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				f(service, s)
			}
		}
	}
}

func (r *request) eachRecord(f func(service string, lr plog.LogRecord)) {
	if !r.isLogs {
		return
	}
	for _, rl := range r.logs.ResourceLogs().All() {
		service := serviceOf(rl.Resource())
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				f(service, lr)
			}
		}
	}
}

func serviceOf(r pcommon.Resource) string {
	v, _ := r.Attributes().Get("service.name")
	return v.AsString()
}

// moveTo moves the request so that it lies by nanoseconds from where it was recorded.
func (r *request) moveTo(by int64) {
	d := by - r.by
	if d == 0 {
		return
	}
	r.by = by
	r.at += d
	r.eachSpan(func(_ string, s ptrace.Span) {
		s.SetStartTimestamp(pcommon.Timestamp(int64(s.StartTimestamp()) + d))
		s.SetEndTimestamp(pcommon.Timestamp(int64(s.EndTimestamp()) + d))
	})
	r.eachRecord(func(_ string, lr plog.LogRecord) {
		lr.SetTimestamp(pcommon.Timestamp(int64(lr.Timestamp()) + d))
	})
}

const (
	// pause: a recording is one of several runs when nothing was recorded for so long in between.
	pause = int64(time.Minute)
	// lead is how long before a case a baseline ends that is moved: what is younger than the engine's quarantine
	// (3 minutes) is not taken for normal, and the last cell must be whole.
	lead = int64(200 * time.Second)
)

// near is how long before a case a baseline may have ended to be taken where it lies.
const near = int64(10 * time.Minute)

// place puts a baseline before a case that begins at the given time: where it was recorded, if that is shortly
// before, else moved to end there.
func (rec recording) place(before int64) {
	if len(rec) == 0 {
		return
	}
	last := rec[len(rec)-1].at - rec[len(rec)-1].by
	if last <= before-lead && last >= before-near {
		for i := range rec {
			rec[i].moveTo(0)
		}
		return
	}
	rec.endAt(before - lead)
}

// endAt moves the runs of a recording together, so that the last of them ends at the given time.
func (rec recording) endAt(at int64) {
	ends := []int{} // index after the last request of each run
	for i := range rec {
		if i+1 == len(rec) || rec[i+1].at-rec[i+1].by-(rec[i].at-rec[i].by) > pause {
			ends = append(ends, i+1)
		}
	}
	slices.Reverse(ends)
	for k, end := range ends {
		from := 0
		if k+1 < len(ends) {
			from = ends[k+1]
		}
		first, last := rec[from].at-rec[from].by, rec[end-1].at-rec[end-1].by
		for i := from; i < end; i++ {
			rec[i].moveTo(at - last)
		}
		at = first + (at - last) - int64(time.Second)
	}
}

func (rec recording) span() (from, to int64) {
	if len(rec) == 0 {
		return 0, 0
	}
	return rec[0].at, rec[len(rec)-1].at
}
