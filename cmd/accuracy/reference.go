// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// reference ranks by what everybody looks at first: how long a service takes to answer, and its errors. A
// service's answers are its spans whose parent, if any, is of another service.
type reference struct {
	from  int64
	owner map[pcommon.SpanID]string
	spans map[string]*[2][]ptrace.Span // before and after
	stats map[string]*[2]tally
}

type tally struct{ errors int }

func newReference(from int64) *reference {
	return &reference{from: from, owner: map[pcommon.SpanID]string{}, spans: map[string]*[2][]ptrace.Span{}, stats: map[string]*[2]tally{}}
}

func (r *reference) tally(service string, after bool) *tally {
	t := r.stats[service]
	if t == nil {
		t = new([2]tally)
		r.stats[service] = t
	}
	if after {
		return &t[1]
	}
	return &t[0]
}

func (r *reference) learn(q *request) {
	q.eachSpan(func(service string, s ptrace.Span) {
		r.owner[s.SpanID()] = service
		k := 0
		if int64(s.EndTimestamp()) >= r.from {
			k = 1
		}
		p := r.spans[service]
		if p == nil {
			p = new([2][]ptrace.Span)
			r.spans[service] = p
		}
		p[k] = append(p[k], s)
		if s.Status().Code() == ptrace.StatusCodeError {
			r.tally(service, k == 1).errors++
		}
	})
	q.eachRecord(func(service string, lr plog.LogRecord) {
		if lr.SeverityNumber() >= plog.SeverityNumberError {
			r.tally(service, int64(lr.Timestamp()) >= r.from).errors++
		}
	})
}

// latency is how many times as long a service takes to answer on average, 0 where it is not longer.
func (r *reference) latency() map[string]float64 {
	out := map[string]float64{}
	for service, parts := range r.spans {
		var mean [2]float64
		for k, spans := range parts {
			n, sum := 0, 0.0
			for _, s := range spans {
				if r.owner[s.ParentSpanID()] != service {
					n++
					sum += float64(s.EndTimestamp() - s.StartTimestamp())
				}
			}
			mean[k] = sum / float64(max(n, 1))
		}
		if mean[0] > 0 {
			out[service] = max(0, mean[1]/mean[0]-1)
		}
	}
	return out
}

func (r *reference) byLatency() []scored {
	var out []scored
	for name, x := range r.latency() {
		out = append(out, scored{name, x})
	}
	slices.SortFunc(out, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name)) })
	return out
}

// byErrors ranks by errors (failed spans, log records of severity error) in the window, then by latency.
func (r *reference) byErrors() []scored {
	out := r.byLatency()
	for i := range out {
		x := out[i].score / (1 + out[i].score) // below 1
		out[i].score = float64(r.tally(out[i].name, true).errors) + x
	}
	slices.SortStableFunc(out, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	return out
}
