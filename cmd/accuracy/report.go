// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// score is how often the right service was among the first k.
type score struct {
	Cases int     `json:"cases"`
	Top1  int     `json:"top1"`
	Top3  int     `json:"top3"`
	Top5  int     `json:"top5"`
	AS1   float64 `json:"as1"`
	AS3   float64 `json:"as3"`
	AS5   float64 `json:"as5"`
}

func (s *score) add(rank int) {
	s.Cases++
	for _, k := range []struct {
		most int
		n    *int
		as   *float64
	}{{1, &s.Top1, &s.AS1}, {3, &s.Top3, &s.AS3}, {5, &s.Top5, &s.AS5}} {
		if rank > 0 && rank <= k.most {
			*k.n++
		}
		*k.as = float64(*k.n) / float64(s.Cases)
	}
}

// perCase is one case of a system.
type perCase struct {
	ID       string    `json:"case_id"`
	Fault    string    `json:"fault_type"`
	Scorable bool      `json:"scorable"`
	Truth    string    `json:"truth"`
	Rank     int       `json:"rank"` // 0: not named
	Named    []string  `json:"named"`
	Scores   []float64 `json:"scores"`
}

// systemSet is one system; its own score is over scorable cases.
type systemSet struct {
	System string `json:"system"`
	score
	ByFault    map[string]*score `json:"by_fault"`
	All        score             `json:"all_cases"`
	References struct {
		Latency score `json:"largest_latency_increase"`
		Errors  score `json:"most_errors_then_latency"`
	} `json:"references"`
	PerCase []perCase `json:"per_case"`
}

func summarise(results []result) (sets []*systemSet) {
	for i := range results {
		r := &results[i]
		k := slices.IndexFunc(sets, func(s *systemSet) bool { return s.System == r.incident.System })
		if k < 0 {
			k = len(sets)
			sets = append(sets, &systemSet{System: r.incident.System, ByFault: map[string]*score{}})
		}
		s := sets[k]
		s.PerCase = append(s.PerCase, perCase{ID: r.incident.ID, Fault: r.incident.FaultType, Scorable: r.incident.Scorable,
			Truth: r.incident.Truth.Service, Rank: r.rank, Named: append([]string{}, r.named...), Scores: append([]float64{}, r.scores...)})
		s.All.add(r.rank)
		if !r.incident.Scorable {
			continue
		}
		s.add(r.rank)
		if s.ByFault[r.incident.FaultType] == nil {
			s.ByFault[r.incident.FaultType] = &score{}
		}
		s.ByFault[r.incident.FaultType].add(r.rank)
		s.References.Latency.add(r.latency)
		s.References.Errors.add(r.errors)
	}
	return sets
}

func printSets(w io.Writer, sets []*systemSet) {
	row := func(system, what string, s score) {
		fmt.Fprintf(w, "%-16s %-28s %5d %5d %5d %5d   %5.1f %% %5.1f %% %5.1f %%\n", system, what, s.Cases, s.Top1, s.Top3, s.Top5,
			100*s.AS1, 100*s.AS3, 100*s.AS5)
	}
	fmt.Fprintf(w, "\n%-16s %-28s %5s %5s %5s %5s   %7s %7s %7s\n", "system", "", "cases", "top1", "top3", "top5", "AS@1", "AS@3", "AS@5")
	for _, s := range sets {
		row(s.System, "scorable", s.score)
		var faults []string
		for f := range s.ByFault {
			faults = append(faults, f)
		}
		slices.Sort(faults)
		for _, f := range faults {
			row("", "  "+f, *s.ByFault[f])
		}
		row("", "all cases", s.All)
		row("", "ref: latency increase", s.References.Latency)
		row("", "ref: errors, then latency", s.References.Errors)
		for _, c := range s.PerCase {
			if c.Rank != 1 && c.Scorable {
				fmt.Fprintf(w, "    miss: %s rank %d, named %v\n", c.ID, c.Rank, c.Named[:min(3, len(c.Named))])
			}
		}
	}
}

// printAblation shows AS@1 of each system without and with only each family.
func printAblation(w io.Writer, results []result) {
	var systems []string
	tops := map[string]map[string]*score{}
	for i := range results {
		r := &results[i]
		if !r.incident.Scorable {
			continue
		}
		sys := r.incident.System
		if tops[sys] == nil {
			systems = append(systems, sys)
			tops[sys] = map[string]*score{"all": {}}
		}
		tops[sys]["all"].add(r.rank)
		for what, rank := range r.ablated {
			if tops[sys][what] == nil {
				tops[sys][what] = &score{}
			}
			tops[sys][what].add(rank)
		}
	}
	rows := []string{"all"}
	for _, f := range families {
		rows = append(rows, "-"+f)
	}
	rows = append(rows, families...)
	fmt.Fprintf(w, "\n%-24s", "first, of scorable cases")
	for _, sys := range systems {
		fmt.Fprintf(w, " %16s", sys)
	}
	fmt.Fprintln(w)
	for _, what := range rows {
		label := "only " + what
		switch {
		case what == "all":
			label = "all families"
		case what[0] == '-':
			label = "without " + what[1:]
		}
		fmt.Fprintf(w, "%-24s", label)
		for _, sys := range systems {
			if s := tops[sys][what]; s != nil {
				fmt.Fprintf(w, " %16s", fmt.Sprintf("%d/%d %.0f %%", s.Top1, s.Cases, 100*s.AS1))
			}
		}
		fmt.Fprintln(w)
	}
}

func writeJSON(path string, sets []*systemSet) error {
	raw, err := json.MarshalIndent(map[string]any{"sets": sets}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
