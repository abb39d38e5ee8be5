// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
)

// report is the result of a run; its JSON is what -out writes.
type report struct {
	Rows   []reportRow `json:"rows"`
	Record records     `json:"record,omitempty"`
}

// reportRow is one component's medians over the rounds.
type reportRow struct {
	Component        string  `json:"component"`
	NsPerSpan        float64 `json:"ns_per_span"`
	AllocsPerSpan    float64 `json:"allocs_per_span"`
	BytesHeldPerSpan float64 `json:"bytes_held_per_span"`
}

func newRow(component string, rounds []cost) reportRow {
	of := func(field func(cost) float64) float64 {
		values := make([]float64, len(rounds))
		for i, c := range rounds {
			values[i] = field(c)
		}
		return median(values)
	}
	return reportRow{
		Component:        component,
		NsPerSpan:        of(func(c cost) float64 { return c.ns }),
		AllocsPerSpan:    of(func(c cost) float64 { return c.allocs }),
		BytesHeldPerSpan: of(func(c cost) float64 { return c.held }),
	}
}

// median returns the middle one of values, the mean of the middle two, 0 for none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func (r *report) row(component string) *reportRow {
	for i := range r.Rows {
		if r.Rows[i].Component == component {
			return &r.Rows[i]
		}
	}
	return nil
}

// ratio is a row's CPU time by the peer's, "-" where the peer was not measured.
func (r *report) ratio(row *reportRow) string {
	against := r.row(peer)
	if against == nil || row == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", row.NsPerSpan/against.NsPerSpan)
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// gogc is how eagerly garbage is collected: components that allocate cost more where it is low.
func gogc() string { return cmp.Or(os.Getenv("GOGC"), "100") }

func (r *report) writeTable(w io.Writer, rounds, procs int) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "component\tCPU ns/span\tallocs/span\tbytes held/span\tCPU to %s\t\n", peer)
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.0f\t%s\t\n", row.Component, row.NsPerSpan, row.AllocsPerSpan, row.BytesHeldPerSpan, r.ratio(row))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
Medians of %d interleaved rounds. CPU time is the process's, garbage collection included. Bytes held: live heap that
a fresh component adds while no span is old enough to be let go, by the spans fed. bench/README.md says how and why.
%s %s/%s, %d CPUs, GOMAXPROCS=%d, GOGC=%s. breaker+rca costs %s x %s.
`, rounds, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), procs, gogc(), r.ratio(r.row("breaker+rca")), peer)
	return err
}
