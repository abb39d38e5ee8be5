// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"github.com/firebreak-otel/firebreak/internal/simulate"
)

// row is one run, judged.
type row struct {
	Scenario       string         `json:"scenario"`
	Seed           uint64         `json:"seed"`
	Axes           map[string]any `json:"axes"`
	Expected       []string       `json:"expected"`
	Named          []string       `json:"named"`
	Kind           string         `json:"kind"`
	Rank           int            `json:"rank"` // of the expected root among the candidates, the worst of several; 0: not among them
	Confidence     float64        `json:"confidence"`
	DetectedAfter  *float64       `json:"detected_after_s"` // null: never
	RightAfter     *float64       `json:"right_after_s"`
	FalseIncidents int            `json:"false_incidents"`
	Pass           bool           `json:"pass"`

	label                    string
	truth                    *simulate.Truth
	kindRight, drill, drills bool
	days                     float64
	rate                     float64
}

const (
	silent  = "(silent)"
	unknown = "unknown"
	// early is how long before the onset an incident may be dated: a verdict's onset is an estimate.
	early = int64(15 * time.Second)
)

// story is an incident's life.
type story struct {
	id      string
	records []record // without the resolution
}

func (s *story) last() *record { return &s.records[len(s.records)-1] }

func judge(t task, zero int64, records []record) row {
	sc := t.scenario
	r := row{
		Scenario: sc.Name, Seed: t.seed, Axes: axesJSON(t.axes), Expected: []string{}, Named: []string{}, label: label(t.axes), truth: sc.Truth,
		rate: t.axes.Rate, days: (lasting(t.axes.Warmup, sc.Warmup) + min(sc.Duration, lasting(t.axes.Duration, sc.Duration))).Hours() / 24,
	}
	onset := zero + int64(onsetOf(sc))
	stories := storiesOf(records)
	for i := range stories {
		if root := stories[i].last().root; !slices.Contains(r.Named, root) {
			r.Named = append(r.Named, root)
		}
	}
	for i := range stories {
		if first := stories[i].records[0]; first.onset >= onset-early && r.DetectedAfter == nil {
			r.DetectedAfter = seconds(first.seen - onset)
		}
	}
	var main *story
	if len(sc.Truth.Roots) == 0 {
		r.Expected = append(r.Expected, silent)
		if sc.Truth.Unknown {
			r.Expected[0] = unknown
		}
		for i := range stories {
			if !(sc.Truth.Unknown && stories[i].last().root == unknown) {
				r.FalseIncidents++
			}
		}
		r.Pass = r.FalseIncidents == 0
		if len(stories) > 0 {
			main = &stories[0]
		}
	} else {
		main = r.judgeRoots(sc, stories, onset)
	}
	if main != nil {
		r.Kind, r.Confidence = main.last().kind, main.last().score
	}
	return r
}

// judgeRoots compares with the expected roots. It returns the incident that speaks for the run.
func (r *row) judgeRoots(sc *simulate.Scenario, stories []story, onset int64) *story {
	var main *story
	found, kinds := 0, true
	drill := true
	var right int64
	taken := map[string]bool{}
	for i := range sc.Truth.Roots {
		root := &sc.Truth.Roots[i]
		names := namesOf(sc, root)
		r.Expected = append(r.Expected, names[0])
		r.drills = r.drills || root.Instance != "" || root.Version != "" || root.Host != ""
		best, first := 0, int64(0)
		var own *story
		for j := range stories {
			st := &stories[j]
			if st.records[0].onset < onset-early {
				continue
			}
			if slices.Contains(names, st.last().root) && own == nil {
				own = st
			}
			for k, c := range st.last().candidates {
				if slices.Contains(names, c) && (best == 0 || k+1 < best) {
					best = k + 1
				}
			}
			for _, rec := range st.records {
				if slices.Contains(names, rec.root) && (first == 0 || rec.seen < first) {
					first = rec.seen
				}
			}
		}
		switch {
		case best == 0 || i > 0 && r.Rank == 0:
			r.Rank = 0
		default:
			r.Rank = max(r.Rank, best)
		}
		if own == nil {
			kinds, drill = false, false
			continue
		}
		found++
		right = max(right, first)
		taken[own.id] = true
		last := own.last()
		kinds = kinds && slices.Contains(root.Kind, last.kind)
		drill = drill && (root.Instance == "" || root.Instance == last.instance) && (root.Version == "" || root.Version == last.version) &&
			(root.Host == "" || root.Host == last.host || slices.Contains(names, last.root))
		if main == nil {
			main = own
		}
	}
	for i := range stories {
		if st := &stories[i]; !taken[st.id] && st.last().root != unknown {
			r.FalseIncidents++
		}
	}
	r.kindRight, r.drill = kinds, drill
	all := found == len(sc.Truth.Roots)
	if all {
		r.RightAfter = seconds(right - onset)
	}
	r.Pass = all && r.FalseIncidents == 0
	if main == nil && len(stories) > 0 {
		main = &stories[0]
	}
	return main
}

// storiesOf groups records by incident, in the order of opening.
func storiesOf(records []record) []story {
	var out []story
	for _, rec := range records {
		i := slices.IndexFunc(out, func(s story) bool { return s.id == rec.id })
		if rec.event == "resolved" {
			continue
		}
		if i < 0 {
			out = append(out, story{id: rec.id})
			i = len(out) - 1
		}
		out[i].records = append(out[i].records, rec)
	}
	return out
}

// namesOf is what a root may be called, the proper name first.
func namesOf(sc *simulate.Scenario, root *simulate.Root) []string {
	full := func(n string) string {
		if sc.System.Services[n] != nil && sc.System.Namespace != "" {
			return sc.System.Namespace + "/" + n
		}
		return n
	}
	names := []string{full(root.Node)}
	for _, a := range root.Accept {
		names = append(names, full(a))
	}
	return names
}

func onsetOf(sc *simulate.Scenario) time.Duration {
	if sc.Truth.Onset != 0 || len(sc.Faults) == 0 {
		return sc.Truth.Onset
	}
	return sc.Faults[0].From
}

func lasting(own, otherwise time.Duration) time.Duration {
	if own == 0 {
		return otherwise
	}
	return own
}

func seconds(ns int64) *float64 {
	v := float64(ns/1e6) / 1e3
	return &v
}

func axesJSON(a simulate.Axes) map[string]any {
	severity := "full"
	if a.Mild {
		severity = "mild"
	}
	return map[string]any{
		"rate": a.Rate, "sampling": a.Sampling, "skew_s": a.Skew.Seconds(), "loss": a.Loss, "disorder_s": a.Disorder.Seconds(),
		"logs": a.Logs, "severity": severity,
	}
}
