// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// summary is what all runs come to. Shares are of the runs that they make sense for; null: there are none.
type summary struct {
	Runs            int      `json:"runs"`
	Passed          int      `json:"passed"`
	First           *float64 `json:"first"`        // root right first
	WithinThree     *float64 `json:"within_three"` // and among the first three candidates
	ExactSet        *float64 `json:"exact_set"`    // of those with several roots
	KindRight       *float64 `json:"kind_right"`   // of those with a root
	DrillRight      *float64 `json:"drill_right"`  // of those whose truth names an instance, a version or a host
	SilentRight     *float64 `json:"silent_right"` // of those that must end in silence or unknown
	FalseIncidents  int      `json:"false_incidents"`
	SilentDays      float64  `json:"silent_days"` // simulated, of the runs that must be silent
	FalsePerWeek    *float64 `json:"false_per_7_days"`
	RightAfterP50   *float64 `json:"right_after_p50_s"` // of runs at 50 traces a second and more
	RightAfterP95   *float64 `json:"right_after_p95_s"`
	WrongAtHigh     *float64 `json:"wrong_root_at_confidence_0.8"` // share of the verdicts that sure
	Reliability     []bin    `json:"reliability"`
	FailedArchetype []string `json:"failed"` // scenarios that are wrong in most of their runs
}

// bin is how often verdicts of some confidence were right.
type bin struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	N     int     `json:"n"`
	Right int     `json:"right"`
}

// tally is a share while it is counted.
type tally struct{ n, of int }

func (t *tally) add(ok bool) {
	t.of++
	if ok {
		t.n++
	}
}

func (t *tally) share() *float64 {
	if t.of == 0 {
		return nil
	}
	v := math.Round(1e4*float64(t.n)/float64(t.of)) / 1e4
	return &v
}

func summarise(rows []row) summary {
	s := summary{Runs: len(rows), Reliability: make([]bin, 5), FailedArchetype: []string{}}
	for i := range s.Reliability {
		s.Reliability[i] = bin{From: float64(2*i) / 10, To: float64(2*i+2) / 10}
	}
	var first, three, exact, kind, drill, quiet, high tally
	var right []float64
	falseSilent := 0
	byScenario := map[string]*tally{}
	for i := range rows {
		r := &rows[i]
		if r.Pass {
			s.Passed++
		}
		if byScenario[r.Scenario] == nil {
			byScenario[r.Scenario] = &tally{}
		}
		byScenario[r.Scenario].add(r.Pass)
		s.FalseIncidents += r.FalseIncidents
		if len(r.truth.Roots) == 0 {
			quiet.add(r.Pass)
			s.SilentDays += r.days
			falseSilent += r.FalseIncidents
			continue
		}
		found := r.RightAfter != nil
		if len(r.truth.Roots) > 1 {
			exact.add(r.Pass)
		} else {
			first.add(found)
			three.add(found || r.Rank >= 1 && r.Rank <= 3)
		}
		kind.add(r.kindRight)
		if r.drills {
			drill.add(r.drill)
		}
		if found && r.rate >= 50 {
			right = append(right, *r.RightAfter)
		}
		if r.Kind == "" {
			continue // no verdict
		}
		b := &s.Reliability[min(4, max(0, int(r.Confidence*5)))]
		b.N++
		if found {
			b.Right++
		}
		if r.Confidence >= 0.8 {
			high.add(!found)
		}
	}
	s.First, s.WithinThree, s.ExactSet, s.KindRight, s.DrillRight = first.share(), three.share(), exact.share(), kind.share(), drill.share()
	s.SilentRight, s.WrongAtHigh = quiet.share(), high.share()
	if s.SilentDays > 0 {
		v := 7 * float64(falseSilent) / s.SilentDays
		s.FalsePerWeek = &v
	}
	s.RightAfterP50, s.RightAfterP95 = quantile(right, 0.5), quantile(right, 0.95)
	for name, t := range byScenario {
		if 2*t.n <= t.of {
			s.FailedArchetype = append(s.FailedArchetype, name)
		}
	}
	slices.Sort(s.FailedArchetype)
	return s
}

func quantile(v []float64, q float64) *float64 {
	if len(v) == 0 {
		return nil
	}
	slices.Sort(v)
	return &v[min(len(v)-1, int(math.Ceil(q*float64(len(v))))-1)]
}

func writeJSON(path string, rows []row, s summary) error {
	data, err := json.MarshalIndent(struct {
		Summary summary `json:"summary"`
		Runs    []row   `json:"runs"`
	}{s, rows}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func printTable(w io.Writer, rows []row, s summary, took time.Duration) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "scenario\taxes\tseed\texpected\tnamed\tkind\trank\tconfidence\tdetected\tright\tfalse\t")
	for i := range rows {
		r := &rows[i]
		mark := ""
		if !r.Pass {
			mark = "WRONG"
		}
		named := strings.Join(r.Named, " + ")
		if named == "" {
			named = silent
		}
		confidence, rank := "-", "-"
		if r.Kind != "" {
			confidence = fmt.Sprintf("%.2f", r.Confidence)
		}
		if r.Rank > 0 {
			rank = fmt.Sprint(r.Rank)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.Scenario, r.label, r.Seed, strings.Join(r.Expected, " + "),
			named, dash(r.Kind), rank, confidence, after(r.DetectedAfter), after(r.RightAfter), r.FalseIncidents, mark)
	}
	t.Flush()
	fmt.Fprintln(w, "\nconfidence  verdicts  right")
	for _, b := range s.Reliability {
		share := "-"
		if b.N > 0 {
			share = fmt.Sprintf("%.0f %%", 100*float64(b.Right)/float64(b.N))
		}
		fmt.Fprintf(w, "%.1f - %.1f   %8d  %s\n", b.From, b.To, b.N, share)
	}
	if len(s.FailedArchetype) > 0 {
		fmt.Fprintf(w, "\nwrong in most runs: %s\n", strings.Join(s.FailedArchetype, ", "))
	}
	fmt.Fprintf(w, "\n%d of %d runs right: first %s, within three %s, several roots %s, kind %s, drill-down %s, silence %s; "+
		"right after p50 %s p95 %s at >= 50/s; wrong at confidence >= 0.8 %s; %d false incidents (silent runs: %s in 7 days); %.0f s\n",
		s.Passed, s.Runs, percent(s.First), percent(s.WithinThree), percent(s.ExactSet), percent(s.KindRight), percent(s.DrillRight), percent(s.SilentRight),
		after(s.RightAfterP50), after(s.RightAfterP95), percent(s.WrongAtHigh), s.FalseIncidents, number(s.FalsePerWeek), took.Seconds())
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func after(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1fs", *v)
}

func percent(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100**v)
}

func number(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *v)
}
