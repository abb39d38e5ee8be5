// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// entry is a line of a timeline.
type entry struct {
	at   int64
	text string
}

// maxTimeline bounds the lines of a timeline; maxMoves those of nodes that were hurt, of these.
const (
	maxTimeline = 128
	maxMoves    = 32
)

// timelineOf tells an incident that is over in order of time, each line a UTC clock time and a sentence: the onset,
// each node's first move, what breakers were seen to do, each word on the cause, the recovery and the end.
func timelineOf(in *incident.Incident, seen *breakers) []string {
	v := &in.Verdict
	text := "Onset: the first call that the trouble began with started."
	if v.Trigger != "" {
		text += " Set off by " + v.Trigger + "."
	}
	all := []entry{{in.Onset, text}}
	for i, m := range v.Moves {
		if i == maxMoves {
			all = append(all, entry{m.At, fmt.Sprintf("Further nodes were hurt, %d of them.", len(v.Moves)-i)})
			break
		}
		all = append(all, movedOf(&m, in.Onset))
	}
	for _, s := range seen.of(in, in.Onset-before, in.Resolved) {
		all = append(all, sightingOf(s, in)...)
	}
	all = append(all, historyOf(in)...)
	if !in.Stale && in.LastBad >= in.Onset && in.LastBad < in.Resolved {
		all = append(all, entry{in.LastBad, "It was felt for the last time."})
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	if n := len(all); n > maxTimeline { // the end is told whatever was between
		left := entry{all[maxTimeline-2].at, fmt.Sprintf("%d more lines are left out here.", n-maxTimeline+1)}
		all = append(append(all[:maxTimeline-2:maxTimeline-2], left), all[n-1])
	}
	out := make([]string, len(all))
	for i, e := range all {
		out[i] = clock(e.at, in.Onset) + " " + e.text
	}
	return out
}

// before is how long before an onset a breaker's opening still belongs to it: an onset is an estimate.
const before = int64(30 * time.Second)

// movedOf tells when a node was hurt. Moves are known to the second: one in the second of the onset comes after it.
func movedOf(m *incident.Move, onset int64) entry {
	switch d := m.At - onset; {
	case d >= int64(time.Second):
		return entry{m.At, fmt.Sprintf("%s was hurt for the first time, %s after the onset.", m.Node, span(d))}
	case d <= -int64(time.Second):
		return entry{m.At, fmt.Sprintf("%s was hurt for the first time, %s before the onset.", m.Node, span(-d))}
	}
	return entry{max(m.At, onset), m.Node + " was hurt for the first time."}
}

// sightingOf tells of a breaker. When it closes is not seen in spans, only how long it was not closed.
func sightingOf(s *sighting, in *incident.Incident) (out []entry) {
	state := strings.ReplaceAll(s.state, "_", " ")
	if s.first >= in.Onset-before {
		text := fmt.Sprintf("Breaker %s: calls were seen with it %s.", s.name, state)
		if s.reason != "" {
			text = fmt.Sprintf("Breaker %s: calls were seen with it %s (%s).", s.name, state, s.reason)
		}
		out = append(out, entry{s.first, text})
	} else {
		out = append(out, entry{in.Onset, fmt.Sprintf("Breaker %s: it had been %s before, since %s.", s.name, state, clock(s.first, in.Onset))})
	}
	if s.last > s.first && s.last <= in.Resolved {
		out = append(out, entry{s.last, fmt.Sprintf("Breaker %s: the last failing call was seen with it %s.", s.name, state)})
	}
	return out
}

// historyOf tells what was said of the incident, and when: each line says what is new in it.
func historyOf(in *incident.Incident) (out []entry) {
	var old *incident.Change
	for i := range in.History {
		c := &in.History[i]
		out = append(out, entry{c.At, changeOf(old, c, in)})
		old = c
	}
	if in.Untold > 0 && old != nil {
		out = append(out, entry{old.At, fmt.Sprintf("Later changes of the verdict are not listed, %d of them.", in.Untold)})
		if old.State != incident.Resolved {
			out = append(out, entry{in.Resolved, overOf(in.Stale, in.Resolved-in.Onset)})
		}
	}
	return out
}

func changeOf(old, c *incident.Change, in *incident.Incident) string {
	switch {
	case c.State == incident.Resolved:
		return overOf(c.Stale, c.At-in.Onset)
	case old == nil:
		return fmt.Sprintf("Detected, %s after the onset: %s.", span(c.At-in.Onset), said(c))
	case c.State == incident.Opened:
		return fmt.Sprintf("It is back, and is the same incident: %s.", said(c))
	case c.Root != old.Root:
		return fmt.Sprintf("The verdict was revised: %s, and not %s.", said(c), old.Root)
	}
	var news []string
	if c.Reason != old.Reason || c.Cause != old.Cause {
		news = append(news, fmt.Sprintf("in what way: %s, %s", c.Reason, c.Cause))
	}
	if c.Place != old.Place {
		news = append(news, "where: "+cmp.Or(c.Place, "no one place"))
	}
	if c.Impacted != old.Impacted {
		news = append(news, fmt.Sprintf("%d nodes beside it are hurt, not %d", c.Impacted, old.Impacted))
	}
	if c.Score != old.Score {
		news = append(news, fmt.Sprintf("score %.2f", c.Score))
	}
	if len(news) == 0 {
		return fmt.Sprintf("Updated: %s, as before; other nodes beside it are hurt.", c.Root)
	}
	return fmt.Sprintf("Updated: still %s; %s.", c.Root, strings.Join(news, "; "))
}

func said(c *incident.Change) string {
	if c.Root == incident.Unknown {
		return "the root cause is not known yet"
	}
	s := "root cause " + c.Root
	if c.Place != "" {
		s += " at " + c.Place
	}
	return fmt.Sprintf("%s (%s, %s, score %.2f)", s, c.Reason, c.Cause, c.Score)
}

func overOf(stale bool, after int64) string {
	if stale {
		return fmt.Sprintf("Given up as stale, %s after the onset: what it is about is taken for normal.", span(after))
	}
	return fmt.Sprintf("Resolved, %s after the onset: all had been well for a while.", span(after))
}

// span is a length of time for people.
func span(ns int64) string {
	d := time.Duration(ns)
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// clock is the UTC clock time of at, with its date when that is not the day of the onset.
func clock(at, onset int64) string {
	t, day := time.Unix(0, at).UTC(), time.Unix(0, onset).UTC()
	if t.Format(time.DateOnly) == day.Format(time.DateOnly) {
		return t.Format("15:04:05Z")
	}
	return t.Format("2006-01-02 15:04:05Z")
}
