// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package inspect shows what a recording holds: per service and span kind, in
// steps of a few seconds, how many calls there were, how many failed, and how
// long they took.
package inspect

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/recorder"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Series is one line of the table: spans of one service, kind and name.
type Series struct{ Service, Kind, Name string }

// cell is one step of one series.
type cell struct {
	durations []time.Duration
	failed    int
}

// Table is a recording cut into steps.
type Table struct {
	truth truth.Truth
	step  time.Duration
	cells map[Series]map[int]*cell
	// logs counts records of WARN and worse per service and step.
	logs  map[string]map[int]int
	steps int
}

// Load reads the recording in dir.
func Load(dir string, step time.Duration) (*Table, error) {
	t, err := truth.Read(dir)
	if err != nil {
		return nil, err
	}
	tab := &Table{truth: t, step: step, cells: map[Series]map[int]*cell{}, logs: map[string]map[int]int{}}
	if err := recorder.ReadTraces(dir, func(td ptrace.Traces) error { tab.addTraces(td); return nil }); err != nil {
		return nil, err
	}
	if err := recorder.ReadLogs(dir, func(ld plog.Logs) error { tab.addLogs(ld); return nil }); err != nil {
		return nil, err
	}
	return tab, nil
}

// at returns the step of a moment, by the end of its span: that is when it
// becomes known.
func (t *Table) at(ts pcommon.Timestamp) int {
	n := int(ts.AsTime().Sub(t.truth.Recorded.From) / t.step)
	n = max(n, 0)
	t.steps = max(t.steps, n+1)
	return n
}

func (t *Table) addTraces(td ptrace.Traces) {
	for _, rs := range td.ResourceSpans().All() {
		service := name(rs.Resource())
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				key := Series{service, s.Kind().String(), s.Name()}
				if t.cells[key] == nil {
					t.cells[key] = map[int]*cell{}
				}
				n := t.at(s.EndTimestamp())
				c := t.cells[key][n]
				if c == nil {
					c = &cell{}
					t.cells[key][n] = c
				}
				c.durations = append(c.durations, s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime()))
				if s.Status().Code() == ptrace.StatusCodeError {
					c.failed++
				}
			}
		}
	}
}

func (t *Table) addLogs(ld plog.Logs) {
	for _, rl := range ld.ResourceLogs().All() {
		service := name(rl.Resource())
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				if r.SeverityNumber() < plog.SeverityNumberWarn {
					continue
				}
				if t.logs[service] == nil {
					t.logs[service] = map[int]int{}
				}
				t.logs[service][t.at(r.Timestamp())]++
			}
		}
	}
}

// Print writes the table to w. With all, every span name has its own lines;
// without, only entry spans and spans that failed at least once do.
func (t *Table) Print(w io.Writer, all bool) error {
	out := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.AlignRight)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	since := func(at time.Time) float64 { return at.Sub(t.truth.Recorded.From).Seconds() }
	p("%s: injected at %.0f s, healed at %.0f s; each cell: spans/failed p50/p95 ms\t\n", t.truth.Fault, since(t.truth.Injected), since(t.truth.Healed))
	for _, key := range slices.SortedFunc(maps.Keys(t.cells), func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	}) {
		failed := 0
		for _, c := range t.cells[key] {
			failed += c.failed
		}
		if !all && failed == 0 && key.Kind != "Server" && key.Kind != "Consumer" {
			continue
		}
		p("\n%s %s %q\n", key.Service, key.Kind, key.Name)
		for n := range t.steps {
			p("%.0fs\t", (time.Duration(n) * t.step).Seconds())
			if c := t.cells[key][n]; c != nil {
				slices.Sort(c.durations)
				p("%d/%d\t%.1f/%.1f\t %s\n", len(c.durations), c.failed, quantile(c.durations, 0.5), quantile(c.durations, 0.95), t.phase(n))
			} else {
				p("0/0\t-\t %s\n", t.phase(n))
			}
		}
	}
	for _, service := range slices.Sorted(maps.Keys(t.logs)) {
		p("\n%s logs of WARN and worse\n", service)
		for n := range t.steps {
			p("%.0fs\t%d\t %s\n", (time.Duration(n) * t.step).Seconds(), t.logs[service][n], t.phase(n))
		}
	}
	return out.Flush()
}

// phase marks the steps of the incident.
func (t *Table) phase(n int) string {
	end := t.truth.Recorded.From.Add(time.Duration(n+1) * t.step)
	switch begin := end.Add(-t.step); {
	case !end.After(t.truth.Injected):
		return ""
	case begin.Before(t.truth.Healed):
		return "fault"
	default:
		return "healed"
	}
}

// quantile of sorted durations in ms.
func quantile(d []time.Duration, q float64) float64 {
	return float64(d[int(q*float64(len(d)-1))]) / float64(time.Millisecond)
}

func name(r pcommon.Resource) string {
	v, _ := r.Attributes().Get("service.name")
	return v.AsString()
}
