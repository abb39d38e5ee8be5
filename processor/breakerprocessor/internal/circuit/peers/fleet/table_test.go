// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Ours is the observer's name in the table.
const Ours = "firebreak"

// never stands for a time that has not come.
const never = time.Duration(-1)

// Row is a line of the table: one breaker, or one a replica, in a scenario.
type Row struct {
	Scenario, Breaker string
	// First and Median are the times from the fault's beginning to the opening of the first and of the median
	// replica's breaker; EventTime is the first in event time. never: it did not open.
	First, Median, EventTime time.Duration
	// Opened is the share of breakers that opened within a minute.
	Opened float64
	// Failing calls that were made before the breaker of their replica opened, in the whole fleet.
	Failing int
	// Transitions of all breakers together.
	Transitions int
	// FalseOpens are those a day of a thousand edges. never: does not apply.
	FalseOpens float64
	// Close is the time from the healing to the closing of the last breaker; 0 when all were closed by then.
	// never: one is not closed at the end.
	Close time.Duration
}

// Measure makes the row of breakers that changed so. For ours, replicas is 1 and changes are those of the edge.
func (s *Scenario) Measure(breaker string, replicas int, calls []Call, changes []Change) Row {
	r := Row{Scenario: s.Name, Breaker: breaker, First: never, EventTime: never, Transitions: len(changes), FalseOpens: -1}
	opened := slices.Repeat([]time.Duration{never}, replicas)
	last := make([]Change, replicas)
	for _, c := range changes {
		last[c.Replica] = c
		if c.Next == "open" && opened[c.Replica] == never && c.At >= s.Onset {
			opened[c.Replica] = c.At - s.Onset
			if r.First == never {
				r.First, r.EventTime = c.At-s.Onset, c.Event-s.Onset
			}
		}
	}
	for i := range calls {
		c := &calls[i]
		if c.Failure != None {
			if at := opened[c.Replica%replicas]; at == never || c.Start < s.Onset+at {
				r.Failing++
			}
		}
	}
	for _, c := range last {
		switch {
		case c.Next == "" || r.Close == never:
		case c.Next != "closed":
			r.Close = never
		default:
			r.Close = max(r.Close, c.At-s.healed())
		}
	}
	var soon []time.Duration
	for _, at := range opened {
		if at != never && at <= time.Minute {
			soon = append(soon, at)
		}
	}
	slices.Sort(soon)
	r.Opened = float64(len(soon)) / float64(replicas)
	r.Median = never
	if half := (replicas - 1) / 2; half < len(soon) {
		r.Median = soon[half]
	}
	return r
}

// Table prints the rows.
func Table(rows []Row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tbreaker\topens: first\tmedian\twithin 60 s\t(event time)\tfailing calls before\ttransitions\tfalse opens/day\tcloses after healing")
	name := ""
	for _, r := range rows {
		if r.Scenario != name && name != "" {
			fmt.Fprintln(w, strings.Repeat("\t", 9))
		}
		first := r.Scenario
		if first == name {
			first = ""
		}
		name = r.Scenario
		if r.FalseOpens >= 0 {
			fmt.Fprintf(w, "%s\t%s\t\t\t\t\t\t%d\t%.4g\t\n", first, r.Breaker, r.Transitions, r.FalseOpens)
			continue
		}
		closes := seconds(r.Close)
		if r.Transitions == 0 {
			closes = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.0f %%\t%s\t%d\t%d\t-\t%s\n", first, r.Breaker, seconds(r.First), seconds(r.Median),
			100*r.Opened, seconds(r.EventTime), r.Failing, r.Transitions, closes)
	}
	w.Flush()
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func seconds(d time.Duration) string {
	if d == never {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
